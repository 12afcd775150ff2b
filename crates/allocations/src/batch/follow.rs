//! A batch follows what becomes of its lines.

use posx_kernel::{BatchId, Event, StoreError, Timestamp};
use serde_json::json;

use super::take_out::{broken, locked_in_tx};
use crate::{Allocation, AllocationState, AllocationsTx};

/// The allocation is stored as `after`. Ends with the batch's row.
pub(crate) async fn follow_in_tx(
    tx: &mut dyn AllocationsTx,
    before: &Allocation,
    after: &Allocation,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(id) = after.batch else { return Ok(()) };
    tx.batches().save_outcome(id, after).await?;
    if in_flight(before)
        && !in_flight(after)
        && let Some(next) = tx.batches().next_after(id, after.id).await?
    {
        tx.outbox().append(continued(next, after, now)).await?;
    }
    if before.state.is_terminal() || !after.state.is_terminal() {
        return Ok(());
    }
    let mut batch = locked_in_tx(tx, id).await?;
    let lines = tx.batches().lines(id).await?;
    let state = batch.state;
    let failed = matches!(after.state, AllocationState::Failed { .. });
    batch.line_ended(failed, &lines, now).map_err(|_| broken())?;
    tx.batches().save(&batch).await?;
    if let Some(event) = batch.moved_from(state, now) {
        tx.outbox().append(event).await?;
    }
    Ok(())
}

/// Its vault sends nothing else.
const fn in_flight(allocation: &Allocation) -> bool {
    matches!(
        allocation.state,
        AllocationState::Unknown | AllocationState::Submitted { .. }
    )
}

/// A vault is free, and this batch is the next to use it.
fn continued(batch: BatchId, after: &Allocation, at: Timestamp) -> Event {
    Event {
        kind: "allocation_batch.continued",
        subject: batch.as_uuid(),
        payload: json!({ "after": after.id }),
        at,
    }
}
