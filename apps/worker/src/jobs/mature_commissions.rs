use async_trait::async_trait;
use posx_kernel::retry_busy;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

const AT_ONCE: u16 = 500;
/// What is left becomes ready with the next tick.
const ROUNDS_MAX: usize = 200;

/// By the clock: held commissions whose time is over become ready.
#[derive(Debug, Deserialize)]
pub(crate) struct MatureCommissions {}

#[async_trait]
impl Task for MatureCommissions {
    const NAME: &'static str = "mature_commissions";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let (scope, commissions) = (work.scope()?, &work.services.commissions);
        let mut ready = 0;
        for _ in 0..ROUNDS_MAX {
            let now_ready = retry_busy(|| commissions.mature(scope, AT_ONCE)).await?;
            ready += now_ready;
            if now_ready < usize::from(AT_ONCE) {
                break;
            }
        }
        if ready > 0 {
            tracing::info!(ready, "commissions became ready");
        }
        Ok(())
    }
}
