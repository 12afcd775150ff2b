use async_trait::async_trait;
use chrono::TimeDelta;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

const AT_ONCE: u16 = 100;
/// Its own job has had its first tries by then.
const UNTOUCHED_FOR: TimeDelta = TimeDelta::minutes(10);

/// By the clock: asks the provider about payouts that have been on their way for long without a word.
#[derive(Debug, Deserialize)]
pub(crate) struct ReconcilePayouts {}

#[async_trait]
impl Task for ReconcilePayouts {
    const NAME: &'static str = "reconcile_payouts";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let untouched_since = work.services.clock.now() - UNTOUCHED_FOR;
        let payouts = &work.services.payouts;
        let asked = payouts.reconcile(work.scope()?, untouched_since, AT_ONCE).await?;
        if asked > 0 {
            tracing::info!(asked, "payouts without an answer looked up");
        }
        Ok(())
    }
}
