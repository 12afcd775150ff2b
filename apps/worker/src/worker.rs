//! The worker process's heart: one queue client per lane, all stopped by one signal.

use std::time::Duration;

use futures::future::FutureExt as _;
use graphile_worker::{
    JobRecovery, JobRecoveryResult, LocalQueueConfig, Worker, WorkerBuildError, WorkerOptions,
    WorkerRecoveryConfig, WorkerShutdownConfig,
};
use posx_runtime::{Services, WorkerSettings};
use tokio::sync::watch;

use crate::registry::TASKS;
use crate::runner::Runner;
use crate::task::Lane;
use crate::tick::CRONTAB;

const SCHEMA: &str = "graphile_worker";
/// What a stop interrupted runs elsewhere this soon; the try is not counted.
const INTERRUPTED_DELAY: Duration = Duration::from_secs(1);
/// Jobs wait in memory this long at most before they are given back.
const LOCAL_TTL: Duration = Duration::from_mins(1);

/// Why the worker does not run, or not any more.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the queue's lane {lane} cannot be opened")]
    Open {
        lane: &'static str,
        #[source]
        source: Box<WorkerBuildError>,
    },
    #[error("the schedule is not readable")]
    Schedule(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the queue's lane {lane} stopped")]
    Stopped {
        lane: &'static str,
        #[source]
        source: Box<graphile_worker::runner::WorkerRuntimeError>,
    },
}

/// Runs jobs until `shutdown` resolves; then running jobs get the grace period, and fetched ones are given back. When one
/// lane fails the others stop too, and the error is returned: whoever supervises the process starts it again.
pub async fn run(
    services: Services,
    settings: &WorkerSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let (stop, stopped) = watch::channel(false);
    let runner = Runner::new(services.clone());
    let mut lanes = Vec::new();
    for lane in Lane::ALL {
        lanes.push((
            lane,
            open(&services, settings, &runner, lane, stopped.clone()).await?,
        ));
    }
    tracing::info!(lanes = lanes.len(), "the worker takes jobs");
    let running = lanes.iter().map(|(lane, worker)| {
        let stop = stop.clone();
        worker.run().map(move |ended| {
            // Whatever ended it: the other lanes must not go on alone.
            stop.send_replace(true);
            ended.map_err(|source| RunError::Stopped {
                lane: lane.name(),
                source: Box::new(source),
            })
        })
    });
    let mut running = std::pin::pin!(join_lanes(running));
    tokio::select! {
        ended = &mut running => ended,
        () = shutdown => {
            tracing::info!("the worker stops");
            stop.send_replace(true);
            running.await
        }
    }
}

/// All of them to their end, then the first error.
async fn join_lanes(
    lanes: impl Iterator<Item = impl Future<Output = Result<(), RunError>>>,
) -> Result<(), RunError> {
    let ended = futures::future::join_all(lanes).await;
    ended.into_iter().collect()
}

async fn open(
    services: &Services,
    settings: &WorkerSettings,
    runner: &Runner,
    lane: Lane,
    mut stopped: watch::Receiver<bool>,
) -> Result<Worker, RunError> {
    let stop = async move {
        // An error means that the sender is gone, and with it the worker: a stop as well.
        stopped.wait_for(|stop| *stop).await.ok();
    };
    let shutdown = WorkerShutdownConfig::default()
        .listen_os_shutdown_signals(false)
        .grace_period(Duration::from_secs(settings.shutdown_grace_s.into()))
        .interrupted_job_retry_delay(INTERRUPTED_DELAY)
        .shutdown_signal(stop);
    let recovery = WorkerRecoveryConfig::default()
        .heartbeat_interval(Duration::from_secs(settings.heartbeat_s.into()))
        .sweep_interval(Duration::from_secs(settings.sweep_s.into()))
        .sweep_threshold(Duration::from_secs(settings.dead_after_s.into()));
    let concurrency = match lane {
        Lane::Events => settings.events_concurrency,
        Lane::Providers => settings.providers_concurrency,
        Lane::Sweeps => settings.sweeps_concurrency,
    };
    let mut options = WorkerOptions::default()
        .schema(SCHEMA)
        .pg_pool(services.jobs_database.pool().clone())
        .concurrency(concurrency)
        .poll_interval(Duration::from_millis(settings.poll_interval_ms))
        .local_queue(
            LocalQueueConfig::default()
                .with_size(settings.local_queue_size)
                .with_ttl(LOCAL_TTL),
        )
        .worker_shutdown(shutdown)
        .worker_recovery(recovery)
        .add_extension(runner.clone())
        .define_jobs(
            TASKS
                .iter()
                .filter(|task| task.lane == lane)
                .map(|task| (task.define)()),
        )
        // The library would give the try back, and a job that kills its worker would do so for ever.
        .on(JobRecovery, |_| async { JobRecoveryResult::FailWithBackoff });
    if lane == Lane::Sweeps && settings.schedule {
        options = options
            .with_cron(CRONTAB)
            .map_err(|error| RunError::Schedule(Box::new(error)))?;
    }
    options.init().await.map_err(|source| RunError::Open {
        lane: lane.name(),
        source: Box::new(source),
    })
}
