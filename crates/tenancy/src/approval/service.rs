//! Asking, deciding, and the limits above which one must.

use std::sync::Arc;

use posx_kernel::{
    ApprovalId, Begin, Clock, Event, IdempotentCall, IdentityId, Ids, Made, Review, SiteScope, StoreError,
    Timestamp, changes, made_before_in_tx, remember_in_tx,
};
use serde_json::json;

use super::{APPROVAL_LIFE, Approval, ApprovalError, ApprovalsTx, ReviewedOperation, ReviewedRequest};

/// Of one maker, submitted: a script that runs wild does not bury the others' requests.
const SUBMITTED_MAX: u32 = 50;

/// Use cases of the second person inside one site.
#[derive(Clone)]
pub struct Approvals {
    db: Arc<dyn Begin<dyn ApprovalsTx>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approvals").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct AskApproval {
    pub operation: ReviewedOperation,
    pub quantity: i64,
    pub request: ReviewedRequest,
    pub maker: IdentityId,
}

impl Approvals {
    pub fn new(db: Arc<dyn Begin<dyn ApprovalsTx>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { db, clock, ids }
    }

    /// Whether so much of the operation needs a second person; `named` is the approval that the sender names.
    pub async fn review(
        &self,
        scope: &SiteScope,
        operation: ReviewedOperation,
        quantity: i64,
        named: Option<ApprovalId>,
    ) -> Result<Review, StoreError> {
        let mut tx = self.db.begin(scope).await?;
        let limit = tx.limits().find(operation).await?;
        Ok(match limit {
            Some(limit) if quantity > limit => Review::Needed(named),
            _ => Review::NotNeeded,
        })
    }

    /// The open request for the same, or a new one that is submitted.
    pub async fn ask(&self, scope: &SiteScope, wish: AskApproval) -> Result<Approval, ApprovalError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let open = tx.approvals().open(wish.maker, &wish.request.hash, now).await?;
        if let Some(open) = open {
            return Ok(open);
        }
        if tx.approvals().count_submitted(wish.maker, now).await? >= SUBMITTED_MAX {
            return Err(ApprovalError::TooMany);
        }
        let mut approval = Approval::draft(
            ApprovalId::from_uuid(self.ids.uuid(now)),
            wish.operation,
            wish.quantity,
            wish.request,
            wish.maker,
            now + APPROVAL_LIFE,
            now,
        );
        approval.submit(now)?;
        tx.approvals().insert(&approval).await?;
        let event = approval.happened("approval.submitted", now);
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(approval)
    }

    pub async fn approve(
        &self,
        scope: &SiteScope,
        id: ApprovalId,
        checker: IdentityId,
        seen: &[u8; 32],
    ) -> Result<Approval, ApprovalError> {
        let decide = |approval: &mut Approval, now| approval.approve(checker, seen, now);
        self.change(scope, id, "approval.approved", decide).await
    }

    pub async fn reject(
        &self,
        scope: &SiteScope,
        id: ApprovalId,
        checker: IdentityId,
        reason: &str,
    ) -> Result<Approval, ApprovalError> {
        let decide = |approval: &mut Approval, now| approval.reject(checker, reason, now);
        self.change(scope, id, "approval.rejected", decide).await
    }

    pub async fn withdraw(
        &self,
        scope: &SiteScope,
        id: ApprovalId,
        maker: IdentityId,
    ) -> Result<Approval, ApprovalError> {
        let decide = |approval: &mut Approval, now| approval.withdraw(maker, now);
        self.change(scope, id, "approval.withdrawn", decide).await
    }

    async fn change(
        &self,
        scope: &SiteScope,
        id: ApprovalId,
        kind: &'static str,
        change: impl FnOnce(&mut Approval, Timestamp) -> Result<(), ApprovalError> + Send,
    ) -> Result<Approval, ApprovalError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let found = tx.approvals().for_update(id).await?;
        let mut approval = found.ok_or(ApprovalError::NotFound)?;
        change(&mut approval, now)?;
        tx.approvals().save(&approval).await?;
        tx.outbox().append(approval.happened(kind, now)).await?;
        tx.commit().await?;
        Ok(approval)
    }

    /// Sets a limit; `None`: the operation never needs a second person. To allow more than before needs one itself, where
    /// there is one: else the first of two would lift the limit that is to stop them.
    pub async fn change_limit(
        &self,
        scope: &SiteScope,
        operation: ReviewedOperation,
        quantity_max: Option<i64>,
        by: IdentityId,
        call: IdempotentCall,
    ) -> Result<Made<ReviewedOperation>, ApprovalError> {
        if operation == ReviewedOperation::LimitRaise {
            return Err(ApprovalError::UnknownOperation);
        }
        if quantity_max.is_some_and(i64::is_negative) {
            return Err(ApprovalError::Limit);
        }
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let before = tx.limits().for_update(operation, now).await?;
        let raises = before.is_some_and(|before| quantity_max.is_none_or(|after| after > before));
        let reviewed = raises && tx.limits().has_other_checker(by).await?;
        let review = if reviewed { call.review } else { Review::NotNeeded };
        let call = IdempotentCall { review, ..call };
        let made = made_before_in_tx::<_, _, ApprovalError>(tx.as_mut(), Some(&call)).await?;
        if let Some(made) = made {
            return Ok(made);
        }
        tx.limits().save(operation, quantity_max, now).await?;
        let view = |limit: Option<i64>| json!({ "quantity_max": limit });
        let event = Event {
            kind: "approval_limit.changed",
            subject: scope.site().as_uuid(),
            payload: json!({ "operation": operation, "changes": changes(&view(before), &view(quantity_max)) }),
            at: now,
        };
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), Some(&call), &operation).await?;
        tx.commit().await?;
        Ok(Made::now(operation))
    }
}

impl Approval {
    pub fn happened(&self, kind: &'static str, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.id.as_uuid(),
            payload: json!({
                "operation": self.operation,
                "quantity": self.quantity,
                "hash": hex::encode(self.request.hash),
            }),
            at,
        }
    }
}
