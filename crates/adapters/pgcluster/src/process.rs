//! Looking at other processes: is it alive, is it still the same one, is it ours to stop.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// A process by pid and start time, so that a pid that was given to someone else is not taken for it. The start time is 0
/// where there is no `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId {
    pid: u32,
    started: u64,
}

impl ProcessId {
    pub(crate) fn of(pid: u32) -> Self {
        Self {
            pid,
            started: stat(pid).map_or(0, |(_, started)| started),
        }
    }

    pub(crate) fn me() -> Self {
        Self::of(std::process::id())
    }

    /// The form that is a file name, read by `watch.sh` too.
    pub(crate) fn name(self) -> String {
        format!("{}-{}", self.pid, self.started)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let (pid, started) = name.trim().split_once('-')?;
        Some(Self {
            pid: pid.parse().ok()?,
            started: started.parse().ok()?,
        })
    }

    pub(crate) fn is_alive(self) -> bool {
        match stat(self.pid) {
            Some((state, started)) => {
                !matches!(state, 'Z' | 'X') && (self.started == 0 || self.started == started)
            }
            None => exists(self.pid),
        }
    }

    /// Whether its command line has this path as an argument: what tells ours from others.
    pub(crate) fn names(self, path: &Path) -> bool {
        command_line_names(self.pid, path)
    }

    pub(crate) fn signal(self, signal: Signal) {
        if self.is_alive() {
            send(self.pid, signal);
        }
    }
}

/// State and start time (clock ticks since boot) of a process, from `/proc`.
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some((state, started))
}

/// Also true for a process that we may not signal.
fn exists(pid: u32) -> bool {
    raw(pid).is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

fn raw(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn send(pid: u32, signal: Signal) {
    if let Some(target) = raw(pid)
        && let Err(error) = kill_process(target, signal)
        && error != Errno::SRCH
    {
        tracing::warn!(pid, %error, "cannot signal a process of the private PostgreSQL");
    }
}

/// The postmaster that serves this data directory, if it is running. The pid file may be a leftover and its number now
/// someone else's: the command line decides.
pub(crate) fn postmaster(data: &Path) -> Option<u32> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let pid: u32 = text.lines().next()?.trim().parse().ok()?;
    (exists(pid) && command_line_names(pid, data)).then_some(pid)
}

fn command_line_names(pid: u32, path: &Path) -> bool {
    let wanted = path.as_os_str().as_bytes();
    if let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) {
        return line.split(|b| *b == 0).any(|argument| argument == wanted);
    }
    let shown = Command::new("ps")
        .args(["-p", &pid.to_string(), "-o", "args="])
        .output();
    shown.is_ok_and(|shown| shown.stdout.windows(wanted.len()).any(|part| part == wanted))
}

/// Stops the postmaster of this data directory without its watchdog's help. The pid if it is still there afterwards.
pub(crate) fn stop_postmaster(data: &Path, signal: Signal, patience: Duration) -> Result<(), u32> {
    let Some(pid) = postmaster(data) else {
        return Ok(());
    };
    send(pid, signal);
    if wait_until(patience, || postmaster(data).is_none()) {
        Ok(())
    } else {
        Err(pid)
    }
}

/// Polls until it holds or the time is over; whether it held.
pub(crate) fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_by_its_written_name() {
        let me = ProcessId::me();
        assert_eq!(ProcessId::from_name(&me.name()), Some(me));
        assert!(me.is_alive());
    }

    #[test]
    fn a_pid_that_was_given_to_another_process_is_not_taken_for_the_first() {
        let me = ProcessId::me();
        let before = ProcessId {
            pid: me.pid,
            started: me.started + 1,
        };
        assert!(!before.is_alive());
    }

    #[test]
    fn a_leftover_pid_file_names_no_postmaster() {
        let data = tempfile::tempdir().unwrap();
        fs::write(
            data.path().join("postmaster.pid"),
            format!("{}\n", std::process::id()),
        )
        .unwrap();
        assert_eq!(postmaster(data.path()), None);
    }
}
