//! The worker process's heart: one queue client per lane, all stopped by one signal.

use std::time::{Duration, Instant};

use futures::future::FutureExt as _;
use graphile_worker::{
    JobRecovery, JobRecoveryResult, LocalQueueConfig, RefetchDelayConfig, Worker, WorkerBuildError,
    WorkerOptions, WorkerRecoveryConfig, WorkerShutdownConfig,
};
use posx_runtime::{Services, WorkerSettings};
use tokio::sync::watch;

use crate::error::chain;
use crate::registry::TASKS;
use crate::runner::Runner;
use crate::task::Lane;
use crate::tick::CRONTAB;

const SCHEMA: &str = "graphile_worker";
/// What a stop interrupted runs elsewhere this soon; the try is not counted.
const INTERRUPTED_DELAY: Duration = Duration::from_secs(1);
/// After a fetch that found little, the queue is left alone this long unless a job is announced. Without it an idle lane of
/// graphile_worker 0.14 wakes itself after each fetch, thousands of times a second.
const REFETCH_AFTER: Duration = Duration::from_millis(50);
/// Jobs wait in memory this long at most before they are given back.
const LOCAL_TTL: Duration = Duration::from_mins(1);

/// After the queue was lost; doubled each time it is lost again soon, up to the maximum.
const REOPEN_AFTER: Duration = Duration::from_millis(500);
const REOPEN_AFTER_MAX: Duration = Duration::from_secs(30);

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

/// Runs jobs until `shutdown` resolves; then running jobs get the grace period, and fetched ones are given back. The first
/// opening must succeed; afterwards, when a lane fails because the database went away, all are opened again, as often as
/// it takes.
pub async fn run(
    services: Services,
    settings: &WorkerSettings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let runner = Runner::new(services.clone());
    let mut shutdown = std::pin::pin!(shutdown.fuse());
    let mut lanes = Lanes::open(&services, settings, &runner).await?;
    let mut delay = REOPEN_AFTER;
    loop {
        let opened = Instant::now();
        let mut error = match lanes.run_until(&mut shutdown).await {
            Ended::AsAsked(result) => return result,
            Ended::Failed(error) => error,
        };
        if opened.elapsed() > REOPEN_AFTER_MAX {
            delay = REOPEN_AFTER;
        }
        lanes = loop {
            metrics::counter!("posx_worker_reopened_total").increment(1);
            tracing::error!(
                error = chain(&error),
                "the worker has no queue and opens it again"
            );
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = &mut shutdown => return Ok(()),
            }
            delay = (delay * 2).min(REOPEN_AFTER_MAX);
            match Lanes::open(&services, settings, &runner).await {
                Ok(lanes) => break lanes,
                Err(still) => error = still,
            }
        };
    }
}

enum Ended {
    /// After the shutdown was asked for.
    AsAsked(Result<(), RunError>),
    Failed(RunError),
}

/// The three clients, and the signal that stops them together.
struct Lanes {
    workers: Vec<(Lane, Worker)>,
    stop: watch::Sender<bool>,
}

impl Lanes {
    async fn open(services: &Services, settings: &WorkerSettings, runner: &Runner) -> Result<Self, RunError> {
        let (stop, stopped) = watch::channel(false);
        let mut workers = Vec::new();
        for lane in Lane::ALL {
            workers.push((
                lane,
                open(services, settings, runner, lane, stopped.clone()).await?,
            ));
        }
        tracing::info!(lanes = workers.len(), "the worker takes jobs");
        Ok(Self { workers, stop })
    }

    async fn run_until(&self, shutdown: impl Future<Output = ()>) -> Ended {
        let mut running = std::pin::pin!(self.run());
        tokio::select! {
            ended = &mut running => match ended {
                Ok(()) => Ended::AsAsked(Ok(())),
                Err(error) => Ended::Failed(error),
            },
            () = shutdown => {
                tracing::info!("the worker stops");
                self.stop.send_replace(true);
                Ended::AsAsked(running.await)
            }
        }
    }

    /// All of them to their end, then the first error. When one ends the others must not go on alone.
    async fn run(&self) -> Result<(), RunError> {
        let lanes = self.workers.iter().map(|(lane, worker)| {
            worker.run().map(|ended| {
                self.stop.send_replace(true);
                ended.map_err(|source| RunError::Stopped {
                    lane: lane.name(),
                    source: Box::new(source),
                })
            })
        });
        futures::future::join_all(lanes).await.into_iter().collect()
    }
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
    let poll_interval = Duration::from_millis(settings.poll_interval_ms);
    let refetch_delay = RefetchDelayConfig::default()
        .with_duration(REFETCH_AFTER.min(poll_interval))
        .with_max_abort_threshold(1);
    let mut options = WorkerOptions::default()
        .schema(SCHEMA)
        .pg_pool(services.jobs_database.pool().clone())
        .concurrency(concurrency)
        .poll_interval(poll_interval)
        .local_queue(
            LocalQueueConfig::default()
                .with_size(settings.local_queue_size)
                .with_ttl(LOCAL_TTL)
                .with_refetch_delay(refetch_delay),
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
