//! The data of a server and what belongs to them: `data/`, `password`, `server.log`, and a lock while they are in use.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::error::{ClusterError, OrIo as _};
use crate::options::Durability;
use crate::process::{postmaster, stop_postmaster, wait_until};
use crate::server::Version;

/// What may lie in a directory of ours; anything else means that it is someone's home.
const OURS: [&str; 6] = [
    "data",
    "data.new",
    "password",
    "server.log",
    "server.log.1",
    "lock",
];

/// The first version whose own C.UTF-8 does not depend on the machine's locales.
const BUILTIN_LOCALE: u32 = 17;

/// Where data live. Holds their lock if they are kept.
#[derive(Debug)]
pub(crate) struct Home {
    directory: PathBuf,
    _lock: Option<File>,
}

impl Home {
    /// In a run directory: nobody else knows of it.
    pub(crate) fn temporary(run: &Path) -> Self {
        Self {
            directory: run.to_owned(),
            _lock: None,
        }
    }

    /// A directory that stays; made if need be, refused if it holds something else or is in use.
    pub(crate) fn kept(directory: &Path, account: &Account) -> Result<Self, ClusterError> {
        fs::create_dir_all(directory).or_io("make", directory)?;
        let directory = fs::canonicalize(directory).or_io("find", directory)?;
        refuse_foreign(&directory)?;
        account.own(&directory)?;
        account.must_reach(&directory)?;
        let lock_file = directory.join("lock");
        let lock = account.create_file(&lock_file)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ClusterError::InUse { path: directory }),
            Err(TryLockError::Error(error)) => return Err(error).or_io("lock", &lock_file),
        }
        let home = Self {
            directory,
            _lock: Some(lock),
        };
        home.end_leftover_server()?;
        Ok(home)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// The major version that made the data, if there are any.
    pub(crate) fn made_by(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }

    /// We have the lock, so a server that still runs lost its owner: its watchdog stops it, or we do.
    fn end_leftover_server(&self) -> Result<(), ClusterError> {
        let data = self.data();
        if wait_until(Duration::from_secs(10), || postmaster(&data).is_none()) {
            return Ok(());
        }
        let after = Duration::from_mins(1);
        stop_postmaster(&data, Signal::INT, after).map_err(|pid| ClusterError::StopTimeout { pid, after })
    }

    /// The superuser's password: the kept one, or a new one with new data.
    pub(crate) fn prepare(
        &self,
        binaries: &Binaries,
        account: &Account,
        durability: Durability,
    ) -> Result<String, ClusterError> {
        let file = self.directory.join("password");
        if self.made_by().is_some() {
            return Ok(fs::read_to_string(&file).or_io("read", &file)?.trim().to_owned());
        }
        let password = random_password()?;
        account.write_file(&file, &password)?;
        let fresh = self.directory.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).or_io("remove", &fresh)?;
        }
        initdb(binaries, account, &fresh, &file, durability)?;
        fs::rename(&fresh, self.data()).or_io("put in place", &fresh)?;
        Ok(password)
    }

    /// An empty log; the one before is kept, one generation back.
    pub(crate) fn new_log(&self, account: &Account) -> Result<File, ClusterError> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|there| there.len() > 0) {
            let before = self.directory.join("server.log.1");
            fs::rename(&path, &before).or_io("rename", &path)?;
        }
        account.create_file(&path)
    }
}

fn refuse_foreign(directory: &Path) -> Result<(), ClusterError> {
    for entry in fs::read_dir(directory).or_io("read", directory)? {
        let name = entry.or_io("read", directory)?.file_name();
        if !OURS.iter().any(|ours| name == *ours) {
            return Err(ClusterError::ForeignDirectory {
                path: directory.to_owned(),
            });
        }
    }
    Ok(())
}

fn random_password() -> Result<String, ClusterError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|source| ClusterError::Randomness { source })?;
    Ok(hex::encode(bytes))
}

/// The machine's C.UTF-8 is missing on some systems; plain C is everywhere.
fn initdb(
    binaries: &Binaries,
    account: &Account,
    data: &Path,
    password_file: &Path,
    durability: Durability,
) -> Result<(), ClusterError> {
    let run = |locale: &[&str]| {
        let program = binaries.program("initdb");
        let mut command = account.command(&program);
        command.arg("-D").arg(data).arg("--pwfile").arg(password_file);
        command
            .args([
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "-E",
                "UTF8",
                "--no-instructions",
            ])
            .args(locale);
        if durability == Durability::Fast {
            command.arg("--no-sync");
        }
        command.output().or_io("run", &program)
    };
    let mut output = run(locale_of(binaries.version))?;
    if said(&output).contains("invalid locale name") {
        output = run(&["--locale=C"])?;
    }
    if output.status.success() {
        Ok(())
    } else {
        Err(ClusterError::Initdb {
            output: said(&output),
        })
    }
}

fn locale_of(version: Version) -> &'static [&'static str] {
    if version.major >= BUILTIN_LOCALE {
        &[
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
        ]
    } else {
        &["--locale=C.UTF-8"]
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_someone_elses_files_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("thesis.odt"), "").unwrap();
        let refused = Home::kept(directory.path(), &Account::for_server().unwrap());
        assert!(
            matches!(refused, Err(ClusterError::ForeignDirectory { .. })),
            "{refused:?}"
        );
    }

    #[test]
    fn kept_data_have_one_user_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let account = Account::for_server().unwrap();
        let first = Home::kept(directory.path(), &account).unwrap();
        assert!(matches!(
            Home::kept(directory.path(), &account),
            Err(ClusterError::InUse { .. })
        ));
        drop(first);
        assert!(Home::kept(directory.path(), &account).is_ok());
    }

    #[test]
    fn passwords_differ() {
        let (one, two) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
