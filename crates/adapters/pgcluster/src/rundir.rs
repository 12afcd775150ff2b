//! The directory of one life of one server: `/tmp/posx-pg-XXXXXX`. A short path, since a socket's may have 107 bytes.
//!
//! `users/<pid>-<start time>` one file per owner · `watch` the watchdog's process · `exited` written when the server ended ·
//! the socket · and, of a temporary server, `data/`, `password`, `server.log`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::account::Account;
use crate::error::{ClusterError, OrIo as _};
use crate::process::{ProcessId, stop_postmaster};

const PREFIX: &str = "posx-pg-";

/// Removed on drop until a watchdog answers for it.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    watched: bool,
}

impl RunDir {
    /// A new one that this process owns.
    pub(crate) fn create(account: &Account) -> Result<Self, ClusterError> {
        let base = base();
        sweep(&base, account);
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&base)
            .or_io("make a directory in", &base)?;
        let run = Self {
            path: made.keep(),
            watched: false,
        };
        let users = run.path.join("users");
        fs::create_dir(&users).or_io("make", &users)?;
        register(&run.path)?;
        account.own(&users)?;
        account.own(&run.path)?;
        account.must_reach(&run.path)?;
        Ok(run)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn exited(&self) -> PathBuf {
        self.path.join("exited")
    }

    /// The watchdog removes the directory from now on.
    pub(crate) fn hand_to(&mut self, watchdog: ProcessId, account: &Account) -> Result<(), ClusterError> {
        self.watched = true;
        account.write_file(&self.path.join("watch"), &watchdog.name())
    }

    /// The watchdog is dead: the directory is ours again.
    pub(crate) fn take_back(&mut self) {
        self.watched = false;
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if !self.watched {
            remove(&self.path);
        }
    }
}

/// Makes this process an owner. `NotFound`: the directory is going or gone.
pub(crate) fn register(run: &Path) -> Result<(), ClusterError> {
    mark(&run.join("users").join(ProcessId::me().name()))
}

/// An empty file that says something by being there; it may be there already.
pub(crate) fn mark(file: &Path) -> Result<(), ClusterError> {
    match File::create_new(file) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error).or_io("write", file),
        _ => Ok(()),
    }
}

/// The watchdog of a run directory, if it is alive.
pub(crate) fn watchdog(run: &Path) -> Option<ProcessId> {
    let written = fs::read_to_string(run.join("watch")).ok()?;
    ProcessId::from_name(&written).filter(|process| process.is_alive() && process.names(run))
}

/// Ends a life that is of no use any more: by its watchdog, or else by hand.
pub(crate) fn retire(run: &Path) {
    if let Some(watchdog) = watchdog(run) {
        watchdog.signal(Signal::TERM);
        return;
    }
    match stop_postmaster(&run.join("data"), Signal::QUIT, Duration::from_secs(10)) {
        Ok(()) => remove(run),
        Err(pid) => tracing::warn!(pid, "a server without a watchdog does not stop"),
    }
}

/// Also when it is gone already; what cannot be removed is a warning, not a failure of what was asked for.
pub(crate) fn remove(run: &Path) {
    if let Err(error) = fs::remove_dir_all(run)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %run.display(), %error, "cannot remove a directory of the private PostgreSQL");
    }
}

fn base() -> PathBuf {
    let short = PathBuf::from("/tmp");
    if short.is_dir() {
        short
    } else {
        std::env::temp_dir()
    }
}

/// What a reboot or the death of owners and watchdogs together left behind.
fn sweep(base: &Path, account: &Account) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_leftover(&path, account) {
            tracing::info!(path = %path.display(), "removing what a killed run left");
            retire(&path);
        }
    }
}

/// A minute's grace: a directory that is just being made has no owner yet.
fn is_leftover(path: &Path, account: &Account) -> bool {
    let Ok(there) = fs::symlink_metadata(path) else {
        return false;
    };
    let old = there
        .modified()
        .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > Duration::from_mins(1)));
    there.is_dir() && old && there.uid() == account.uid() && watchdog(path).is_none() && !is_owned(path)
}

fn is_owned(run: &Path) -> bool {
    let Ok(users) = fs::read_dir(run.join("users")) else {
        return false;
    };
    users
        .flatten()
        .filter_map(|file| ProcessId::from_name(&file.file_name().to_string_lossy()))
        .any(ProcessId::is_alive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_run_directory_goes_with_its_value_unless_it_is_watched() {
        let account = Account::for_server().unwrap();
        let mut run = RunDir::create(&account).unwrap();
        let path = run.path().to_owned();
        run.hand_to(ProcessId::me(), &account).unwrap();
        drop(run);
        assert!(path.is_dir());
        drop(RunDir {
            path: path.clone(),
            watched: false,
        });
        assert!(!path.exists());
    }

    #[test]
    fn only_an_old_directory_without_owner_and_watchdog_is_swept() {
        let account = Account::for_server().unwrap();
        let base = tempfile::tempdir().unwrap();
        let make = |name: &str, age: u64, owner: Option<&str>| {
            let path = base.path().join(name);
            fs::create_dir_all(path.join("users")).unwrap();
            if let Some(owner) = owner {
                fs::write(path.join("users").join(owner), "").unwrap();
            }
            account.own(&path).unwrap();
            let then = SystemTime::now() - Duration::from_secs(age);
            fs::File::open(&path).unwrap().set_modified(then).unwrap();
            path
        };
        let dead = make("posx-pg-dead", 600, Some("1-1"));
        let young = make("posx-pg-young", 0, None);
        let owned = make("posx-pg-owned", 600, Some(&ProcessId::me().name()));
        let other = make("something-else", 600, None);
        sweep(base.path(), &account);
        assert!(!dead.exists());
        assert!(young.exists() && owned.exists() && other.exists());
    }
}
