//! Running cargo from the root of the tree, as the same version that runs us.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::Failed;

pub(crate) fn command(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_cargo_run) {
            command.env_remove(name);
        }
    }
    command
}

/// What `cargo run` told us about ourselves. Build scripts of dependencies watch such variables: handed on, they would run
/// again, and much would be built a second time.
fn is_of_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || matches!(name, "CARGO" | "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH")
}

/// Runs `cargo …` with its output shown.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), Failed> {
    let mut command = command(root);
    command.args(arguments);
    finish(command, arguments)
}

/// Runs what was put together, and says `cargo …` when it fails.
pub(crate) fn finish(mut command: Command, arguments: &[&str]) -> Result<(), Failed> {
    let shown = format!("cargo {}", arguments.join(" "));
    let status = command
        .status()
        .map_err(|error| Failed(format!("`{shown}` did not start: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failed(format!("`{shown}` failed ({status})")))
    }
}

/// Whether a subcommand that is not part of Rust is installed.
pub(crate) fn has(root: &Path, subcommand: &str) -> bool {
    let mut probe = command(root);
    probe
        .args([subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

/// The part of cargo's build messages that is read here.
#[derive(Deserialize)]
struct Message {
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds with `cargo build …` and says where the binary is.
pub(crate) fn build(root: &Path, binary: &str, arguments: &[&str]) -> Result<PathBuf, Failed> {
    let output = command(root)
        .args(["build", "--quiet", "--message-format=json-render-diagnostics"])
        .args(["--bin", binary])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failed(format!("cargo did not start: {error}")))?;
    if !output.status.success() {
        return Err(Failed(format!("{binary} does not build ({})", output.status)));
    }
    executable(&String::from_utf8_lossy(&output.stdout), binary)
        .ok_or_else(|| Failed(format!("cargo did not say where it put {binary}")))
}

/// Runs a program of ours from the root, with its output shown.
pub(crate) fn start<A: AsRef<OsStr>>(
    root: &Path,
    program: &Path,
    arguments: impl IntoIterator<Item = A>,
) -> Result<(), Failed> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .status()
        .map_err(|error| Failed(format!("{} did not start: {error}", program.display())))?;
    if status.success() {
        return Ok(());
    }
    let name = program.file_name().unwrap_or(program.as_os_str());
    Err(Failed(format!("{} ended with {status}", name.display())))
}

fn executable(messages: &str, binary: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Message = serde_json::from_str(line).ok()?;
        let of_binary = message.target.is_some_and(|target| target.name == binary);
        message.executable.filter(|_| of_binary)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_starts_as_if_from_a_shell() {
        let command = command(Path::new("."));
        let removed: Vec<_> = command
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name)
            .collect();
        assert!(
            removed.iter().any(|name| *name == "CARGO_PKG_NAME"),
            "{removed:?}"
        );
        assert!(is_of_cargo_run("CARGO_MANIFEST_DIR"));
        assert!(!is_of_cargo_run("CARGO_TARGET_DIR") && !is_of_cargo_run("CARGO_INCREMENTAL"));
    }

    #[test]
    fn the_binary_is_found_among_the_messages_of_a_build() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"posx-api"},"executable":"/t/debug/posx-api"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "posx-api"), Some("/t/debug/posx-api".into()));
        assert_eq!(executable(messages, "posx"), None);
    }
}
