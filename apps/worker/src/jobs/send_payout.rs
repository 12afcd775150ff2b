use async_trait::async_trait;
use posx_kernel::PayoutId;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `payout.approved`: sends it, or asks what became of it, until the provider is through.
#[derive(Debug, Deserialize)]
pub(crate) struct SendPayout {
    payout: Uuid,
}

#[async_trait]
impl Task for SendPayout {
    const NAME: &'static str = "send_payout";
    const LANE: Lane = Lane::Providers;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let payout = PayoutId::from_uuid(self.payout);
        let sent = work.services.payouts.send(work.scope()?, payout).await?;
        tracing::info!(%payout, ?sent, "payout");
        Ok(())
    }
}
