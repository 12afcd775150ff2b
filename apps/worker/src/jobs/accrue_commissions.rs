use async_trait::async_trait;
use posx_kernel::{OrderId, retry_busy};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `order.paid`: who earns a share of it.
#[derive(Debug, Deserialize)]
pub(crate) struct AccrueCommissions {
    order: Uuid,
}

#[async_trait]
impl Task for AccrueCommissions {
    const NAME: &'static str = "accrue_commissions";
    const LANE: Lane = Lane::Events;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let order = OrderId::from_uuid(self.order);
        let (scope, commissions) = (work.scope()?, &work.services.commissions);
        let accrued = retry_busy(|| commissions.accrue(scope, order)).await?;
        tracing::info!(%order, ?accrued, "shares decided");
        Ok(())
    }
}
