//! A Redis of the test's own, on a socket in a temporary directory. Absent when the machine has no `redis-server`.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub struct RedisServer {
    child: Child,
    directory: TempDir,
}

impl RedisServer {
    pub fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let child = spawn(&directory)?;
        Some(Self { child, directory })
    }

    pub fn url(&self) -> String {
        format!("unix://{}/s", self.directory.path().display())
    }

    /// `STOP` makes it hang, `CONT` go on.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(sent.unwrap().success(), "{name}");
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn start_again(&mut self) {
        self.child = spawn(&self.directory).unwrap();
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn spawn(directory: &TempDir) -> Option<Child> {
    let socket = directory.path().join("s");
    std::fs::remove_file(&socket).ok();
    let child = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket)
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    for _ in 0..200 {
        if socket.exists() {
            return Some(child);
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("redis-server does not listen after 5 s");
}
