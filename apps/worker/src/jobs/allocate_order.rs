use async_trait::async_trait;
use posx_kernel::{OrderId, retry_busy};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `order.paid`: what is to be delivered for it.
#[derive(Debug, Deserialize)]
pub(crate) struct AllocateOrder {
    order: Uuid,
}

#[async_trait]
impl Task for AllocateOrder {
    const NAME: &'static str = "allocate_order";
    const LANE: Lane = Lane::Events;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let order = OrderId::from_uuid(self.order);
        let (scope, allocations) = (work.scope()?, &work.services.allocations);
        let allocated = retry_busy(|| allocations.allocate(scope, order)).await?;
        tracing::info!(%order, ?allocated, "allocated");
        Ok(())
    }
}
