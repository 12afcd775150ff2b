//! What must not be sent leaves its batch, and whoever approved the batch has not approved what is left.

use posx_kernel::{AllocationId, BatchId, Event, SiteScope, StoreError, Timestamp};
use serde_json::json;

use super::line::{cooling_off, waits_in};
use super::{Batch, BatchError, BatchLine, BatchState, LeftOut, PauseReason};
use crate::adjust::{Parts, is_settled, unsettled};
use crate::{Allocation, Allocations, AllocationsTx, OrderToDeliver};

/// Why nothing of the order, or not this part, is to be sent now. The order is locked.
pub(crate) async fn why_not_in_tx(
    tx: &mut dyn AllocationsTx,
    order: &OrderToDeliver,
    allocation: &Allocation,
    now: Timestamp,
) -> Result<Option<LeftOut>, StoreError> {
    if order.disputed {
        return Ok(Some(LeftOut::OrderDisputed));
    }
    if order.returned.is_positive() {
        let parts = Parts::read_in_tx(tx, order, now).await?;
        if !is_settled(&parts, allocation.line) {
            return Ok(Some(LeftOut::OrderReturned));
        }
    }
    Ok(cooling_off(allocation, now).map(|_| LeftOut::WalletCoolingOff))
}

/// The same of a line that waits in its batch, and whether it still says what would be sent. The order is locked.
pub(crate) async fn line_why_not_in_tx(
    tx: &mut dyn AllocationsTx,
    order: &OrderToDeliver,
    allocation: &Allocation,
    line: &BatchLine,
    now: Timestamp,
) -> Result<Option<LeftOut>, StoreError> {
    if let Some(why) = why_not_in_tx(tx, order, allocation, now).await? {
        return Ok(Some(why));
    }
    let present = tx.batches().as_of_now(&[allocation.id]).await?;
    let present = present
        .first()
        .ok_or_else(|| StoreError::broken("an allocation without its asset"))?;
    Ok(line.differs_from(present))
}

/// They leave the batch, pending. They are locked, and wait in this batch.
pub(crate) async fn take_out_in_tx(
    tx: &mut dyn AllocationsTx,
    batch: BatchId,
    mut allocations: Vec<Allocation>,
    why: LeftOut,
    now: Timestamp,
) -> Result<(), StoreError> {
    for allocation in &mut allocations {
        allocation.hold_back(now);
        tx.batches().leave_out(batch, allocation.id, why, now).await?;
        let payload = json!({ "order": allocation.order, "batch": batch, "why": why });
        let event = Event {
            kind: "allocation.held_back",
            subject: allocation.id.as_uuid(),
            payload,
            at: now,
        };
        tx.outbox().append(event).await?;
        match why {
            // It goes neither to the old wallet nor to the new one before people have looked.
            LeftOut::WalletChanged => {
                tx.delivered_orders()
                    .flag(allocation.order, "wallet_changed")
                    .await?;
            }
            LeftOut::OrderDisputed | LeftOut::OrderReturned | LeftOut::GivenUp => {
                tx.outbox().append(unsettled(allocation.order, now)).await?;
            }
            _ => {}
        }
    }
    tx.allocations().save(&allocations).await?;
    let mut changed = locked_in_tx(tx, batch).await?;
    let lines = tx.batches().lines(batch).await?;
    let (state, voided) = (changed.state, !changed.approvals.is_empty());
    changed.change(&lines, now).map_err(|_| broken())?;
    tx.batches().save(&changed).await?;
    if voided && !matches!((state, changed.state), (BatchState::Approved, BatchState::Draft)) {
        let event = changed.happened(BatchState::Draft.event(), now);
        tx.outbox().append(event).await?;
    }
    if let Some(event) = changed.moved_from(state, now) {
        tx.outbox().append(event).await?;
    }
    Ok(())
}

/// Nothing more of it is sent before people have looked. Ends with the batch's row.
pub(crate) async fn pause_in_tx(
    tx: &mut dyn AllocationsTx,
    id: BatchId,
    why: PauseReason,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut batch = locked_in_tx(tx, id).await?;
    if batch.state != BatchState::Sending {
        return Ok(());
    }
    batch.pause(why, now).map_err(|_| broken())?;
    tx.batches().save(&batch).await?;
    let event = batch.happened(BatchState::Paused.event(), now);
    tx.outbox().append(event).await
}

pub(crate) fn broken() -> StoreError {
    StoreError::broken("a batch that is not where its lines are")
}

/// Of an allocation that says it is in it.
pub(crate) async fn locked_in_tx(tx: &mut dyn AllocationsTx, id: BatchId) -> Result<Batch, StoreError> {
    tx.batches().for_update(id).await?.ok_or_else(broken)
}

impl Allocations {
    /// Looks at every line that waits, and takes out what must not be sent any more.
    pub(crate) async fn look_again(&self, scope: &SiteScope, batch: BatchId) -> Result<(), BatchError> {
        let lines = self.db.begin(scope).await?.batches().lines(batch).await?;
        for line in lines.iter().filter(|line| line.is_waiting()) {
            self.look_at(scope, batch, line.allocation).await?;
        }
        Ok(())
    }

    async fn look_at(&self, scope: &SiteScope, batch: BatchId, id: AllocationId) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let Some((order, allocation)) = crate::report::lock_with_order_in_tx(tx.as_mut(), id).await? else {
            return Ok(());
        };
        if !waits_in(&allocation, batch) {
            return Ok(());
        }
        let lines = tx.batches().lines(batch).await?;
        let line = lines
            .iter()
            .find(|line| line.allocation == id)
            .ok_or_else(broken)?;
        if let Some(why) = line_why_not_in_tx(tx.as_mut(), &order, &allocation, line, now).await? {
            take_out_in_tx(tx.as_mut(), batch, vec![allocation], why, now).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
