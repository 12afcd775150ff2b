//! One server from its start until it answers, and its end. It never outlives its starter unless it is told to.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::catalogue::{Counterpart, Launch, Places};

const TIE: &str = include_str!("tie.sh");
const PATIENCE: Duration = Duration::from_mins(1);
/// The shell that watches over a server kills it after five seconds.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// Another program may take the port between our look and the server's.
const TRIES: u32 = 3;

/// A process by pid and start time: a pid that was given to another process is not taken for it. The start time is 0 where there
/// is no `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessId {
    pub(crate) pid: i32,
    pub(crate) started: u64,
}

impl ProcessId {
    fn of(pid: i32) -> Self {
        let started = stat(pid).map_or(0, |(_, started)| started);
        Self { pid, started }
    }

    pub(crate) fn is_alive(self) -> bool {
        match stat(self.pid) {
            Some((state, started)) => !matches!(state, 'Z' | 'X') && started == self.started,
            None => Pid::from_raw(self.pid).is_some_and(|pid| test_kill_process(pid).is_ok()),
        }
    }

    /// Asks it to end and waits. Whether it is gone.
    pub(crate) fn end(self) -> bool {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.is_alive()) {
            // It may have ended just now; what counts is looked at below.
            let _ = kill_process(pid, Signal::TERM);
        }
        wait_until(STOP_PATIENCE, || !self.is_alive())
    }
}

/// State and start time, in ticks since boot.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// A server that answers. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) url: String,
    watcher: Child,
}

impl Server {
    pub(crate) fn start(
        counterpart: &Counterpart,
        places: &Places,
        directory: &Path,
    ) -> Result<Self, String> {
        let log = directory.join(format!("{}.log", counterpart.name));
        for _ in 0..TRIES {
            let port = free_port().map_err(|error| format!("no free port: {error}"))?;
            let launch = (counterpart.launch)(places, port);
            let watcher = spawn(&launch, places, directory, &log)
                .map_err(|error| format!("it did not start: {error}"))?;
            let mut server = Self {
                url: format!("http://127.0.0.1:{port}"),
                watcher,
            };
            let deadline = Instant::now() + PATIENCE;
            while server.is_running() {
                if answers(port, counterpart.probe) && server.is_running() {
                    return Ok(server);
                }
                if Instant::now() > deadline {
                    return Err(format!("it did not answer in {PATIENCE:?}\n{}", tail(&log)));
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Err(format!("it ended before it answered\n{}", tail(&log)))
    }

    fn is_running(&mut self) -> bool {
        matches!(self.watcher.try_wait(), Ok(None))
    }

    pub(crate) fn id(&self) -> ProcessId {
        ProcessId::of(self.watcher.id().cast_signed())
    }

    /// It goes on after us, until it is ended by its id.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        match self.watcher.stdin.take() {
            Some(mut tie) => tie.write_all(b"keep\n"),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Closed before the wait; one that is kept has none any more.
        if self.watcher.stdin.take().is_some() {
            let _ = self.watcher.wait();
        }
    }
}

/// In a process group of its own: a Ctrl-C in the terminal reaches us, and our end reaches the server.
fn spawn(launch: &Launch, places: &Places, directory: &Path, log: &Path) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let log = File::create(log)?;
    Command::new("/bin/sh")
        .args(["-c", TIE, "sh"])
        .arg(&launch.program)
        .args(&launch.arguments)
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .env("PATH", &places.path)
        .env("TMPDIR", directory)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Whether somebody speaks HTTP there and is not failing. A refusal is an answer too.
fn answers(port: u16, path: &str) -> bool {
    let asked = || -> io::Result<[u8; 10]> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        )?;
        let mut start = [0; 10];
        stream.read_exact(&mut start)?;
        Ok(start)
    };
    asked().is_ok_and(|start| start.starts_with(b"HTTP/1.") && matches!(start[9], b'2'..=b'4'))
}

fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn wait_until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
