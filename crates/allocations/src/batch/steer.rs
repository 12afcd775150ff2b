//! A person pauses a batch, lets it go on, or gives up what is not sent.

use posx_kernel::{BatchId, IdempotentCall, SiteScope, made_before_in_tx, remember_in_tx, retry_busy};

use super::line::waits_in;
use super::take_out::take_out_in_tx;
use super::{BatchError, BatchState, LeftOut, PauseReason};
use crate::Allocations;

impl Allocations {
    /// What is on its way goes on. Pausing again changes nothing.
    pub async fn pause_batch(&self, scope: &SiteScope, id: BatchId) -> Result<(), BatchError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let batch = tx.batches().for_update(id).await?;
        let mut batch = batch.ok_or(BatchError::NoSuchBatch)?;
        if batch.state == BatchState::Paused {
            return Ok(());
        }
        batch.pause(PauseReason::ByPerson, now)?;
        tx.batches().save(&batch).await?;
        tx.outbox()
            .append(batch.happened(BatchState::Paused.event(), now))
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Only what two people agreed to as it is goes on.
    pub async fn resume_batch(
        &self,
        scope: &SiteScope,
        id: BatchId,
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
        batch.resume(now)?;
        tx.batches().save(&batch).await?;
        tx.outbox()
            .append(batch.happened("allocation_batch.resumed", now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }

    /// What is not sent goes back to pending; of what nobody knows whether it was sent, the custodian is asked. A draft is
    /// discarded by it; what was begun is paused first, and ends as what was sent ends. Discarding again changes nothing.
    pub async fn discard_batch(&self, scope: &SiteScope, id: BatchId) -> Result<(), BatchError> {
        let taken_back = self.take_back_unknown(scope, id).await?;
        retry_busy(|| self.try_discard(scope, id, taken_back)).await
    }

    async fn try_discard(&self, scope: &SiteScope, id: BatchId, taken_back: bool) -> Result<(), BatchError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let lines = tx.batches().lines(id).await?;
        let waiting: Vec<_> = lines
            .iter()
            .filter(|line| line.is_waiting())
            .map(|line| line.allocation)
            .collect();
        // The batch is locked last, also here.
        let mut allocations = tx.allocations().for_update_many(&waiting).await?;
        allocations.retain(|allocation| waits_in(allocation, id));
        let batch = tx.batches().for_update(id).await?;
        match batch.ok_or(BatchError::NoSuchBatch)?.state {
            BatchState::Discarded => return Ok(()),
            _ if taken_back && allocations.is_empty() => return Ok(()),
            BatchState::Draft | BatchState::Approved | BatchState::Paused if !allocations.is_empty() => {}
            other => return Err(BatchError::State(other.as_str())),
        }
        take_out_in_tx(tx.as_mut(), id, allocations, LeftOut::GivenUp, now).await?;
        tx.commit().await?;
        Ok(())
    }
}
