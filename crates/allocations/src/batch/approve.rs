//! Two people agree to exactly what is sent.

use posx_kernel::{
    BatchId, IdempotentCall, IdentityId, SiteScope, made_before_in_tx, remember_in_tx, retry_busy,
};

use super::{BatchError, BatchLine, BatchState, hash_of};
use crate::{Allocations, AllocationsTx};

impl Allocations {
    /// `seen` is the hash of what this person looked at. What must not be sent any more is taken out first: then the hash is
    /// another, and they look again. With the second approval a draft is sent.
    pub async fn approve_batch(
        &self,
        scope: &SiteScope,
        id: BatchId,
        seen: &[u8; 32],
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), BatchError> {
        retry_busy(|| self.look_again(scope, id)).await?;
        retry_busy(|| self.try_approve(scope, id, seen, by, call)).await
    }

    async fn try_approve(
        &self,
        scope: &SiteScope,
        id: BatchId,
        seen: &[u8; 32],
        by: IdentityId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), BatchError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        if made_before_in_tx::<_, BatchId, BatchError>(tx.as_mut(), call)
            .await?
            .is_some()
        {
            return Ok(());
        }
        let batch = tx.batches().for_update(id).await?;
        let mut batch = batch.ok_or(BatchError::NoSuchBatch)?;
        if batch.state == BatchState::Approved {
            batch.lapse(now)?;
        }
        let state = batch.state;
        batch.approve(by, seen, now)?;
        if hash_of(id, &present_lines_in_tx(tx.as_mut(), id).await?) != batch.hash {
            return Err(BatchError::HashMismatch);
        }
        if let Some(given) = batch.approvals.last() {
            tx.batches().add_approval(&batch, given).await?;
        }
        tx.batches().save(&batch).await?;
        let event = batch
            .moved_from(state, now)
            .unwrap_or_else(|| batch.happened("allocation_batch.approval_given", now));
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// The batch's lines, those that wait as they would be sent now.
pub(super) async fn present_lines_in_tx(
    tx: &mut dyn AllocationsTx,
    id: BatchId,
) -> Result<Vec<BatchLine>, BatchError> {
    let mut lines = tx.batches().lines(id).await?;
    let waiting: Vec<_> = lines
        .iter()
        .filter(|line| line.is_waiting())
        .map(|line| line.allocation)
        .collect();
    for present in tx.batches().as_of_now(&waiting).await? {
        if let Some(line) = lines
            .iter_mut()
            .find(|line| line.allocation == present.allocation)
        {
            *line = present;
        }
    }
    Ok(lines)
}
