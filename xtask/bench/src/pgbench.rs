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

/// Transactions per second that `clients` connections reach with `script` in `seconds`.
pub fn transactions_per_s(
    bindir: &Path, url: &str, script: &str, clients: usize, seconds: u64, defines: &[(&str, String)],
) -> Result<f64, PgbenchError> {
    let file = tempfile::NamedTempFile::new().map_err(PgbenchError::Script)?;
    std::fs::write(file.path(), script).map_err(PgbenchError::Script)?;
    let program = bindir.join("pgbench");
    let mut command = Command::new(&program);
    command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
    command.arg(format!("--client={clients}")).arg(format!("--time={seconds}"));
    for (name, value) in defines {
        command.arg(format!("--define={name}={value}"));
    }
    command.arg("--file").arg(file.path()).arg(url);
    let output = command.output().map_err(|error| PgbenchError::Run(program.display().to_string(), error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    match tps {
        Some(tps) if output.status.success() => Ok(tps),
        _ => Err(PgbenchError::Failed(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
