//! Sending, so that a lost answer is never a second transfer, and a vault has one under way at a time.

use std::collections::HashSet;

use posx_kernel::{AllocationId, BatchId, SiteScope, StoreError, retry_busy};

use crate::batch::{broken, hash_of, line_why_not_in_tx, locked_in_tx, pause_in_tx, take_out_in_tx};
use crate::custody::{CustodyError, ExternalId, Transfer, TransferRequest};
use crate::report::{lock_in_tx, lock_with_order_in_tx};
use crate::{
    Allocation, AllocationState, Allocations, AllocationsTx, Applied, BatchLine, BatchState, PauseReason,
    StateName, SubmitError,
};

/// What was found when an allocation was to be sent.
enum Begun {
    /// The external id is committed now; nobody has sent it.
    Fresh(TransferRequest),
    /// An earlier run named the try, and may have sent it. It is sent again only if `may_send`.
    UnderWay {
        request: TransferRequest,
        may_send: bool,
    },
    /// Another of its vault is in flight.
    VaultBusy,
    /// It is not waiting, or its batch is not being sent, or it was taken out.
    Nothing,
}

/// What sending one came to.
enum Sent {
    Applied,
    AlreadyApplied,
    VaultBusy,
}

/// What a run over a batch came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchRun {
    pub applied: u16,
    pub already: u16,
    /// Lines that wait for their vault. The end of what is in flight there asks for another run.
    pub waiting: u16,
    /// Nothing more is sent, and why.
    pub paused: Option<PauseReason>,
}

impl Allocations {
    /// Sends one allocation of a batch that is being sent.
    pub(crate) async fn submit(&self, scope: &SiteScope, id: AllocationId) -> Result<Applied, SubmitError> {
        if let Some(held) = self.preflight(scope, &[id]).await?.pop() {
            return Err(held.why);
        }
        Ok(match self.send(scope, id).await? {
            Sent::Applied => Applied::Applied,
            Sent::AlreadyApplied | Sent::VaultBusy => Applied::AlreadyApplied,
        })
    }

    /// Name the try and commit; then, with no transaction open, send it; then record the answer. A run that finds a try
    /// under way asks the custodian before it sends anything, and sends under the same external id.
    async fn send(&self, scope: &SiteScope, id: AllocationId) -> Result<Sent, SubmitError> {
        let request = match retry_busy(|| self.begin_try(scope, id)).await? {
            Begun::Nothing => return Ok(Sent::AlreadyApplied),
            Begun::VaultBusy => return Ok(Sent::VaultBusy),
            Begun::Fresh(request) => request,
            Begun::UnderWay { request, may_send } => {
                let found = self.look_up(scope, &request.external_id).await;
                match found.map_err(SubmitError::Unsettled)? {
                    Some(transfer) => return self.adopt(scope, &transfer).await,
                    None if may_send => request,
                    None => return Ok(Sent::AlreadyApplied),
                }
            }
        };
        match self.custody.submit(&request).await {
            Ok(transfer) => self.adopt(scope, &adopted(transfer, &request.external_id)).await,
            Err(CustodyError::Refused { code }) => {
                self.record_refusal(scope, id, &request.external_id, &code).await
            }
            Err(CustodyError::Duplicate) => match self.look_up(scope, &request.external_id).await {
                Ok(Some(transfer)) => self.adopt(scope, &transfer).await,
                Ok(None) => Err(SubmitError::Unsettled(CustodyError::Duplicate)),
                Err(error) => Err(SubmitError::Unsettled(error)),
            },
            Err(unsettled) => Err(SubmitError::Unsettled(unsettled)),
        }
    }

    async fn adopt(&self, scope: &SiteScope, transfer: &Transfer) -> Result<Sent, SubmitError> {
        Ok(match self.apply_report(scope, transfer).await? {
            Applied::Applied => Sent::Applied,
            Applied::AlreadyApplied => Sent::AlreadyApplied,
        })
    }

    /// The body of the job that follows a batch's second approval, and whatever lets it go on. What its vault cannot pay for is
    /// held back; of the others each goes its own way, one at a time for each vault. The first trouble is returned after all
    /// were tried, so that the job runs again for those that are left.
    pub async fn submit_batch(&self, scope: &SiteScope, batch: BatchId) -> Result<BatchRun, SubmitError> {
        let mut run = BatchRun::default();
        let Some(state) = retry_busy(|| self.begin_sending(scope, batch)).await? else {
            return Ok(run);
        };
        let lines = self.db.begin(scope).await?.batches().lines(batch).await?;
        let sending = state == BatchState::Sending;
        let unsent = |line: &&BatchLine| line.state == StateName::Unknown || (sending && line.is_waiting());
        let unsent: Vec<_> = lines.iter().filter(unsent).collect();
        let ids: Vec<_> = unsent.iter().map(|line| line.allocation).collect();
        let (mut trouble, mut held, mut busy) = (None, HashSet::new(), HashSet::new());
        for group in self.preflight(scope, &ids).await? {
            held.extend(group.ids);
            trouble = trouble.or(Some(group.why));
        }
        for line in unsent.into_iter().filter(|line| !held.contains(&line.allocation)) {
            if line.is_waiting() && busy.contains(&line.vault) {
                run.waiting += 1;
                continue;
            }
            match self.send(scope, line.allocation).await {
                Ok(Sent::Applied) => run.applied += 1,
                Ok(Sent::AlreadyApplied) => run.already += 1,
                Ok(Sent::VaultBusy) => {
                    busy.insert(&line.vault);
                    run.waiting += 1;
                }
                Err(error) => trouble = trouble.or(Some(error)),
            }
        }
        let batch = self.db.begin(scope).await?.batches().find(batch).await?;
        run.paused = batch.and_then(|batch| batch.paused_because);
        trouble.map_or(Ok(run), Err)
    }

    /// Where the batch is now; `None`: there is no such batch.
    pub(crate) async fn begin_sending(
        &self,
        scope: &SiteScope,
        id: BatchId,
    ) -> Result<Option<BatchState>, SubmitError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let Some(mut batch) = tx.batches().for_update(id).await? else {
            return Ok(None);
        };
        if batch.state == BatchState::Approved {
            // Back to a draft, if too much time went by.
            batch.lapse(now).map_err(|_| broken())?;
            if batch.state == BatchState::Approved {
                batch.begin(now).map_err(|_| broken())?;
            }
            tx.batches().save(&batch).await?;
            tx.outbox()
                .append(batch.happened(batch.state.event(), now))
                .await?;
            tx.commit().await?;
        }
        Ok(Some(batch.state))
    }

    /// Order, allocation, line, batch: each is locked in this order, here and wherever a line is settled.
    async fn begin_try(&self, scope: &SiteScope, id: AllocationId) -> Result<Begun, SubmitError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let (order, allocation) = lock_with_order_in_tx(tx.as_mut(), id)
            .await?
            .ok_or(SubmitError::NotFound)?;
        let (Some(batch), AllocationState::Queued | AllocationState::Unknown) =
            (allocation.batch, &allocation.state)
        else {
            return Ok(Begun::Nothing);
        };
        let lines = tx.batches().lines(batch).await?;
        let line = lines.iter().find(|line| line.allocation == id);
        let line = line.ok_or_else(broken)?;
        let found = tx.batches().find(batch).await?.ok_or_else(broken)?;
        let why = match found.state {
            BatchState::Sending => line_why_not_in_tx(tx.as_mut(), &order, &allocation, line, now).await?,
            _ => None,
        };
        let may_send = found.may_send(now) && why.is_none();
        if let (AllocationState::Queued, Some(why)) = (&allocation.state, why) {
            take_out_in_tx(tx.as_mut(), batch, vec![allocation], why, now).await?;
            tx.commit().await?;
            return Ok(Begun::Nothing);
        }
        let named = allocation.state == AllocationState::Unknown;
        let begun = if named {
            under_way(scope, &allocation, line, may_send)?
        } else {
            Begun::Nothing
        };
        if found.state == BatchState::Sending && !may_send {
            let reason = why.map_or(PauseReason::ApprovalsLapsed, |_| PauseReason::Changed);
            pause_in_tx(tx.as_mut(), batch, reason, now).await?;
            tx.commit().await?;
            return Ok(begun);
        }
        if named || !may_send {
            return Ok(begun);
        }
        self.name_try(tx, scope, allocation, &lines).await
    }

    /// Of an allocation that waits, and may be sent, in the batch of these lines.
    async fn name_try(
        &self,
        mut tx: Box<dyn AllocationsTx>,
        scope: &SiteScope,
        mut allocation: Allocation,
        lines: &[BatchLine],
    ) -> Result<Begun, SubmitError> {
        let now = self.clock.now();
        let batch = allocation.batch.ok_or_else(broken)?;
        let line = lines.iter().find(|line| line.allocation == allocation.id);
        let line = line.ok_or_else(broken)?;
        let Some(external_id) = allocation.begin_try(now) else {
            return Ok(Begun::Nothing);
        };
        // A webhook may come before the answer does.
        if !tx
            .external_ids()
            .claim(self.custody.provider(), &external_id.0)
            .await?
        {
            return Err(SubmitError::Report(crate::ReportError::ForeignTransfer));
        }
        if !tx.batches().take_off(batch, &allocation).await? {
            return Ok(Begun::VaultBusy);
        }
        // Whoever pauses it, or takes something out, waits from here on, or was first.
        let locked = locked_in_tx(tx.as_mut(), batch).await?;
        if !locked.may_send(now) || locked.hash != hash_of(batch, lines) {
            return Ok(Begun::Nothing);
        }
        tx.allocations().save(std::slice::from_ref(&allocation)).await?;
        tx.commit().await?;
        Ok(Begun::Fresh(line.request(scope.site(), external_id)))
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
    ) -> Result<Sent, SubmitError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let mut allocation = lock_in_tx(tx.as_mut(), id).await?.ok_or(SubmitError::NotFound)?;
        let before = allocation.clone();
        // Meanwhile another run may have settled this try, and a person begun the next.
        if allocation.external_id.as_ref() != Some(refused)
            || allocation.refuse(code, now) == Applied::AlreadyApplied
        {
            return Ok(Sent::AlreadyApplied);
        }
        self.settle_in_tx(tx.as_mut(), &before, &allocation, now).await?;
        tx.commit().await?;
        Ok(Sent::Applied)
    }
}

/// A try that was named is carried through under its name: nobody knows whether it is on its way. While its batch is not being
/// sent, or its line would not be sent any more, it is only looked up.
fn under_way(
    scope: &SiteScope,
    allocation: &Allocation,
    line: &BatchLine,
    may_send: bool,
) -> Result<Begun, SubmitError> {
    let external_id = allocation.external_id.clone();
    let external_id =
        external_id.ok_or_else(|| StoreError::broken("a sent allocation without an external id"))?;
    Ok(Begun::UnderWay {
        request: line.request(scope.site(), external_id),
        may_send,
    })
}

/// An answer to our own question about an external id is about that external id, also if it does not repeat it.
fn adopted(transfer: Transfer, external_id: &ExternalId) -> Transfer {
    Transfer {
        external_id: Some(transfer.external_id.unwrap_or_else(|| external_id.clone())),
        ..transfer
    }
}
