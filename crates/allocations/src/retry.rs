//! A person sends a failed allocation round again, or one that was parked before it was sent.

use posx_kernel::{AllocationId, Event, SiteScope};
use serde_json::json;

use crate::report::{follow_end_in_tx, lock_in_tx};
use crate::{Allocations, Applied, RetryError, RetryRefusal, Standing};

impl Allocations {
    /// Failed → pending, unless it may be on chain or a person must first find out why it failed. What is pending and parked
    /// can be queued again. The custodian is asked once more what became of every try: what it says is applied before the
    /// decision, and none may live.
    pub async fn retry(&self, scope: &SiteScope, id: AllocationId) -> Result<Applied, RetryError> {
        let failed = self
            .db
            .begin(scope)
            .await?
            .allocations()
            .for_update(id)
            .await?
            .ok_or(RetryError::NotFound)?;
        // Only what could be retried is worth a question.
        if failed
            .clone()
            .retry(self.clock.now())
            .map_err(RetryError::Refused)?
            == Applied::AlreadyApplied
        {
            return Ok(Applied::AlreadyApplied);
        }
        for name in failed.try_names() {
            let found = self.look_up(scope, &name).await;
            let Some(transfer) = found.map_err(RetryError::Unsettled)? else {
                continue;
            };
            self.believe(scope, &transfer).await?;
            if !matches!(
                Standing::of(&transfer.status, transfer.sub_status.as_deref()),
                Standing::Failed { .. }
            ) {
                return Err(RetryError::Refused(RetryRefusal::Alive));
            }
        }
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut allocation = lock_in_tx(tx.as_mut(), id).await?.ok_or(RetryError::NotFound)?;
        if allocation.external_id != failed.external_id {
            return Ok(Applied::AlreadyApplied);
        }
        if allocation.retry(now).map_err(RetryError::Refused)? == Applied::AlreadyApplied {
            return Ok(Applied::AlreadyApplied);
        }
        tx.allocations().save(std::slice::from_ref(&allocation)).await?;
        follow_end_in_tx(tx.as_mut(), &allocation, now).await?;
        let payload = json!({ "order": allocation.order, "tries": allocation.tries });
        tx.outbox()
            .append(Event {
                kind: "allocation.retried",
                subject: id.as_uuid(),
                payload,
                at: now,
            })
            .await?;
        tx.commit().await?;
        Ok(Applied::Applied)
    }
}
