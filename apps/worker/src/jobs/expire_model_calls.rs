use async_trait::async_trait;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// By the clock: what calls of models hold that nobody settled goes back to the budgets.
#[derive(Debug, Deserialize)]
pub(crate) struct ExpireModelCalls {}

#[async_trait]
impl Task for ExpireModelCalls {
    const NAME: &'static str = "expire_model_calls";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let (services, now) = (work.services, work.services.clock.now());
        let expired = services.model_quota.expire(work.scope()?, now).await?;
        if expired > 0 {
            tracing::warn!(
                expired,
                "calls of models were never settled: their reservations expired"
            );
        }
        Ok(())
    }
}
