use async_trait::async_trait;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// By the clock, and when a start was moved: releases whose day has come become allocations. What was missed while no worker
/// ran is among them.
#[derive(Debug, Deserialize)]
pub(crate) struct UnlockVesting {}

#[async_trait]
impl Task for UnlockVesting {
    const NAME: &'static str = "unlock_vesting";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let run = work.services.allocations.unlock_due(work.scope()?).await?;
        if run.orders + run.held > 0 {
            tracing::info!(?run, "vesting unlocked");
        }
        Ok(())
    }
}
