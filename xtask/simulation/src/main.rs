//! `posx-simulation`: runs seeds and says what broke. `cargo xtask simulate` builds and starts it.
#![allow(
    clippy::print_stdout,
    reason = "a command line tool for people: what it has to say goes to its standard output"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use posx_simulation::{Bug, Fault, Options, Run, run};

/// Exit status: 0 nothing is broken (with --bug: the bug was found), 1 otherwise.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask simulate", version)]
struct Cli {
    /// One run, with its trace
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// So many runs, on all cores
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only these faults, instead of those that each seed draws
    #[arg(long, value_delimiter = ',')]
    fault: Option<Vec<Fault>>,
    /// Plants a known bug: the first seed that finds it ends the search
    #[arg(long)]
    bug: Option<Bug>,
}

impl Cli {
    fn options(&self) -> Options {
        Options {
            faults: self.fault.clone(),
            bug: self.bug,
            traced: self.seed.is_some(),
        }
    }

    /// What repeats one run, as short as can be.
    fn command(&self, seed: u64) -> String {
        let mut words = vec![format!("cargo xtask simulate --seed {seed}")];
        if let Some(faults) = &self.fault {
            let names: Vec<_> = faults.iter().map(name).collect();
            words.push(format!("--fault {}", names.join(",")));
        }
        if let Some(bug) = &self.bug {
            words.push(format!("--bug {}", name(bug)));
        }
        words.join(" ")
    }
}

/// As it is given on the command line.
fn name(value: &impl ValueEnum) -> String {
    let shown = value.to_possible_value();
    shown.map(|shown| shown.get_name().to_owned()).unwrap_or_default()
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let well = match cli.seed {
        Some(seed) => one(&cli, seed),
        None => many(&cli),
    };
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn one(cli: &Cli, seed: u64) -> bool {
    let run = run(seed, &cli.options());
    for line in &run.trace {
        println!("{line}");
    }
    println!(
        "\nseed {seed}: {} steps, fingerprint {:016x}",
        run.steps, run.fingerprint
    );
    println!("faults: {:?}", run.faults);
    verdict(&run);
    run.broken.is_empty() != cli.bug.is_some()
}

fn verdict(run: &Run) {
    if run.broken.is_empty() {
        println!("nothing is broken");
    }
    for broken in &run.broken {
        println!("broken: {broken}");
    }
}

fn many(cli: &Cli) -> bool {
    let (next, options) = (AtomicU64::new(cli.from), cli.options());
    let (until, began) = (cli.from.saturating_add(cli.seeds), Instant::now());
    let failed: Mutex<Vec<Run>> = Mutex::default();
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= until {
                return;
            }
            let run = run(seed, &options);
            if !run.broken.is_empty() {
                failed.lock().unwrap_or_else(PoisonError::into_inner).push(run);
                if options.bug.is_some() {
                    next.store(until, Ordering::Relaxed);
                }
            }
            let done = seed + 1 - cli.from;
            if done.is_multiple_of(1_000) {
                println!(
                    "{done} of {} seeds, {:.1} s",
                    cli.seeds,
                    began.elapsed().as_secs_f64()
                );
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(worker);
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|run| run.seed);
    for run in failed.iter().take(20) {
        println!("\n{}", cli.command(run.seed));
        verdict(run);
    }
    let seconds = began.elapsed().as_secs_f64();
    match cli.bug {
        Some(bug) => println!(
            "\n{}: {}",
            bug.what().trim(),
            if failed.is_empty() { "NOT FOUND" } else { "found" }
        ),
        None => println!(
            "\n{} seeds in {seconds:.1} s, {} of them broken",
            cli.seeds,
            failed.len()
        ),
    }
    failed.is_empty() == cli.bug.is_none()
}
