//! The API and the worker as processes of their own, so that their memory and their start are their own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("{0} could not be started")]
    Start(String, #[source] std::io::Error),
    #[error("{0} did not answer within 30 s; it printed: {1}")]
    Silent(String, String),
}

/// A running process of the product; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub base_url: String,
    /// From starting the process to its first answer.
    pub started_in: Duration,
}

impl Server {
    /// Returns when `ready_path` is answered on `port`.
    pub async fn start(
        binary: &Path,
        port: u16,
        ready_path: &str,
        settings: &[(&str, String)],
    ) -> Result<Self, ServerError> {
        let name = || binary.display().to_string();
        let log = tempfile::NamedTempFile::new().map_err(|error| ServerError::Start(name(), error))?;
        let stderr = log.reopen().map_err(|error| ServerError::Start(name(), error))?;
        let begun = Instant::now();
        let child = Command::new(binary)
            .env_clear()
            .envs(
                settings
                    .iter()
                    .map(|(key, value)| (format!("POSX__{key}"), value)),
            )
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|error| ServerError::Start(name(), error))?;
        let mut server = Self {
            child,
            base_url: format!("http://127.0.0.1:{port}"),
            started_in: Duration::ZERO,
        };
        while begun.elapsed() < Duration::from_secs(30) {
            if let Ok(answer) = reqwest::get(format!("{}{ready_path}", server.base_url)).await
                && answer.status().is_success()
            {
                server.started_in = begun.elapsed();
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(ServerError::Silent(
            name(),
            std::fs::read_to_string(log.path()).unwrap_or_default(),
        ))
    }

    /// By itself: nobody dropped it.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Of a worker: how often a job ended in any other way than well, by its own metrics.
    pub async fn failed_jobs(&self) -> Result<u64, reqwest::Error> {
        let answer = reqwest::get(format!("{}/metrics", self.base_url)).await?;
        let metrics = answer.error_for_status()?.text().await?;
        Ok(metrics
            .lines()
            .filter(|line| line.starts_with("posx_jobs_total{") && !line.contains(r#"outcome="done""#))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
            .sum())
    }

    /// The most memory that the process ever held, for a person to read.
    pub fn peak_memory(&self) -> String {
        self.peak_memory_mib()
            .map_or_else(|| "not known here".to_owned(), |mib| format!("{mib} MiB"))
    }

    /// `None` where the system does not tell.
    fn peak_memory_mib(&self) -> Option<u64> {
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
