//! PostgreSQL's own client.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum PsqlError {
    #[error("psql could not be run")]
    Run(#[from] std::io::Error),
    #[error("psql failed: {0}")]
    Failed(String),
}

pub fn run(bindir: &Path, url: &str, sql: &str) -> Result<String, PsqlError> {
    let mut child = Command::new(bindir.join("psql"))
        .args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            url,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(sql.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(PsqlError::Failed(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ))
    }
}
