use async_trait::async_trait;
use chrono::TimeDelta;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// A webhook that has not come by then is not waited for any longer.
const OPEN_FOR: TimeDelta = TimeDelta::minutes(5);

/// An open refund may take days: it is asked about once in so long.
const REFUND_OPEN_FOR: TimeDelta = TimeDelta::hours(1);

/// By the clock: asks the payment provider about attempts and refunds that have been open for long without a word.
#[derive(Debug, Deserialize)]
pub(crate) struct ReconcilePayments {}

#[async_trait]
impl Task for ReconcilePayments {
    const NAME: &'static str = "reconcile_payments";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let older_than = work.services.clock.now() - OPEN_FOR;
        let asked = work
            .services
            .orders
            .reconcile_attempts(work.scope()?, older_than)
            .await?;
        let older_than = work.services.clock.now() - REFUND_OPEN_FOR;
        let refunds = work
            .services
            .orders
            .reconcile_refunds(work.scope()?, older_than)
            .await?;
        if refunds > 0 {
            tracing::info!(refunds, "open refunds looked up");
        }
        if asked > 0 {
            tracing::info!(asked, "open payment attempts looked up");
        }
        Ok(())
    }
}
