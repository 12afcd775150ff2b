//! A command beside a private PostgreSQL: how the tests and the demo are run on another version, and by URL.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use posx_pgcluster::{Cluster, ClusterError, Durability, Options, Source};

use crate::{Failed, cargo};

/// What the tests and the demo read.
const URL_VARIABLES: [&str; 2] = ["POSX_TEST_DATABASE_URL", "POSX_DEMO_DATABASE_URL"];

/// Starts a private PostgreSQL, runs the command with POSX_TEST_DATABASE_URL and POSX_DEMO_DATABASE_URL naming it, and
/// stops it
#[derive(Debug, clap::Args)]
pub(crate) struct Postgres {
    /// The PostgreSQL of the PyPI wheel, not this machine's
    #[arg(long)]
    wheel: bool,
    /// The command and its arguments, after `--`
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

impl Postgres {
    pub(crate) fn run(&self, root: &Path) -> Result<(), Failed> {
        let source = if self.wheel { Source::Wheel } else { Source::Auto };
        let cluster = start(source).map_err(|error| Failed(error.to_string()))?;
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).current_dir(root);
        beside(&cluster, command)
    }
}

fn start(source: Source) -> Result<Cluster, ClusterError> {
    let cluster = Cluster::start(&Options {
        source,
        durability: Durability::Fast,
        settings: vec![("max_connections".to_owned(), "400".to_owned())],
        ..Options::default()
    })?;
    let server = cluster.server();
    println!(
        "PostgreSQL {} from {}",
        server.version(),
        server.bindir().display()
    );
    Ok(cluster)
}

fn beside(cluster: &Cluster, mut command: Command) -> Result<(), Failed> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    for variable in URL_VARIABLES {
        command.env(variable, cluster.server().superuser_url());
    }
    let status = command
        .status()
        .map_err(|error| Failed(format!("`{shown}` did not start: {error}")))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failed(format!("`{shown}` failed ({status})")))
    }
}

/// The tests of the storage and the demo on a server that is named by URL, of another version than most machines have.
/// `Ok(Some)`: why it was left out.
pub(crate) fn other_version(root: &Path) -> Result<Option<String>, Failed> {
    let cluster = match start(Source::Wheel) {
        Ok(cluster) => cluster,
        Err(error @ ClusterError::Wheel { .. }) => return Ok(Some(error.to_string())),
        Err(error) => return Err(Failed(error.to_string())),
    };
    for arguments in [
        &["test", "--quiet", "--package", "posx-postgres"][..],
        &["demo", "--exit"],
    ] {
        let mut command = cargo::command(root);
        command.args(arguments);
        beside(&cluster, command)?;
    }
    Ok(None)
}
