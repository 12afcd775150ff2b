//! `posx`: the demo, the servers in one process, and the administration of an installation.

mod audit;
mod cli;
mod database_url;
mod demo;
mod doctor;
mod failure;
mod migrate;
mod serve;
mod servers;
mod site;
mod token;
mod ui;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use cli::{AuditCommand, Cli, Command};
use failure::{CommandError, Outcome, chain};

#[tokio::main]
async fn main() -> ExitCode {
    let started = Instant::now();
    match run(Cli::parse(), started).await {
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
        Command::Serve(config) => serve::run(&config).await,
        Command::Migrate(arguments) => migrate::run(&arguments).await,
        Command::Doctor(arguments) => doctor::run(&arguments).await,
        Command::Audit(AuditCommand::Isolation(arguments)) => audit::isolation(&arguments).await,
        Command::Site(arguments) => site::run(arguments).await,
        Command::Member(arguments) => site::member(arguments).await,
        Command::Token(arguments) => token::run(&arguments).await,
    }
}
