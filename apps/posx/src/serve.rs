//! `posx serve`: a whole small installation in one process.

use std::net::TcpListener;
use std::sync::Arc;

use posx_kernel::SystemClock;
use posx_runtime::{Services, serve_metrics, stop_signal, telemetry};

use crate::cli::Config;
use crate::failure::{CommandError, Outcome};
use crate::servers::Servers;

pub async fn run(config: &Config) -> Result<Outcome, CommandError> {
    let settings = config.load()?;
    let metrics = telemetry::init(&settings.log)?;
    let stopping = stop_signal().map_err(CommandError::Signals)?;
    let clock = Arc::new(SystemClock);
    let api = Services::connect(&settings, clock.clone()).await?;
    let api = api.with_platform(&settings).await?;
    let worker = Services::connect(&settings, clock).await?;
    let listen = |address| move |source| CommandError::Listen { address, source };
    let listener = TcpListener::bind(settings.server.bind).map_err(listen(settings.server.bind))?;
    let private = settings.server.metrics_bind;
    let private_listener = tokio::net::TcpListener::bind(private)
        .await
        .map_err(listen(private))?;
    let scraper = tokio::spawn(serve_metrics(private_listener, metrics));
    let mut servers = Servers::start(api, worker, &settings, listener);
    tracing::info!(address = %settings.server.bind, "serving API and jobs");
    let ended = tokio::select! {
        error = servers.ended() => Err(error),
        () = stopping => Ok(()),
    };
    let stopped = servers.stop().await;
    scraper.abort();
    ended.and(stopped)?;
    Ok(Outcome::Done)
}
