use async_trait::async_trait;
use chrono::TimeDelta;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// An open dispute of which nothing was heard for so long is asked about.
const SILENT_FOR: TimeDelta = TimeDelta::hours(6);

/// By the clock: open disputes whose events did not come, and alarms before evidence is due.
#[derive(Debug, Deserialize)]
pub(crate) struct WatchDisputes {}

#[async_trait]
impl Task for WatchDisputes {
    const NAME: &'static str = "watch_disputes";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let (orders, scope) = (&work.services.orders, work.scope()?);
        let older_than = work.services.clock.now() - SILENT_FOR;
        let asked = orders.reconcile_disputes(scope, older_than).await?;
        let alarms = orders.alarm_of_evidence(scope).await?;
        if asked + alarms > 0 {
            tracing::info!(asked, alarms, "open disputes looked up");
        }
        if alarms > 0 {
            metrics::counter!("posx_dispute_evidence_alarms_total")
                .increment(u64::try_from(alarms).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}
