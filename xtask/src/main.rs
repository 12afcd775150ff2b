//! The project's own tool, `cargo xtask`: the rules of the tree as checks, the derived files, the whole gate.
#![allow(
    clippy::print_stdout,
    reason = "a command line tool for people: what it has to say goes to its standard output"
)]

mod cargo;
mod counterparts;
mod coverage;
mod postgres;
mod regen;
mod simulate;
mod tidy;
mod torture;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit status: 0 done, 1 something is not as it should be (each thing is named), 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Checks the rules of the tree: who may depend on whom, naming, sizes, migrations, documents
    Tidy,
    /// Writes the derived files again: docs/openapi.json, docs/errors.md, docs/semantics-coverage.md,
    /// docs/configuration.md, .env.example
    Regen(regen::Regen),
    /// Measures the API against pgbench on the same SQL, and writes target/bench.json
    Bench(Bench),
    Torture(torture::Torture),
    Simulate(simulate::Simulate),
    /// Software of others that the adapters are tested against: up, down, status, test
    Counterparts(counterparts::Counterparts),
    Postgres(postgres::Postgres),
    /// The whole gate but the tests: format, clippy, tidy, derived files, cargo deny, the simulation, the counterparts,
    /// the demo
    Verify,
}

/// The bench is a package of its own, so that the other verbs are built without the servers.
#[derive(Debug, clap::Args)]
struct Bench {
    /// How long each scenario is measured
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

impl Bench {
    /// Built and asked for with the same packages: another choice has other features, and builds much again.
    const PACKAGES: [&str; 7] = [
        "--release",
        "-p",
        "posx-api",
        "-p",
        "posx-worker",
        "-p",
        "posx-bench",
    ];

    fn run(&self, root: &Path) -> Result<(), Failed> {
        cargo::run(root, &[&["build"], &Self::PACKAGES[..]].concat())?;
        let bench = cargo::build(root, "posx-bench", &Self::PACKAGES)?;
        cargo::start(root, &bench, [self.seconds.to_string()])
    }
}

fn main() -> ExitCode {
    let root = workspace_root();
    let outcome = match Cli::parse().verb {
        Verb::Tidy => tidy::run(&root),
        Verb::Regen(regen) => regen.run(&root),
        Verb::Bench(bench) => bench.run(&root),
        Verb::Torture(torture) => torture.run(&root),
        Verb::Simulate(simulate) => simulate.run(&root),
        Verb::Counterparts(counterparts) => counterparts.run(&root),
        Verb::Postgres(postgres) => postgres.run(&root),
        Verb::Verify => verify::run(&root),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(why)) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Why a verb ends with status 1, in one or more lines.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

/// The tree that this tool was built from.
fn workspace_root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
