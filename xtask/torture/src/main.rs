//! The story of selling with real processes that are killed at random: the API, the workers, and PostgreSQL's own sessions.
//! After each round everything must be as if nothing had happened: nothing lost, nothing twice. Called by `cargo xtask torture`.
#![expect(clippy::print_stdout, reason = "its output is for a person")]

mod books;
mod cast;
mod office;
mod patient;
mod round;
mod victims;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use posx_sandbox::RetryPolicy;
use posx_stage::{Outcome, Stage};

use crate::books::Tally;
use crate::cast::Cast;
use crate::round::Round;
use crate::victims::Victims;

/// Exit status: 0 every round held, 1 one did not, or it could not be run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask torture", bin_name = "cargo xtask torture")]
struct Arguments {
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Of what is bought, killed and when: what the machine makes of it differs from run to run
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder of posx-api and posx-worker
    #[arg(long)]
    programs: PathBuf,
}

/// The real providers go on for days: a webhook outlives whatever happens here.
const STUBBORN: RetryPolicy = RetryPolicy {
    attempts_max: 200,
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_millis(500),
};

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\ntorture stopped: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                println!("  because {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Outcome<()> {
    let begun = Instant::now();
    let mut random = fastrand::Rng::with_seed(arguments.seed);
    let stage = Stage::set(&arguments.programs, "posx_torture", STUBBORN).await?;
    let victims = Victims::start(&stage).await?;
    let mut cast = Cast::assemble(&stage, &victims).await?;
    let mut tally = Tally::default();
    for number in 1..=arguments.rounds {
        cast.sign_in_again(&stage, &victims)?;
        let round = Round {
            stage: &stage,
            victims: &victims,
            cast: &cast,
            number,
        };
        round.play(&mut random, &mut tally).await?;
        let broken = books::broken(&stage, &tally).await?;
        if let Some(first) = broken.first() {
            for one in &broken {
                println!("  broken: {one}");
            }
            return Err(format!("round {number}, seed {}: {first}", arguments.seed).into());
        }
        if number % 10 == 0 || number == arguments.rounds {
            println!(
                "round {number} of {}: {tally}; {} processes and {} sessions killed, {:.0} s",
                arguments.rounds,
                victims.processes_killed(),
                victims.sessions_killed(),
                begun.elapsed().as_secs_f64()
            );
        }
    }
    println!("nothing lost, nothing twice");
    victims.stop().await;
    stage.stop().await;
    Ok(())
}
