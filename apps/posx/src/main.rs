//! `posx`: the demo, the servers in one process, and the administration of an installation.
//!
//! Invariants:
//! * Exit status 0 means that what was asked for is so: no check failed, no finding, no broken invariant. 1: something is
//!   not as it should be, or failed. 2: the command line was not understood. 130: stopped before it was done.
//! * Standard output carries the answer (text, or JSON with `--json`); standard error carries logs and what went wrong.
//! * No secret is printed, but for the sandbox's tokens, and the key of its fault panel, that `token` and `demo` are asked for.

mod audit;
mod books;
mod cli;
mod demo;
mod doctor;
mod failure;
mod keys;
mod migrate;
mod platform;
mod reconcile;
mod serve;
mod servers;
mod site;
mod token;
mod trail;
mod ui;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use cli::{AuditCommand, BooksCommand, Cli, Command};
use failure::{CommandError, Outcome, chain};

fn main() -> ExitCode {
    // The worker in this process starts the program anew to read a PDF.
    if posx_runtime::is_pdf_reader() {
        return posx_runtime::read_pdf();
    }
    told()
}

#[tokio::main]
async fn told() -> ExitCode {
    let started = Instant::now();
    match Box::pin(run(Cli::parse(), started)).await {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) => {
            ui::error(&chain(&error));
            ExitCode::from(Outcome::Failed.code())
        }
    }
}

async fn run(cli: Cli, started: Instant) -> Result<Outcome, CommandError> {
    match cli.command {
        Command::Demo(arguments) => demo::run(&arguments, started).await,
        Command::Serve(config) => Box::pin(serve::run(&config)).await,
        Command::Migrate(arguments) => migrate::run(&arguments).await,
        Command::Doctor(arguments) => Box::pin(doctor::run(&arguments)).await,
        Command::Audit(AuditCommand::Isolation(arguments)) => audit::isolation(&arguments).await,
        Command::Audit(AuditCommand::Trail(arguments)) => trail::run(arguments).await,
        Command::Books(BooksCommand::Check(arguments)) => books::check(&arguments).await,
        Command::Site(arguments) => site::run(arguments).await,
        Command::Member(arguments) => site::member(arguments).await,
        Command::Platform(arguments) => platform::run(arguments).await,
        Command::Keys(arguments) => keys::run(arguments).await,
        Command::Reconcile(arguments) => reconcile::run(arguments).await,
        Command::Token(arguments) => token::run(&arguments).await,
    }
}
