//! `posx-worker`: runs jobs until it is told to stop.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use posx_kernel::SystemClock;
use posx_runtime::{Services, Settings, serve_metrics, stop_signal, telemetry};
use tokio::net::TcpListener;

/// Runs POSX's jobs: what follows a payment, what calls a provider, what happens by the clock.
///
/// Any number of workers may run, on any number of machines. SIGTERM stops one gracefully.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file (TOML); variables POSX__SECTION__KEY win over it. See docs/configuration.md.
    #[arg(long, env = "POSX_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    if posx_runtime::is_pdf_reader() {
        return posx_runtime::read_pdf();
    }
    work()
}

#[tokio::main]
async fn work() -> ExitCode {
    match Box::pin(start(Arguments::parse())).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(error) = source {
                text = format!("{text}: {error}");
                source = error.source();
            }
            // Also without a log, which may be what failed.
            eprintln!("posx-worker: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(arguments.config.as_deref(), std::env::vars())?;
    let metrics = telemetry::init(&settings.log)?;
    let stop = stop_signal()?;
    let services = Services::connect(&settings, Arc::new(SystemClock)).await?;
    let listener = TcpListener::bind(settings.worker.metrics_bind).await?;
    let scraped = tokio::spawn(serve_metrics(listener, metrics));
    let ended = posx_worker::run(services.clone(), &settings.worker, stop).await;
    scraped.abort();
    services.close().await;
    Ok(ended?)
}
