use async_trait::async_trait;
use posx_kernel::{OrderId, retry_busy};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `order.returns_changed`: what went back of the sale is taken back from those who earned of it, and given back
/// when it did not go back after all.
#[derive(Debug, Deserialize)]
pub(crate) struct AdjustCommissions {
    order: Uuid,
}

#[async_trait]
impl Task for AdjustCommissions {
    const NAME: &'static str = "adjust_commissions";
    const LANE: Lane = Lane::Events;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let order = OrderId::from_uuid(self.order);
        let (scope, commissions) = (work.scope()?, &work.services.commissions);
        let adjusted = retry_busy(|| commissions.adjust(scope, order)).await?;
        tracing::info!(%order, adjustments = adjusted.len(), "shares follow what went back");
        Ok(())
    }
}
