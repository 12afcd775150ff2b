//! The schedule's own jobs: each only adds one job per site.

use async_trait::async_trait;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};
use crate::tick::{Tick, tick};

macro_rules! ticks {
    ($($name:ident = $task:literal => $tick:ident;)+) => {$(
        #[derive(Debug, Deserialize)]
        pub(crate) struct $name {}

        #[async_trait]
        impl Task for $name {
            const NAME: &'static str = $task;
            const LANE: Lane = Lane::Sweeps;

            async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
                Ok(tick(work.services, Tick::$tick).await?)
            }
        }
    )+};
}

ticks! {
    TickExpire = "tick_expire" => Expire;
    TickReconcile = "tick_reconcile" => Reconcile;
    TickMature = "tick_mature" => Mature;
    TickRecover = "tick_recover" => Recover;
    TickSeal = "tick_seal" => Seal;
    TickUnlock = "tick_unlock" => Unlock;
    TickStatements = "tick_statements" => Statements;
}

/// Also deletes what belongs to no site.
#[derive(Debug, Deserialize)]
pub(crate) struct TickPurge {}

#[async_trait]
impl Task for TickPurge {
    const NAME: &'static str = "tick_purge";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        tick(work.services, Tick::Purge).await?;
        super::purge::purge_webhooks(work.services).await?;
        work.services.jobs_database.purge_superseded_jobs().await?;
        super::purge::purge_sessions(work.services).await
    }
}
