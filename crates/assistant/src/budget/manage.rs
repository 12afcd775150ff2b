use std::sync::Arc;

use posx_kernel::{
    Begin, Clock, CreditId, Event, IdempotentCall, Ids, KeyRefusal, Kind, Made, Refusal, SiteScope,
    StoreError, Timestamp, made_before_in_tx, remember_in_tx,
};
use serde_json::json;

use super::{BudgetsTx, Limit, Limits, LimitsError, SiteLimits};
use crate::{Credit, CreditKind, Micros, Quota};

const NOTE_MAX: usize = 200;

/// Why budgets stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum BudgetError {
    #[error(transparent)]
    Limits(#[from] LimitsError),
    #[error("someone else changed the budgets")]
    Stale,
    #[error("a credit is more than nothing, and at most {}", Micros::MAX.get())]
    Amount,
    #[error("a credit that lapses does so later than now")]
    Expiry,
    #[error("a note has 1 to 200 characters")]
    Note,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for BudgetError {
    fn code(&self) -> &'static str {
        match self {
            Self::Limits(LimitsError::Purpose { .. }) => "model_limit_purpose",
            Self::Limits(LimitsError::Twice { .. }) => "model_limit_twice",
            Self::Limits(LimitsError::TooLarge { .. }) => "model_limit_too_large",
            Self::Stale => "model_budgets_changed_meanwhile",
            Self::Amount => "model_credit_amount",
            Self::Expiry => "model_credit_expiry",
            Self::Note => "model_credit_note",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Limits(_) | Self::Amount | Self::Expiry | Self::Note => Kind::Invalid,
            Self::Stale => Kind::Stale,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<std::borrow::Cow<'static, str>> {
        match self {
            Self::Limits(LimitsError::Purpose { at }) => Some(format!("limits/{at}/purpose").into()),
            Self::Limits(LimitsError::Twice { at }) => Some(format!("limits/{at}").into()),
            Self::Limits(LimitsError::TooLarge { at }) => Some(format!("limits/{at}/limit_micros").into()),
            Self::Amount => Some("amount_micros".into()),
            Self::Expiry => Some("expires_at".into()),
            Self::Note => Some("note".into()),
            Self::Stale | Self::Key(_) | Self::Store(_) => None,
        }
    }
}

/// What staff do with budgets.
#[derive(Clone)]
pub struct ModelBudgets {
    db: Arc<dyn Begin<dyn BudgetsTx>>,
    quota: Arc<dyn Quota>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for ModelBudgets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelBudgets").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct AddCredit {
    pub kind: CreditKind,
    pub amount: Micros,
    pub note: Option<String>,
    pub expires_at: Option<Timestamp>,
}

impl ModelBudgets {
    pub fn new(
        db: Arc<dyn Begin<dyn BudgetsTx>>,
        quota: Arc<dyn Quota>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            db,
            quota,
            clock,
            ids,
        }
    }

    /// Replaces the site's own limits; what it leaves out is the operator's again. Calls under way keep what they hold.
    pub async fn set_limits(
        &self,
        scope: &SiteScope,
        seen: i32,
        limits: Vec<Limit>,
    ) -> Result<SiteLimits, BudgetError> {
        let now = self.clock.now();
        let new = SiteLimits {
            limits: Limits::new(limits)?,
            version: seen.checked_add(1).ok_or(BudgetError::Stale)?,
        };
        let mut tx = self.db.begin(scope).await?;
        let before = tx.budgets().limits().await?;
        if before.version != seen || !tx.budgets().save_limits(&new, seen, now).await? {
            return Err(BudgetError::Stale);
        }
        let changed = Event {
            kind: "model_budgets.changed",
            subject: scope.site().as_uuid(),
            payload: json!({ "version": new.version, "changes": { "limits": [before.limits, &new.limits] } }),
            at: now,
        };
        tx.outbox().append(changed).await?;
        tx.commit().await?;
        self.quota.forget_refusals(scope).await;
        Ok(new)
    }

    pub async fn add_credit(
        &self,
        scope: &SiteScope,
        wish: AddCredit,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<CreditId>, BudgetError> {
        let now = self.clock.now();
        check(&wish, now)?;
        let credit = Credit {
            id: CreditId::from_uuid(self.ids.uuid(now)),
            kind: wish.kind,
            amount: wish.amount,
            note: wish.note,
            expires_at: wish.expires_at,
            created_at: now,
        };
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, BudgetError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        tx.budgets().insert_credit(&credit).await?;
        let added = Event {
            kind: "model_credit.added",
            subject: credit.id.as_uuid(),
            payload: json!({ "kind": credit.kind, "amount_micros": credit.amount, "expires_at": credit.expires_at }),
            at: now,
        };
        tx.outbox().append(added).await?;
        remember_in_tx(tx.as_mut(), call, &credit.id).await?;
        tx.commit().await?;
        self.quota.forget_refusals(scope).await;
        Ok(Made::now(credit.id))
    }
}

fn check(wish: &AddCredit, now: Timestamp) -> Result<(), BudgetError> {
    if wish.amount == Micros::ZERO || wish.amount > Micros::MAX {
        return Err(BudgetError::Amount);
    }
    if wish.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(BudgetError::Expiry);
    }
    let fits = |note: &String| (1..=NOTE_MAX).contains(&note.chars().count()) && !note.trim().is_empty();
    if !wish.note.as_ref().is_none_or(fits) {
        return Err(BudgetError::Note);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
