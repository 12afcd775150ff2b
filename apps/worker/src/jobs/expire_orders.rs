use async_trait::async_trait;
use posx_kernel::{OrderId, Severity};
use posx_orders::Closed;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// Some may wait for a payment under way and stay due: a page must be larger than what usually waits.
const AT_ONCE: u16 = 500;
const ROUNDS_MAX: usize = 20;

/// By the clock: orders whose time is up are closed, their intents cancelled first.
#[derive(Debug, Deserialize)]
pub(crate) struct ExpireOrders {}

#[async_trait]
impl Task for ExpireOrders {
    const NAME: &'static str = "expire_orders";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        for _ in 0..ROUNDS_MAX {
            let due = work
                .services
                .orders
                .due_for_expiry(work.scope()?, AT_ONCE)
                .await?;
            let mut left_the_list = 0;
            for order in &due {
                left_the_list += usize::from(expire(work, *order).await?);
            }
            if left_the_list > 0 {
                tracing::info!(orders = left_the_list, "orders expired");
            }
            if due.len() < usize::from(AT_ONCE) || left_the_list == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// True: it is not due any more. One order that cannot be closed now does not keep the others; the next tick tries again.
async fn expire(work: &Work<'_>, order: OrderId) -> Result<bool, JobError> {
    match work.services.orders.expire(work.scope()?, order).await {
        Ok(Closed::PaymentUnderWay) => Ok(false),
        Ok(_) => Ok(true),
        Err(error) => {
            let error = JobError::from(error);
            if error.severity() == Severity::Error {
                tracing::error!(%order, error = error.chain(), "an order did not expire");
            } else {
                tracing::warn!(%order, error = error.chain(), "an order did not expire");
            }
            Ok(false)
        }
    }
}
