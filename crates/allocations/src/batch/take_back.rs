//! A person gives up what was named and never reached the custodian.

use posx_kernel::{AllocationId, BatchId, SiteScope, StoreError, retry_busy};

use super::take_out::take_out_in_tx;
use super::{BatchError, BatchState, LeftOut, follow_in_tx};
use crate::custody::ExternalId;
use crate::report::lock_with_order_in_tx;
use crate::{Allocations, StateName};

impl Allocations {
    /// Asks the custodian about each line of a paused batch of which nobody knows whether it was sent. What it has never heard
    /// of leaves the batch; what it has goes on. Says whether anything left.
    pub(super) async fn take_back_unknown(&self, scope: &SiteScope, id: BatchId) -> Result<bool, BatchError> {
        let mut tx = self.db.begin(scope).await?;
        let batch = tx.batches().find(id).await?.ok_or(BatchError::NoSuchBatch)?;
        let mut unknown = tx.batches().lines(id).await?;
        unknown.retain(|line| line.state == StateName::Unknown && batch.state == BatchState::Paused);
        drop(tx);
        let mut taken_back = false;
        for line in unknown {
            let Some(name) = line.external_id else { continue };
            let found = self.look_up(scope, &name).await;
            match found.map_err(BatchError::Custodian)? {
                Some(transfer) => {
                    self.believe(scope, &transfer).await?;
                }
                None => {
                    taken_back |= retry_busy(|| self.take_back(scope, id, line.allocation, &name)).await?;
                }
            }
        }
        Ok(taken_back)
    }

    /// False: meanwhile it is another try, or the batch goes on.
    async fn take_back(
        &self,
        scope: &SiteScope,
        batch: BatchId,
        id: AllocationId,
        name: &ExternalId,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let Some((_, before)) = lock_with_order_in_tx(tx.as_mut(), id).await? else {
            return Ok(false);
        };
        let paused = tx.batches().find(batch).await?;
        let paused = paused.is_some_and(|batch| batch.state == BatchState::Paused);
        let mut after = before.clone();
        let same = (before.batch, before.external_id.as_ref()) == (Some(batch), Some(name));
        if !paused || !same || !after.take_back(now) {
            return Ok(false);
        }
        tx.allocations().save(std::slice::from_ref(&after)).await?;
        follow_in_tx(tx.as_mut(), &before, &after, now).await?;
        take_out_in_tx(tx.as_mut(), batch, vec![after], LeftOut::GivenUp, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
