use async_trait::async_trait;
use posx_kernel::RefundId;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `refund.requested`: sends it, or asks what became of it. Later news come by events and by the sweep.
#[derive(Debug, Deserialize)]
pub(crate) struct SendRefund {
    refund: Uuid,
}

#[async_trait]
impl Task for SendRefund {
    const NAME: &'static str = "send_refund";
    const LANE: Lane = Lane::Providers;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let refund = RefundId::from_uuid(self.refund);
        work.services.orders.send_refund(work.scope()?, refund).await?;
        Ok(())
    }
}
