use async_trait::async_trait;
use posx_kernel::{OrderId, retry_busy};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `order.returns_changed`, and the end of a transfer that it had to wait for: what went back of the sale is cut from
/// what is to be delivered, or owed by the buyer, and restored when it did not go back after all.
#[derive(Debug, Deserialize)]
pub(crate) struct AdjustAllocations {
    order: Uuid,
}

#[async_trait]
impl Task for AdjustAllocations {
    const NAME: &'static str = "adjust_allocations";
    const LANE: Lane = Lane::Events;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let order = OrderId::from_uuid(self.order);
        let (scope, allocations) = (work.scope()?, &work.services.allocations);
        // Without stock for what is restored it is tried again, and replayed when there is some: nothing is owed in silence.
        let adjusted = retry_busy(|| allocations.adjust(scope, order))
            .await
            .map_err(JobError::worth_a_retry)?;
        tracing::info!(%order, ?adjusted, "deliveries follow what went back");
        Ok(())
    }
}
