//! The last look before an allocation is sent.

use posx_kernel::{AllocationId, Event, SiteScope, StoreError};
use serde_json::json;

use crate::adjust::{Parts, is_settled, unsettled};
use crate::{AllocationState, Allocations, SubmitError};

impl Allocations {
    /// True: its order is disputed, or money went back for which it is still to be cut. It leaves its batch, pending, and the
    /// job that adjusts the order is asked for. A look, not a lock: what is sent in the same moment becomes the buyer's debt.
    pub(crate) async fn held_back(&self, scope: &SiteScope, id: AllocationId) -> Result<bool, SubmitError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let order = tx
            .allocations()
            .order_of(id)
            .await?
            .ok_or(SubmitError::NotFound)?;
        let order = tx.delivered_orders().for_update(order).await?;
        let order = order.ok_or_else(|| StoreError::broken("an allocation without its order"))?;
        if !order.disputed && !order.returned.is_positive() {
            return Ok(false);
        }
        let parts = Parts::read_in_tx(tx.as_mut(), &order, now).await?;
        let queued = |one: &&crate::Allocation| one.id == id && one.state == AllocationState::Queued;
        let Some(mut allocation) = parts.allocations.iter().find(queued).cloned() else {
            return Ok(false);
        };
        let why = match () {
            () if order.disputed => "order_disputed",
            () if !is_settled(&parts, allocation.line) => "order_returned",
            () => return Ok(false),
        };
        let batch = allocation.hold_back(now);
        tx.allocations().save(std::slice::from_ref(&allocation)).await?;
        let event = Event {
            kind: "allocation.held_back",
            subject: id.as_uuid(),
            payload: json!({ "order": order.order, "batch": batch, "why": why }),
            at: now,
        };
        tx.outbox().append(event).await?;
        tx.outbox().append(unsettled(order.order, now)).await?;
        tx.commit().await?;
        Ok(true)
    }
}
