//! Other processes: this test binary once more, told by a variable what to be.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use posx_pgcluster::{Cluster, Durability, Options, Server};
use tempfile::TempDir;

pub fn fast() -> Options {
    Options {
        durability: Durability::Fast,
        idle_grace: Duration::from_secs(1),
        ..Options::default()
    }
}

/// What a query returns, asked as superuser over TCP with the password.
pub fn ask(server: &Server, sql: &str) -> String {
    let url = server.superuser_url();
    let output = Command::new(server.bindir().join("psql"))
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &url, "-c", sql])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A temporary directory that the server's user can reach when we are root.
pub fn reachable_dir() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// The server's main process, from its pid file.
pub fn postmaster(data: &Path) -> u32 {
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    text.lines().next().unwrap().parse().unwrap()
}

pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

pub fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Another process; ends when dropped.
pub struct Other {
    child: Child,
    /// Open as long as the process may write to it.
    _said: BufReader<ChildStdout>,
    pub run_dir: PathBuf,
    /// Whether this process ran the one-time hook.
    pub ran_hook: bool,
}

impl Other {
    /// It has a server when this returns. `role`: `own`, `keep` (in `directory`) or `share` (state in `directory`).
    pub fn start(role: &str, directory: &Path) -> Self {
        Self::spawn(role, directory).ready()
    }

    pub fn spawn(role: &str, directory: &Path) -> Starting {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "helper::another_process", "--nocapture"])
            .env("POSX_PG_ROLE", role)
            .env("POSX_PG_DIRECTORY", directory)
            .env("TMPDIR", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Starting(child)
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets it end by itself.
    pub fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub struct Starting(Child);

impl Starting {
    pub fn ready(mut self) -> Other {
        let mut said = BufReader::new(self.0.stdout.take().unwrap());
        let mut line = String::new();
        while said.read_line(&mut line).unwrap() > 0 {
            // The test harness writes its own words before ours on the same line.
            if let Some((_, words)) = line.trim().split_once("READY ") {
                let (ran, run_dir) = words.split_once(' ').unwrap();
                return Other {
                    child: self.0,
                    run_dir: run_dir.into(),
                    ran_hook: ran == "true",
                    _said: said,
                };
            }
            line.clear();
        }
        panic!("the other process has no server");
    }
}

/// Does nothing in a normal run of the tests.
#[test]
fn another_process() {
    let Some(role) = std::env::var_os("POSX_PG_ROLE") else {
        return;
    };
    let directory = PathBuf::from(std::env::var_os("POSX_PG_DIRECTORY").unwrap());
    if role == "share" {
        let shared = Cluster::shared("a test", &fast()).unwrap();
        let ran_hook = shared.once("table", || {
            ask(shared.server(), "create table made_once ()");
            Ok::<(), std::io::Error>(())
        });
        hold(shared.server(), ran_hook.unwrap());
    } else {
        let data_dir = (role == "keep").then(|| directory.join("kept"));
        let cluster = Cluster::start(&Options { data_dir, ..fast() }).unwrap();
        hold(cluster.server(), false);
    }
}

fn hold(server: &Server, ran_hook: bool) {
    let mut out = std::io::stdout();
    writeln!(out, "READY {ran_hook} {}", server.socket_dir().display()).unwrap();
    out.flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
