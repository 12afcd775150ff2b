use async_trait::async_trait;
use posx_kernel::BatchId;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `allocation_batch.created`: sends its transfers to the custodian.
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
        Ok(())
    }
}
