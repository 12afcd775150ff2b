//! Staff put what is pending in a batch, and see what of it cannot be sent.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use posx_kernel::{
    AllocationId, BatchId, Event, IdempotentCall, IdentityId, Made, OrderId, SiteScope, Timestamp,
    made_before_in_tx, remember_in_tx,
};
use serde_json::json;

use super::take_out::why_not_in_tx;
use super::{BATCH_SIZE_MAX, Batch, BatchError, BatchLine, LeftOut};
use crate::{Allocation, Allocations, AllocationsTx, QueueRefusal};

/// What a draft is made of.
#[derive(Default)]
struct Draft {
    lines: Vec<BatchLine>,
    queued: Vec<Allocation>,
}

impl Allocations {
    /// A draft: what can be sent is queued in it; what cannot be sent now is a line that is left out, and stays pending. Refused
    /// whole when an allocation is not pending at all, or nothing could be sent. `ids` keep their order for the field that a
    /// refusal names.
    pub async fn create_batch(
        &self,
        scope: &SiteScope,
        actor: IdentityId,
        ids: &[AllocationId],
        call: Option<&IdempotentCall>,
    ) -> Result<Made<BatchId>, BatchError> {
        check(ids)?;
        let now = self.clock.now();
        let id = BatchId::from_uuid(self.ids.uuid(now));
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, BatchError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let Draft { lines, queued } = draft_in_tx(tx.as_mut(), id, ids, now).await?;
        let batch = Batch::draft(id, actor, &lines, now);
        tx.batches().insert(&batch, &lines).await?;
        tx.allocations().save(&queued).await?;
        let left_out = lines.iter().filter(|line| line.left_out.is_some()).count();
        let payload = json!({
            "allocations": ids, "size": batch.size, "left_out": left_out, "hash": hex::encode(batch.hash),
        });
        let event = Event {
            kind: "allocation_batch.created",
            subject: id.as_uuid(),
            payload,
            at: now,
        };
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Made::now(id))
    }
}

fn check(ids: &[AllocationId]) -> Result<(), BatchError> {
    if ids.is_empty() {
        return Err(BatchError::Empty);
    }
    if ids.len() > BATCH_SIZE_MAX {
        return Err(BatchError::TooMany);
    }
    let mut seen = HashSet::new();
    match ids.iter().position(|id| !seen.insert(id)) {
        Some(at) => Err(BatchError::Duplicate { at }),
        None => Ok(()),
    }
}

/// Locks the orders, then the allocations, each in order of their ids.
async fn draft_in_tx(
    tx: &mut dyn AllocationsTx,
    batch: BatchId,
    ids: &[AllocationId],
    now: Timestamp,
) -> Result<Draft, BatchError> {
    let orders: BTreeSet<OrderId> = tx
        .batches()
        .as_of_now(ids)
        .await?
        .iter()
        .map(|line| line.order)
        .collect();
    let mut facts = BTreeMap::new();
    for order in orders {
        if let Some(order) = tx.delivered_orders().for_update(order).await? {
            facts.insert(order.order, order);
        }
    }
    let found = tx.allocations().for_update_many(ids).await?;
    let mut found: BTreeMap<_, _> = found.into_iter().map(|one| (one.id, one)).collect();
    let present = tx.batches().as_of_now(ids).await?;
    let (mut draft, mut first_refusal) = (Draft::default(), None);
    for (at, id) in ids.iter().enumerate() {
        let line = present.iter().find(|line| line.allocation == *id);
        let (Some(mut allocation), Some(mut line)) = (found.remove(id), line.cloned()) else {
            return Err(BatchError::NotFound { at });
        };
        let order = facts.get(&allocation.order).ok_or(BatchError::NotFound { at })?;
        let why = why_not_in_tx(tx, order, &allocation, now)
            .await?
            .or(line.left_out);
        let refusal = match (allocation.queue(batch, now), why) {
            (Ok(()), None) => None,
            (Ok(()), Some(LeftOut::OrderDisputed)) => Some(QueueRefusal::OrderDisputed),
            (Ok(()), Some(LeftOut::VaultNotAssigned)) => Some(QueueRefusal::VaultNotAssigned),
            (Ok(()), Some(_)) => Some(QueueRefusal::OrderReturned),
            (Err(refusal @ QueueRefusal::CoolingOff { .. }), _) => Some(refusal),
            (Err(refusal), _) => return Err(BatchError::NotQueueable { at, refusal }),
        };
        line.left_out = why;
        draft.lines.push(line);
        match refusal {
            None => draft.queued.push(allocation),
            Some(refusal) => {
                first_refusal.get_or_insert(BatchError::NotQueueable { at, refusal });
            }
        }
    }
    match first_refusal {
        Some(refusal) if draft.queued.is_empty() => Err(refusal),
        _ => Ok(draft),
    }
}
