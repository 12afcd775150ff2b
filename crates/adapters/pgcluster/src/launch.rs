//! From a data directory to a server that accepts connections, under its watchdog.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::account::Account;
use crate::binaries::Binaries;
use crate::datadir::Home;
use crate::error::{ClusterError, OrIo as _};
use crate::process::{ProcessId, postmaster, wait_until};
use crate::rundir::RunDir;
use crate::server::tail;

const WATCH: &str = include_str!("watch.sh");
const PORT_ATTEMPTS: u32 = 8;
/// A tidy shutdown writes a checkpoint first, which takes its time on a busy disk.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_mins(2);

/// What a start needs to know.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) account: &'a Account,
    pub(crate) binaries: &'a Binaries,
    pub(crate) home: &'a Home,
    pub(crate) settings: &'a [String],
    /// Seconds without an owner until the watchdog stops the server.
    pub(crate) grace: u64,
    /// `INT`: tidily. `QUIT`: at once, for data that go anyway.
    pub(crate) stop_signal: &'static str,
    pub(crate) timeout: Duration,
}

/// A server that accepts connections.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) watchdog: Child,
    pub(crate) port: u16,
}

enum Outcome {
    Ready,
    Ended,
    Late,
}

impl Launch<'_> {
    /// Between asking the system for a free port and using it, another program may take it: then once more with another.
    pub(crate) fn run(
        &self,
        run: &mut RunDir,
        mut ports: impl FnMut() -> io::Result<u16>,
    ) -> Result<Launched, ClusterError> {
        for _ in 0..PORT_ATTEMPTS {
            let port = ports().or_io("get a free port for", run.path())?;
            let mut watchdog = self.spawn(run, port)?;
            let outcome = self.wait(run, port, &mut watchdog);
            if matches!(outcome, Outcome::Ready) {
                return Ok(Launched { watchdog, port });
            }
            let log = tail(&self.home.log());
            if matches!(outcome, Outcome::Late) {
                stop(&mut watchdog);
                // A watchdog that had not even begun leaves its directory.
                run.take_back();
                return Err(ClusterError::StartTimeout {
                    after: self.timeout,
                    log,
                });
            }
            abandon(run, &mut watchdog);
            if !log.contains("Address already in use") {
                return Err(ClusterError::Start { log });
            }
        }
        Err(ClusterError::NoFreePort {
            attempts: PORT_ATTEMPTS,
        })
    }

    fn spawn(&self, run: &mut RunDir, port: u16) -> Result<Child, ClusterError> {
        let log = self.home.new_log(self.account)?;
        let log_too = log.try_clone().or_io("open", &self.home.log())?;
        let mut command = self.account.command(Path::new("/bin/sh"));
        command
            .args(["-c", WATCH, "posx-pgcluster-watch"])
            .arg(run.path());
        command.args([&self.grace.to_string(), self.stop_signal]);
        command
            .arg(self.binaries.program("postgres"))
            .arg("-D")
            .arg(self.home.data());
        let ours = [
            format!("port={port}"),
            format!("unix_socket_directories={}", run.path().display()),
        ];
        for setting in self.settings.iter().chain(&ours) {
            command.args(["-c", setting]);
        }
        let watchdog = command
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .or_io("start the watchdog of", run.path())?;
        run.hand_to(ProcessId::of(watchdog.id()), self.account)?;
        Ok(watchdog)
    }

    fn wait(&self, run: &RunDir, port: u16, watchdog: &mut Child) -> Outcome {
        let data = self.home.data();
        let mut outcome = Outcome::Late;
        wait_until(self.timeout, || {
            if is_ready(&data, port) {
                outcome = Outcome::Ready;
            } else if run.exited().exists() || !matches!(watchdog.try_wait(), Ok(None)) {
                outcome = Outcome::Ended;
            }
            !matches!(outcome, Outcome::Late)
        });
        outcome
    }
}

/// Stops the watchdog with its server and waits for it. One that does not go is killed; its server may then be left.
pub(crate) fn stop(watchdog: &mut Child) {
    ProcessId::of(watchdog.id()).signal(Signal::TERM);
    if !wait_until(STOP_PATIENCE, || !matches!(watchdog.try_wait(), Ok(None))) {
        kill(watchdog);
    }
}

/// After the server ended by itself: the directories stay for the next attempt.
fn abandon(run: &mut RunDir, watchdog: &mut Child) {
    run.take_back();
    kill(watchdog);
    fs::remove_file(run.exited()).ok();
}

fn kill(watchdog: &mut Child) {
    if let Err(error) = watchdog.kill().and_then(|()| watchdog.wait()) {
        tracing::warn!(%error, "cannot end the watchdog of the private PostgreSQL");
    }
}

/// The postmaster's pid file: pid, data directory, start, port, socket directory, address, shared memory, status.
fn is_ready(data: &Path, port: u16) -> bool {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return false;
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.get(3) == Some(&port.to_string().as_str())
        && lines.get(7) == Some(&"ready")
        && postmaster(data).is_some()
}

/// A port of 127.0.0.1 that nobody uses at this moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binaries::{Places, find};
    use crate::options::{Durability, Options};

    #[test]
    fn a_port_that_was_taken_meanwhile_is_replaced_by_another() {
        let account = Account::for_server().unwrap();
        let options = Options {
            durability: Durability::Fast,
            ..Options::default()
        };
        let binaries = find(&Places::of_this_machine(), &options, &account, None).unwrap();
        let mut run = RunDir::create(&account).unwrap();
        let home = Home::temporary(run.path());
        home.prepare(&binaries, &account, options.durability).unwrap();
        let launch = Launch {
            account: &account,
            binaries: &binaries,
            home: &home,
            settings: &options.server_settings().unwrap(),
            grace: 0,
            stop_signal: "QUIT",
            timeout: options.start_timeout,
        };
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken_port = taken.local_addr().unwrap().port();
        let mut first = Some(taken_port);
        let mut launched = launch
            .run(&mut run, || first.take().map_or_else(free_port, Ok))
            .unwrap();
        assert_ne!(launched.port, taken_port);
        let path = run.path().to_owned();
        ProcessId::of(launched.watchdog.id()).signal(Signal::TERM);
        launched.watchdog.wait().unwrap();
        assert!(!path.exists());
    }
}
