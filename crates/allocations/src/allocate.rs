//! A paid order's allocations: one per line.

use posx_kernel::{AllocationId, Event, OrderId, SiteScope, Timestamp};
use serde_json::json;

use crate::report::derive_delivery_in_tx;
use crate::{AllocateError, Allocation, AllocationState, Allocations, LineToDeliver};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allocated {
    Applied(Vec<AllocationId>),
    /// Every line has its allocation from an earlier run.
    AlreadyApplied,
}

impl Allocations {
    /// The body of the job that follows `order.paid`. Safe to run any number of times, also at once.
    pub async fn allocate(&self, scope: &SiteScope, order: OrderId) -> Result<Allocated, AllocateError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let order = tx
            .delivered_orders()
            .for_update(order)
            .await?
            .ok_or(AllocateError::NoSuchOrder)?;
        if !order.paid {
            return Err(AllocateError::NotPaid);
        }
        let Some(address) = &order.address else {
            tx.delivered_orders()
                .flag(order.order, "wallet_address_missing")
                .await?;
            tx.commit().await?;
            return Err(AllocateError::NoAddress);
        };
        let owed = |line: &LineToDeliver| Allocation {
            id: AllocationId::from_uuid(self.ids.uuid(now)),
            order: order.order,
            line: line.line,
            party: order.buyer,
            asset: line.asset,
            address: address.clone(),
            wallet_usable_from: order.wallet_usable_from,
            amount: line.tokens,
            batch: None,
            tries: 0,
            external_id: None,
            state: AllocationState::Pending,
            parked: None,
            created_at: now,
            updated_at: now,
        };
        let owed: Vec<_> = order.lines.iter().map(owed).collect();
        let made = tx.allocations().insert_new(&owed).await?;
        if made.is_empty() {
            return Ok(Allocated::AlreadyApplied);
        }
        derive_delivery_in_tx(tx.as_mut(), order.order, now).await?;
        for allocation in owed.iter().filter(|allocation| made.contains(&allocation.id)) {
            tx.outbox().append(created(allocation, now)).await?;
        }
        tx.commit().await?;
        Ok(Allocated::Applied(made))
    }
}

fn created(allocation: &Allocation, at: Timestamp) -> Event {
    let payload = json!({
        "order": allocation.order,
        "line": allocation.line,
        "asset": allocation.asset,
        "amount": allocation.amount,
    });
    Event {
        kind: "allocation.created",
        subject: allocation.id.as_uuid(),
        payload,
        at,
    }
}
