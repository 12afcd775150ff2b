use async_trait::async_trait;
use posx_kernel::{OrderId, Severity};
use posx_orders::Closed;
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

const AT_ONCE: u16 = 500;

/// By the clock: orders whose time is up are closed, their intents cancelled first.
#[derive(Debug, Deserialize)]
pub(crate) struct ExpireOrders {}

#[async_trait]
impl Task for ExpireOrders {
    const NAME: &'static str = "expire_orders";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let mut after = None;
        loop {
            let orders = &work.services.orders;
            let due = orders.due_for_expiry(work.scope()?, after, AT_ONCE).await?;
            let mut closed = 0;
            for due in &due {
                closed += usize::from(expire(work, due.order).await?);
            }
            if closed > 0 {
                tracing::info!(orders = closed, "orders expired");
            }
            // Those that wait for a payment under way stay due: the next tick asks again.
            match due.last() {
                Some(last) if due.len() == usize::from(AT_ONCE) => after = Some(*last),
                _ => return Ok(()),
            }
        }
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
