use async_trait::async_trait;
use posx_kernel::PaymentAttemptId;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Follows `checkout.opened`, a little later: an attempt whose intent we never heard of is settled by asking.
#[derive(Debug, Deserialize)]
pub(crate) struct ResolveCheckout {
    attempt: Uuid,
}

#[async_trait]
impl Task for ResolveCheckout {
    const NAME: &'static str = "resolve_checkout";
    const LANE: Lane = Lane::Providers;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let attempt = PaymentAttemptId::from_uuid(self.attempt);
        let settled = work
            .services
            .orders
            .resolve_attempt(work.scope()?, attempt)
            .await?;
        tracing::debug!(%attempt, settled, "checkout looked at");
        Ok(())
    }
}
