use async_trait::async_trait;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// By the clock: gives up what agents owe, where the site's rules say so.
#[derive(Debug, Deserialize)]
pub(crate) struct WriteOffBalances {}

#[async_trait]
impl Task for WriteOffBalances {
    const NAME: &'static str = "write_off_balances";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let written = work.services.payouts.write_off_by_rule(work.scope()?).await?;
        if written > 0 {
            tracing::info!(written, "debts written off by rule");
        }
        Ok(())
    }
}
