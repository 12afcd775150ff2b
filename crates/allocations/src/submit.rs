//! Sending, so that a lost answer is never a second transfer.

use std::collections::HashSet;

use posx_kernel::{AllocationId, BatchId, SiteScope, StoreError};

use crate::custody::{CustodyError, ExternalId, Transfer, TransferRequest};
use crate::report::lock_in_tx;
use crate::{AllocationState, Allocations, Applied, SubmitError};

/// A try whose external id is committed.
struct Try {
    request: TransferRequest,
    /// Named just now; else by an earlier run, which may have sent it.
    fresh: bool,
}

/// What a run over a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchRun {
    pub applied: u16,
    pub already: u16,
}

impl Allocations {
    /// Sends one allocation, as a batch of its own.
    pub async fn submit(&self, scope: &SiteScope, id: AllocationId) -> Result<Applied, SubmitError> {
        match self.preflight(scope, &[id]).await?.pop() {
            Some(held) => Err(held.why),
            None => self.send(scope, id).await,
        }
    }

    /// Name the try and commit; then, with no transaction open, send it; then record the answer. A run that finds a try
    /// under way asks the custodian before it sends anything, and sends under the same external id.
    async fn send(&self, scope: &SiteScope, id: AllocationId) -> Result<Applied, SubmitError> {
        if self.held_back(scope, id).await? {
            return Ok(Applied::AlreadyApplied);
        }
        let Some(Try { request, fresh }) = self.begin_try(scope, id).await? else {
            return Ok(Applied::AlreadyApplied);
        };
        if !fresh
            && let Some(transfer) = self
                .look_up(scope, &request.external_id)
                .await
                .map_err(SubmitError::Unsettled)?
        {
            return Ok(self.apply_report(scope, &transfer).await?);
        }
        match self.custody.submit(&request).await {
            Ok(transfer) => Ok(self
                .apply_report(scope, &adopted(transfer, &request.external_id))
                .await?),
            Err(CustodyError::Refused { code }) => {
                self.record_refusal(scope, id, &request.external_id, &code).await
            }
            Err(CustodyError::Duplicate) => match self.look_up(scope, &request.external_id).await {
                Ok(Some(transfer)) => Ok(self.apply_report(scope, &transfer).await?),
                Ok(None) => Err(SubmitError::Unsettled(CustodyError::Duplicate)),
                Err(error) => Err(SubmitError::Unsettled(error)),
            },
            Err(unsettled) => Err(SubmitError::Unsettled(unsettled)),
        }
    }

    /// The body of the job that follows `allocation_batch.created`. What its vault cannot pay for is held back; of the
    /// others each goes its own way. The first trouble is returned after all were tried, so that the job runs again for
    /// those that are left.
    pub async fn submit_batch(&self, scope: &SiteScope, batch: BatchId) -> Result<BatchRun, SubmitError> {
        let unsent = self
            .db
            .begin(scope)
            .await?
            .allocations()
            .unsent_of_batch(batch)
            .await?;
        let (mut run, mut trouble, mut held) = (BatchRun::default(), None, HashSet::new());
        for group in self.preflight(scope, &unsent).await? {
            held.extend(group.ids);
            trouble = trouble.or(Some(group.why));
        }
        for id in unsent.into_iter().filter(|id| !held.contains(id)) {
            match self.send(scope, id).await {
                Ok(Applied::Applied) => run.applied += 1,
                Ok(Applied::AlreadyApplied) => run.already += 1,
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        trouble.map_or(Ok(run), Err)
    }

    /// `None`: there is nothing to send.
    async fn begin_try(&self, scope: &SiteScope, id: AllocationId) -> Result<Option<Try>, SubmitError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut allocation = tx
            .allocations()
            .for_update(id)
            .await?
            .ok_or(SubmitError::NotFound)?;
        let asset = tx.allocations().custody_asset(allocation.asset).await?;
        let asset = asset.ok_or_else(|| StoreError::broken("an allocation without its asset"))?;
        let (external_id, fresh) = match allocation.begin_try(now) {
            Some(external_id) => (external_id, true),
            None if allocation.state == AllocationState::Unknown => {
                let under_way = allocation.external_id.clone();
                (
                    under_way
                        .ok_or_else(|| StoreError::broken("a sent allocation without an external id"))?,
                    false,
                )
            }
            None => return Ok(None),
        };
        if fresh {
            // A webhook may come before the answer does.
            if !tx
                .external_ids()
                .claim(self.custody.provider(), &external_id.0)
                .await?
            {
                return Err(SubmitError::Report(crate::ReportError::ForeignTransfer));
            }
            tx.allocations().save(std::slice::from_ref(&allocation)).await?;
            tx.commit().await?;
        }
        let request = TransferRequest {
            site: scope.site(),
            external_id,
            provider_asset: asset.provider_asset,
            vault: asset.vault,
            amount: allocation.left(),
            to: allocation.address,
            decimals: asset.decimals,
        };
        Ok(Some(Try { request, fresh }))
    }

    /// With no transaction open. An answer that does not say whether the transfer exists is an error: nothing is sent.
    pub(crate) async fn look_up(
        &self,
        scope: &SiteScope,
        external_id: &ExternalId,
    ) -> Result<Option<Transfer>, CustodyError> {
        let found = self.custody.find(scope.site(), external_id).await?;
        Ok(found.map(|transfer| adopted(transfer, external_id)))
    }

    async fn record_refusal(
        &self,
        scope: &SiteScope,
        id: AllocationId,
        refused: &ExternalId,
        code: &str,
    ) -> Result<Applied, SubmitError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut allocation = lock_in_tx(tx.as_mut(), id).await?.ok_or(SubmitError::NotFound)?;
        let before = allocation.clone();
        // Meanwhile another run may have settled this try, and a person begun the next.
        if allocation.external_id.as_ref() != Some(refused)
            || allocation.refuse(code, now) == Applied::AlreadyApplied
        {
            return Ok(Applied::AlreadyApplied);
        }
        self.settle_in_tx(tx.as_mut(), &before, &allocation, now).await?;
        tx.commit().await?;
        Ok(Applied::Applied)
    }
}

/// An answer to our own question about an external id is about that external id, also if it does not repeat it.
fn adopted(transfer: Transfer, external_id: &ExternalId) -> Transfer {
    Transfer {
        external_id: Some(transfer.external_id.unwrap_or_else(|| external_id.clone())),
        ..transfer
    }
}
