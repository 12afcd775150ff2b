//! Logs and metrics of a process.
//!
//! Logs carry ids, codes and the site, never a person's data: a text that a caller sent is not logged.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::{LogFormat, LogSettings};

/// Upper bounds in seconds: from a cached read to a request that is about to time out.
const DURATION_BUCKETS_S: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The queue's library logs each job and each failure with its payload; the runner does so once, and without.
const QUIET: [&str; 2] = [
    "graphile_worker::runner::release=off",
    "graphile_worker::runner::task_execution=warn",
];

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("log.filter is not a list of log directives")]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    #[error("this process has a log already")]
    LogTaken(#[source] TryInitError),
    #[error("the metrics recorder cannot be installed")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
}

/// Renders what was counted so far, in the text format of Prometheus.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

impl MetricsHandle {
    pub fn render(&self) -> String {
        // Folds waiting histogram samples: without it they pile up between two scrapes of a quiet process.
        self.0.run_upkeep();
        self.0.render()
    }
}

/// Starts logs (to standard error) and metrics. Once per process.
pub fn init(settings: &LogSettings) -> Result<MetricsHandle, TelemetryError> {
    let mut filter = EnvFilter::builder()
        .parse(&settings.filter)
        .map_err(TelemetryError::Filter)?;
    for directive in QUIET {
        filter = filter.add_directive(directive.parse().map_err(TelemetryError::Filter)?);
    }
    let registry = tracing_subscriber::registry().with(filter);
    let to_stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Json => registry
            .with(to_stderr.json().flatten_event(true).with_current_span(true))
            .try_init(),
        LogFormat::Pretty => registry.with(to_stderr.compact()).try_init(),
    }
    .map_err(TelemetryError::LogTaken)?;
    install_metrics()
}

fn install_metrics() -> Result<MetricsHandle, TelemetryError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS_S)
        .and_then(PrometheusBuilder::install_recorder)
        .map(MetricsHandle)
        .map_err(TelemetryError::Metrics)
}
