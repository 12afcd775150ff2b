//! The processes that are killed, and started again as a supervisor would.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use posx_stage::{Outcome, Server, Setting, Stage, free_port};
use tokio::sync::Mutex;

#[derive(Debug, Clone, Copy)]
pub enum Victim {
    Api,
    Worker,
    /// Every session of the product at PostgreSQL, as when a database fails over.
    Sessions,
}

pub struct Victims {
    /// The address stays over restarts: clients and webhooks know it.
    port: u16,
    api: Mutex<Option<Server>>,
    worker: Mutex<Option<Server>>,
    processes: AtomicU64,
    sessions: AtomicU64,
}

/// A dead worker's jobs are another's after two seconds instead of minutes.
fn worker_settings() -> [Setting; 3] {
    [
        ("WORKER__HEARTBEAT_S", "1".to_owned()),
        ("WORKER__SWEEP_S", "1".to_owned()),
        ("WORKER__DEAD_AFTER_S", "2".to_owned()),
    ]
}

impl Victims {
    pub async fn start(stage: &Stage) -> Outcome<Self> {
        let port = free_port()?;
        let api = stage.api(port, &[]).await?;
        let base = format!("http://127.0.0.1:{port}");
        stage.world.deliver_webhooks_to(
            format!("{base}/webhooks/stripe"),
            format!("{base}/webhooks/fireblocks"),
        );
        let worker = stage.worker(&worker_settings()).await?;
        Ok(Self {
            port,
            api: Mutex::new(Some(api)),
            worker: Mutex::new(Some(worker)),
            processes: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
        })
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// With SIGKILL, and back after `away`.
    pub async fn kill(&self, stage: &Stage, victim: Victim, away: Duration) -> Outcome<()> {
        match victim {
            Victim::Api => {
                let mut api = self.api.lock().await;
                drop(api.take());
                tokio::time::sleep(away).await;
                *api = Some(stage.api(self.port, &[]).await?);
                self.processes.fetch_add(1, Ordering::Relaxed);
            }
            Victim::Worker => {
                let mut worker = self.worker.lock().await;
                drop(worker.take());
                tokio::time::sleep(away).await;
                *worker = Some(stage.worker(&worker_settings()).await?);
                self.processes.fetch_add(1, Ordering::Relaxed);
            }
            Victim::Sessions => {
                let ended = stage
                    .count(
                        "select count(pg_terminate_backend(pid)) from pg_stat_activity
                         where usename in ('posx_app', 'posx_jobs')",
                    )
                    .await?;
                self.sessions.fetch_add(ended, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// A process may end for want of its database; whoever runs the product starts it again.
    pub async fn revive(&self, stage: &Stage) -> Outcome<()> {
        let mut api = self.api.lock().await;
        if api.as_mut().is_some_and(Server::has_ended) {
            *api = Some(stage.api(self.port, &[]).await?);
        }
        drop(api);
        let mut worker = self.worker.lock().await;
        if worker.as_mut().is_some_and(Server::has_ended) {
            *worker = Some(stage.worker(&worker_settings()).await?);
        }
        Ok(())
    }

    pub fn processes_killed(&self) -> u64 {
        self.processes.load(Ordering::Relaxed)
    }

    pub fn sessions_killed(&self) -> u64 {
        self.sessions.load(Ordering::Relaxed)
    }

    pub async fn stop(&self) {
        drop(self.api.lock().await.take());
        drop(self.worker.lock().await.take());
    }
}
