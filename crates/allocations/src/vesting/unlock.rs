//! What is due becomes allocations.

use posx_kernel::{Event, OrderId, SiteScope, StoreError, VestingPolicyId, retry_busy};
use serde_json::json;

use crate::{AllocateError, Allocations};

const AT_ONCE: u16 = 200;

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unlocked {
    pub orders: u64,
    /// Orders of which something else kept it: they are flagged for a person.
    pub held: u64,
}

impl Allocations {
    /// The body of the scheduled job: everything whose day has come, also long ago. Safe to run any number of times, also at
    /// once. Each order is a transaction of its own; a fault of the store ends the run, and the next goes on.
    pub async fn unlock_due(&self, scope: &SiteScope) -> Result<Unlocked, AllocateError> {
        let today = self.clock.now().date_naive();
        let policies = self.db.begin(scope).await?.vesting().started_policies().await?;
        let mut run = Unlocked::default();
        for policy in policies {
            if let Some(through) = policy.last_due(today) {
                self.unlock_policy(scope, policy.id, through, &mut run).await?;
            }
        }
        Ok(run)
    }

    /// Asks for the job now.
    pub async fn request_unlock(&self, scope: &SiteScope) -> Result<(), StoreError> {
        let mut tx = self.db.begin(scope).await?;
        let event = Event {
            kind: "vesting.unlock_requested",
            subject: scope.site().as_uuid(),
            payload: json!({}),
            at: self.clock.now(),
        };
        tx.outbox().append(event).await?;
        tx.commit().await
    }

    async fn unlock_policy(
        &self,
        scope: &SiteScope,
        policy: VestingPolicyId,
        through: u16,
        run: &mut Unlocked,
    ) -> Result<(), AllocateError> {
        let mut after: Option<OrderId> = None;
        loop {
            let mut tx = self.db.begin(scope).await?;
            let orders = tx.vesting().due_orders(policy, through, after, AT_ONCE).await?;
            drop(tx);
            for order in &orders {
                match retry_busy(|| self.adjust(scope, *order)).await {
                    Ok(_) => run.orders += 1,
                    Err(AllocateError::Store(error)) => return Err(error.into()),
                    Err(_) => run.held += 1,
                }
            }
            match orders.last() {
                Some(last) if orders.len() == usize::from(AT_ONCE) => after = Some(*last),
                _ => return Ok(()),
            }
        }
    }
}
