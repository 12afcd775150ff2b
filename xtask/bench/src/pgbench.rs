//! The machine's limit for the same SQL: pgbench, with prepared statements, against the same server.

use std::path::Path;
use std::process::Command;

#[derive(Debug, thiserror::Error)]
pub enum PgbenchError {
    #[error("{0} could not be run: the PostgreSQL client programs are beside the server's")]
    Run(String, #[source] std::io::Error),
    #[error("the script could not be written")]
    Script(#[source] std::io::Error),
    #[error("pgbench failed: {0}")]
    Failed(String),
}

/// What pgbench reached.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub rate_per_s: f64,
    /// Of whole transactions, round trips included.
    pub p50_ms: f64,
}

/// Runs `script` on `clients` connections for `seconds`. Each client begins with its variable `i` at 0.
pub fn run(
    bindir: &Path,
    url: &str,
    script: &str,
    clients: usize,
    seconds: u64,
) -> Result<Limit, PgbenchError> {
    let dir = tempfile::tempdir().map_err(PgbenchError::Script)?;
    let file = dir.path().join("script.sql");
    std::fs::write(&file, script).map_err(PgbenchError::Script)?;
    let program = bindir.join("pgbench");
    let output = Command::new(&program)
        .args([
            "--no-vacuum",
            "--protocol=prepared",
            "--jobs=2",
            "--log",
            "--define=i=0",
        ])
        .arg(format!("--log-prefix={}", dir.path().join("log").display()))
        .arg(format!("--client={clients}"))
        .arg(format!("--time={seconds}"))
        .arg("--file")
        .arg(&file)
        .arg(url)
        .output()
        .map_err(|error| PgbenchError::Run(program.display().to_string(), error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    // Transactions that the server refused do not end the run, and are no part of its rate.
    let whole = text
        .lines()
        .any(|line| line.starts_with("number of failed transactions: 0 "));
    match tps {
        Some(rate_per_s) if output.status.success() && whole => Ok(Limit {
            rate_per_s,
            p50_ms: median_ms(dir.path()).map_err(PgbenchError::Script)?,
        }),
        _ => Err(PgbenchError::Failed(format!(
            "{}{text}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}

/// The third column of a transaction log is its time in microseconds.
fn median_ms(dir: &Path) -> std::io::Result<f64> {
    let mut times: Vec<u32> = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("log"))
        {
            let log = std::fs::read_to_string(path)?;
            times.extend(
                log.lines()
                    .filter_map(|line| line.split(' ').nth(2)?.parse::<u32>().ok()),
            );
        }
    }
    times.sort_unstable();
    Ok(times
        .get(times.len() / 2)
        .map_or(0.0, |us| f64::from(*us) / 1000.0))
}
