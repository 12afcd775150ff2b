//! `posx demo`: everything on this machine, and the story of the product walked over HTTP.
//!
//! Invariants:
//! * What is started here is stopped here, on every way out; without `--data` nothing stays on disk.
//! * The story is told by a client: it sees the API, the sandbox's browser side, and nothing that a customer could not.
//!   Only to check a claim does it look behind the sandbox's counter, or into the database as the app role.
//! * Every fact that is shown is verified; one that does not hold is shown with what was expected.

mod checks;
mod client;
mod stage;
mod story;
mod tables;

use std::time::Instant;

use posx_runtime::{LogFormat, LogSettings, TelemetryError, stop_signal, telemetry};

use crate::cli::DemoArguments;
use crate::failure::{CommandError, Outcome, chain};
use crate::ui;
use stage::{Stage, StageError};
use story::StoryError;

#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("signals cannot be listened to")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error("a server ended during the demo")]
    Servers(#[from] crate::servers::ServersError),
}

/// How the time between start and stop ended.
enum Ended {
    Story(Result<bool, StoryError>),
    Server(crate::servers::ServersError),
    Signal,
}

pub async fn run(arguments: &DemoArguments, started: Instant) -> Result<Outcome, CommandError> {
    Ok(Box::pin(play(arguments, started)).await.map_err(Box::new)?)
}

async fn play(arguments: &DemoArguments, started: Instant) -> Result<Outcome, DemoError> {
    let log = LogSettings {
        format: LogFormat::Pretty,
        filter: arguments.log.clone(),
    };
    let metrics = telemetry::init(&log)?;
    let mut stop = std::pin::pin!(stop_signal().map_err(DemoError::Signals)?);
    ui::heading("Starting");
    let mut stage = tokio::select! {
        stage = Box::pin(Stage::start(arguments, &log, metrics)) => stage?,
        () = &mut stop => return Ok(Outcome::Interrupted),
    };
    ui::good(&format!(
        "the API is served at {} after {:.1} s",
        stage.base(),
        started.elapsed().as_secs_f64()
    ));
    let ended = {
        let (servers, set) = stage.split();
        tokio::select! {
            told = story::tell(set) => Ended::Story(told),
            error = servers.ended() => Ended::Server(error),
            () = &mut stop => Ended::Signal,
        }
    };
    let outcome = match ended {
        Ended::Story(Ok(held)) if arguments.exit => Ok(Outcome::of(held)),
        Ended::Story(Ok(held)) => {
            ui::line("\nServing until Ctrl-C.");
            let (servers, _) = stage.split();
            tokio::select! {
                error = servers.ended() => Err(error.into()),
                () = &mut stop => Ok(Outcome::of(held)),
            }
        }
        Ended::Story(Err(error)) => {
            ui::bad(&format!("the story broke off: {}", chain(&error)));
            Ok(Outcome::Failed)
        }
        Ended::Server(error) => Err(error.into()),
        Ended::Signal => Ok(Outcome::Interrupted),
    };
    ui::line("\nStopping.");
    Box::pin(stage.stop()).await?;
    outcome
}
