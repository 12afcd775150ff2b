use async_trait::async_trait;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

const AT_ONCE: u16 = 100;
/// Each round touches what it asked about, so the next one meets others.
const ROUNDS_MAX: usize = 10;

/// By the clock: asks the custodian about transfers that have been on their way for long without a word.
#[derive(Debug, Deserialize)]
pub(crate) struct ReconcileAllocations {}

#[async_trait]
impl Task for ReconcileAllocations {
    const NAME: &'static str = "reconcile_allocations";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        for _ in 0..ROUNDS_MAX {
            let round = work
                .services
                .allocations
                .reconcile(work.scope()?, AT_ONCE)
                .await?;
            if round.checked > 0 {
                tracing::info!(?round, "stuck allocations looked up");
            }
            if round.checked < AT_ONCE {
                break;
            }
        }
        Ok(())
    }
}
