//! Staff put what is pending in a batch; the worker sends it.

use std::collections::{BTreeMap, HashSet};

use posx_kernel::{
    AllocationId, BatchId, Event, IdempotentCall, IdentityId, Made, OrderId, SiteScope, Timestamp,
    made_before_in_tx, remember_in_tx,
};
use serde_json::json;

use crate::{Allocation, Allocations, BatchError, QueueRefusal};

pub const BATCH_SIZE_MAX: usize = 100;

/// Allocations that are sent with one approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub id: BatchId,
    pub created_by: IdentityId,
    /// 1 to 100.
    pub size: u16,
    pub created_at: Timestamp,
}

impl Allocations {
    /// All of them are queued, or none. `ids` keep their order for the field that a refusal names.
    pub async fn create_batch(
        &self,
        scope: &SiteScope,
        actor: IdentityId,
        ids: &[AllocationId],
        call: Option<&IdempotentCall>,
    ) -> Result<Made<BatchId>, BatchError> {
        let size = check(ids)?;
        let now = self.clock.now();
        let batch = Batch {
            id: BatchId::from_uuid(self.ids.uuid(now)),
            created_by: actor,
            size,
            created_at: now,
        };
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, BatchError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let found = tx.allocations().for_update_many(ids).await?;
        let orders: Vec<_> = found.iter().map(|allocation| allocation.order).collect();
        let disputed = tx.delivered_orders().disputed(&orders).await?;
        let queued = queue(ids, found, &disputed, batch.id, now)?;
        tx.allocations().insert_batch(&batch).await?;
        tx.allocations().save(&queued).await?;
        let payload = json!({ "allocations": ids, "size": size });
        let event = Event {
            kind: "allocation_batch.created",
            subject: batch.id.as_uuid(),
            payload,
            at: now,
        };
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), call, &batch.id).await?;
        tx.commit().await?;
        Ok(Made::now(batch.id))
    }
}

fn check(ids: &[AllocationId]) -> Result<u16, BatchError> {
    if ids.is_empty() {
        return Err(BatchError::Empty);
    }
    let size = u16::try_from(ids.len())
        .ok()
        .filter(|_| ids.len() <= BATCH_SIZE_MAX)
        .ok_or(BatchError::TooMany)?;
    let mut seen = HashSet::new();
    match ids.iter().position(|id| !seen.insert(id)) {
        Some(at) => Err(BatchError::Duplicate { at }),
        None => Ok(size),
    }
}

fn queue(
    ids: &[AllocationId],
    found: Vec<Allocation>,
    disputed: &[OrderId],
    batch: BatchId,
    now: Timestamp,
) -> Result<Vec<Allocation>, BatchError> {
    let mut found: BTreeMap<_, _> = found
        .into_iter()
        .map(|allocation| (allocation.id, allocation))
        .collect();
    let queue = |(at, id): (usize, &AllocationId)| {
        let mut allocation = found.remove(id).ok_or(BatchError::NotFound { at })?;
        let queued = allocation.queue(batch, now).and_then(|()| {
            let disputed = disputed.contains(&allocation.order);
            if disputed {
                Err(QueueRefusal::OrderDisputed)
            } else {
                Ok(())
            }
        });
        queued.map_err(|refusal| BatchError::NotQueueable { at, refusal })?;
        Ok(allocation)
    };
    ids.iter().enumerate().map(queue).collect()
}
