//! `posx-api`: serves HTTP until it is told to stop.

use std::error::Error;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use posx_kernel::SystemClock;
use posx_runtime::settings::reference;
use posx_runtime::{Services, Settings, serve_metrics, stop_signal, telemetry};

/// Serves POSX's HTTP API.
///
/// Any number may run, on any number of machines. SIGTERM stops one gracefully.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file (TOML); variables POSX__SECTION__KEY win over it. See docs/configuration.md.
    #[arg(long, env = "POSX_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print a document that is derived from the code, and serve nothing.
    #[arg(long, value_name = "DOCUMENT")]
    print: Option<Document>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Document {
    /// docs/openapi.json
    Openapi,
    /// docs/errors.md
    Errors,
    /// docs/configuration.md
    Configuration,
    /// .env.example
    EnvExample,
}

#[tokio::main]
async fn main() -> ExitCode {
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
            eprintln!("posx-api: {text}");
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    if let Some(document) = arguments.print {
        let text = match document {
            Document::Openapi => posx_api::openapi(),
            Document::Errors => posx_api::errors_markdown(),
            Document::Configuration => reference::markdown(),
            Document::EnvExample => reference::env_example(),
        };
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    let settings = Settings::load(arguments.config.as_deref(), std::env::vars())?;
    let metrics = telemetry::init(&settings.log)?;
    let stop = stop_signal()?;
    let services = Services::connect(&settings, Arc::new(SystemClock)).await?;
    let services = services.with_platform(&settings).await?;
    let listener = TcpListener::bind(settings.server.bind)?;
    let scraped = tokio::net::TcpListener::bind(settings.server.metrics_bind).await?;
    let exposed = tokio::spawn(serve_metrics(scraped, metrics));
    tracing::info!(address = %settings.server.bind, "serving");
    let ended = posx_api::serve(services.clone(), &settings.server, listener, stop).await;
    exposed.abort();
    services.close().await;
    Ok(ended?)
}
