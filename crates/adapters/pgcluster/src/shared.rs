//! One server for many processes: a whole run of the tests.
//!
//! Who comes first starts it, under a file lock; each process registers as an owner; the watchdog stops it when no owner
//! has been alive for the grace time. A process that finds the server dead or going starts the next life at once: lives
//! share nothing but the link `current`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::binaries::Places;
use crate::cluster::{Cluster, Started, start};
use crate::datadir::Home;
use crate::error::{ClusterError, OnceError, OrIo as _};
use crate::options::Options;
use crate::process::postmaster;
use crate::rundir;
use crate::server::{Server, Version};

/// A server that this process shares with others. It runs at least until this process ends; dropping this value changes
/// nothing, and there is no way to stop it: others may need it.
#[derive(Debug, Clone)]
pub struct SharedCluster {
    server: Server,
    state: PathBuf,
}

impl Cluster {
    /// The one server of this key, of this user on this machine: started if there is none, else joined, whatever the options
    /// it was started with. A caller ties the key to a checkout by putting its path into it.
    ///
    /// Blocks while another process starts it or runs a [`SharedCluster::once`].
    pub fn shared(key: &str, options: &Options) -> Result<SharedCluster, ClusterError> {
        if options.data_dir.is_some() {
            return Err(ClusterError::SharedIsTemporary);
        }
        let uid = rustix::process::geteuid().as_raw();
        let state = std::env::temp_dir().join(format!("posx-test-{uid}-{}", file_name(key)));
        claim(&state, uid)?;
        let _lock = lock(&state)?;
        let current = state.join("current");
        if let Ok(run) = fs::read_link(&current) {
            if let Some(server) = join(&run)? {
                return Ok(SharedCluster { server, state });
            }
            rundir::retire(&run);
        }
        let grace = options.idle_grace.as_secs();
        let Started { server, account, .. } = start(&Places::of_this_machine(), options, grace)?;
        write(&server, &account)?;
        match fs::remove_file(&current) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).or_io("replace", &current);
            }
            _ => {}
        }
        symlink(server.socket_dir(), &current).or_io("make", &current)?;
        Ok(SharedCluster { server, state })
    }
}

impl SharedCluster {
    /// How to reach it.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Runs the hook unless one of this name has succeeded in this life of the server, whoever ran it; whether it ran now.
    /// Others wait meanwhile, so the hook must not ask for the same shared cluster again.
    pub fn once<E>(&self, name: &str, hook: impl FnOnce() -> Result<(), E>) -> Result<bool, OnceError<E>> {
        let _lock = lock(&self.state).map_err(OnceError::Cluster)?;
        let done = self.server.socket_dir().join(format!("once-{}", file_name(name)));
        if done.exists() {
            return Ok(false);
        }
        hook().map_err(OnceError::Hook)?;
        rundir::mark(&done).map_err(OnceError::Cluster)?;
        Ok(true)
    }
}

/// The state directory is ours alone, or it is refused: its name can be guessed, and `/tmp` is everybody's.
fn claim(state: &Path, uid: u32) -> Result<(), ClusterError> {
    match fs::DirBuilder::new().mode(0o700).create(state) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error).or_io("make", state),
        _ => {}
    }
    let there = fs::symlink_metadata(state).or_io("look at", state)?;
    if there.is_dir() && there.uid() == uid && there.mode() & 0o022 == 0 {
        Ok(())
    } else {
        Err(ClusterError::ForeignDirectory {
            path: state.to_owned(),
        })
    }
}

fn lock(state: &Path) -> Result<File, ClusterError> {
    let path = state.join("lock");
    let file = File::create(&path).or_io("make the lock file", &path)?;
    file.lock().or_io("lock", &path)?;
    Ok(file)
}

/// Becomes an owner of a life that is well. `None`: it is not.
fn join(run: &Path) -> Result<Option<Server>, ClusterError> {
    match rundir::register(run) {
        Err(ClusterError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        outcome => outcome?,
    }
    let well = rundir::watchdog(run).is_some() && postmaster(&run.join("data")).is_some();
    Ok(if well { read(run) } else { None })
}

/// What a joining process must know: port, version, programs, password, a line each.
fn write(server: &Server, account: &Account) -> Result<(), ClusterError> {
    let Version { major, minor } = server.version;
    let text = format!(
        "{}\n{major}\n{minor}\n{}\n{}\n",
        server.port,
        server.bindir.display(),
        server.password
    );
    account.write_file(&server.run_dir.join("cluster"), &text)
}

fn read(run: &Path) -> Option<Server> {
    let text = fs::read_to_string(run.join("cluster")).ok()?;
    let mut lines = text.lines();
    let port = lines.next()?.parse().ok()?;
    let version = Version {
        major: lines.next()?.parse().ok()?,
        minor: lines.next()?.parse().ok()?,
    };
    let bindir = PathBuf::from(lines.next()?);
    let password = lines.next()?.to_owned();
    Some(Server {
        port,
        run_dir: run.to_owned(),
        log: Home::temporary(run).log(),
        bindir,
        version,
        password,
    })
}

/// A readable file name that is different for different keys: the end of the key and its FNV-1a hash.
fn file_name(key: &str) -> String {
    let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let plain: Vec<char> = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let mut name: String = plain[plain.len().saturating_sub(24)..].iter().collect();
    write!(name, "-{hash:016x}").ok();
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_keys_have_different_files() {
        assert_ne!(file_name("/a/b"), file_name("/a-b"));
        assert!(file_name("/srv/shop/posx").starts_with("-srv-shop-posx-"));
        assert!(file_name(&"x".repeat(500)).len() < 60);
    }

    #[test]
    fn a_hook_that_failed_runs_again_and_one_that_succeeded_does_not() {
        let state = tempfile::tempdir().unwrap();
        let server = Server {
            port: 1,
            run_dir: state.path().to_owned(),
            log: PathBuf::new(),
            bindir: PathBuf::new(),
            version: Version { major: 18, minor: 6 },
            password: String::new(),
        };
        let shared = SharedCluster {
            server,
            state: state.path().to_owned(),
        };
        assert!(shared.once("migrate", || Err("no")).is_err());
        assert!(shared.once("migrate", || Ok::<(), &str>(())).unwrap());
        assert!(!shared.once("migrate", || Err("never called")).unwrap());
        assert!(shared.once("seed", || Ok::<(), &str>(())).unwrap());
    }

    #[test]
    fn a_state_directory_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let uid = rustix::process::geteuid().as_raw();
        let state = tempfile::tempdir().unwrap();
        claim(state.path(), uid).unwrap();
        fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            claim(state.path(), uid),
            Err(ClusterError::ForeignDirectory { .. })
        ));
    }
}
