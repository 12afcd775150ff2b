//! Selling with real processes that are killed at random. A package of its own, so that the other verbs are built without it.

use std::ffi::OsStr;
use std::path::Path;

use crate::{Failed, cargo};

/// Sells, refunds and delivers with real processes that are killed at random; nothing may be lost, nothing happen twice
#[derive(Debug, clap::Args)]
pub(crate) struct Torture {
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Of what is bought, and of whom is killed when
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Torture {
    const PACKAGES: [&str; 7] = [
        "--release",
        "-p",
        "posx-api",
        "-p",
        "posx-worker",
        "-p",
        "posx-torture",
    ];

    pub(crate) fn run(&self, root: &Path) -> Result<(), Failed> {
        cargo::run(root, &[&["build"], &Self::PACKAGES[..]].concat())?;
        let torture = cargo::build(root, "posx-torture", &Self::PACKAGES)?;
        let programs = torture.parent().unwrap_or(Path::new("."));
        let (rounds, seed) = (self.rounds.to_string(), self.seed.to_string());
        let arguments = ["--rounds", &rounds, "--seed", &seed, "--programs"].map(OsStr::new);
        cargo::start(
            root,
            &torture,
            arguments.into_iter().chain([programs.as_os_str()]),
        )
    }
}
