use async_trait::async_trait;
use posx_allocations::PauseReason;
use posx_kernel::BatchId;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows a batch's second approval, and whatever lets it go on: sends its transfers to the custodian. Gives the alarm when a
/// batch paused by itself.
#[derive(Debug, Deserialize)]
pub(crate) struct SubmitBatch {
    batch: Uuid,
}

#[async_trait]
impl Task for SubmitBatch {
    const NAME: &'static str = "submit_batch";
    const LANE: Lane = Lane::Providers;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let batch = BatchId::from_uuid(self.batch);
        let run = work
            .services
            .allocations
            .submit_batch(work.scope()?, batch)
            .await?;
        tracing::info!(%batch, ?run, "batch submitted");
        if let Some(why) = run.paused.filter(|why| *why != PauseReason::ByPerson) {
            tracing::error!(%batch, why = why.as_str(), "a batch paused by itself: a person should look");
            metrics::counter!("posx_allocation_batches_paused_total", "reason" => why.as_str()).increment(1);
        }
        Ok(())
    }
}
