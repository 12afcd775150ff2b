//! The API as a process of its own, so that its memory and its start are its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("the API could not be started")]
    Start(#[source] std::io::Error),
    #[error("the API did not answer within 30 s; it printed: {0}")]
    Silent(String),
}

/// A running API; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub base_url: String,
    /// From starting the process to its first answer.
    pub started_in: Duration,
}

impl Server {
    pub async fn start(binary: &Path, port: u16, settings: &[(&str, String)]) -> Result<Self, ServerError> {
        let log = tempfile::NamedTempFile::new().map_err(ServerError::Start)?;
        let begun = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .envs(
                settings
                    .iter()
                    .map(|(key, value)| (format!("POSX__{key}"), value)),
            )
            .stdout(Stdio::null())
            .stderr(log.reopen().map_err(ServerError::Start)?)
            .spawn()
            .map_err(ServerError::Start)?;
        let base_url = format!("http://127.0.0.1:{port}");
        let mut server = Self {
            child,
            base_url,
            started_in: Duration::ZERO,
        };
        while begun.elapsed() < Duration::from_secs(30) {
            if let Ok(answer) = reqwest::get(format!("{}/health", server.base_url)).await
                && answer.status().is_success()
            {
                server.started_in = begun.elapsed();
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(ServerError::Silent(
            std::fs::read_to_string(log.path()).unwrap_or_default(),
        ))
    }

    /// The most memory that the process ever held, in MiB; `None` where the system does not tell.
    pub fn peak_memory_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim()
            .split(' ')
            .next()?
            .parse::<u64>()
            .ok()
            .map(|kib| kib / 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It holds nothing that is worth a graceful stop, and a process that is gone already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
