//! The deterministic simulation. A package of its own, so that the other verbs are built without the domains.

use std::path::Path;

use crate::{Failed, cargo};

/// Runs the domains' services through seeds of a misbehaving world, in memory and on virtual time
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Simulate {
    /// --seed N | --seeds N [--from N], --fault NAME,…, --bug NAME; --help says more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Simulate {
    const PACKAGES: [&str; 3] = ["--release", "-p", "posx-simulation"];

    /// So many runs as the gate asks for.
    pub(crate) fn of_gate() -> Self {
        let arguments = ["--seeds", "1000"].map(str::to_owned);
        Self {
            arguments: arguments.into(),
        }
    }

    pub(crate) fn run(&self, root: &Path) -> Result<(), Failed> {
        let simulation = cargo::build(root, "posx-simulation", &Self::PACKAGES)?;
        cargo::start(root, &simulation, &self.arguments)
    }
}
