//! What got stuck is asked for at the custodian.

use chrono::Duration;
use posx_kernel::{AllocationId, SiteScope};

use crate::report::lock_in_tx;
use crate::{Allocations, Applied, SubmitError};

/// Without a change for this long, an allocation on its way is looked up.
pub const STUCK_AFTER: Duration = Duration::minutes(15);

/// What a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reconciled {
    pub checked: u16,
    pub moved: u16,
    /// The custodian could not be asked, or did not say.
    pub unsettled: u16,
}

impl Allocations {
    /// The body of the scheduled job: up to `limit` of those that have been stuck longest, then batches whose job was lost. A
    /// fault of the store ends the round; what one allocation or batch meets does not keep the others.
    pub async fn reconcile(&self, scope: &SiteScope, limit: u16) -> Result<Reconciled, SubmitError> {
        let before = self.clock.now() - STUCK_AFTER;
        let stuck = self
            .db
            .begin(scope)
            .await?
            .allocations()
            .stuck(before, limit)
            .await?;
        let mut round = Reconciled::default();
        for id in stuck {
            round.checked += 1;
            match self.check(scope, id).await {
                Ok(Applied::Applied) => round.moved += 1,
                Ok(Applied::AlreadyApplied) => self.touch(scope, id).await?,
                Err(SubmitError::Store(error)) => return Err(error.into()),
                Err(_) => {
                    round.unsettled += 1;
                    self.touch(scope, id).await?;
                }
            }
        }
        let unfinished = self.db.begin(scope).await?.batches().unfinished().await?;
        for batch in unfinished {
            match self.submit_batch(scope, batch).await {
                Ok(run) => round.moved += run.applied,
                Err(SubmitError::Store(error)) => return Err(error.into()),
                Err(_) => round.unsettled += 1,
            }
        }
        Ok(round)
    }

    async fn check(&self, scope: &SiteScope, id: AllocationId) -> Result<Applied, SubmitError> {
        let allocation = self
            .db
            .begin(scope)
            .await?
            .allocations()
            .for_update(id)
            .await?
            .ok_or(SubmitError::NotFound)?;
        if allocation.state.is_terminal() {
            return Ok(Applied::AlreadyApplied);
        }
        let Some(external_id) = allocation
            .external_id
            .filter(|_| allocation.state.provider_id().is_some())
        else {
            // The answer was lost: sending settles it.
            return self.submit(scope, id).await;
        };
        match self
            .look_up(scope, &external_id)
            .await
            .map_err(SubmitError::Unsettled)?
        {
            Some(transfer) => Ok(self.apply_report(scope, &transfer).await?),
            None => self.park(scope, id, "not_at_the_custodian").await,
        }
    }

    async fn park(&self, scope: &SiteScope, id: AllocationId, why: &str) -> Result<Applied, SubmitError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut allocation = lock_in_tx(tx.as_mut(), id).await?.ok_or(SubmitError::NotFound)?;
        let before = allocation.clone();
        if allocation.state.is_terminal() || allocation.park(why, now) == Applied::AlreadyApplied {
            return Ok(Applied::AlreadyApplied);
        }
        self.settle_in_tx(tx.as_mut(), &before, &allocation, now).await?;
        tx.commit().await?;
        Ok(Applied::Applied)
    }

    async fn touch(&self, scope: &SiteScope, id: AllocationId) -> Result<(), SubmitError> {
        let mut tx = self.db.begin(scope).await?;
        let Some(mut allocation) = tx.allocations().for_update(id).await? else {
            return Ok(());
        };
        allocation.touch(self.clock.now());
        tx.allocations().save(std::slice::from_ref(&allocation)).await?;
        Ok(tx.commit().await?)
    }
}
