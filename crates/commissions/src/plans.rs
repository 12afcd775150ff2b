//! What staff do with commission plans.

use posx_kernel::{
    Currency, Event, IdempotentCall, Made, PlanId, SiteScope, Timestamp, made_before_in_tx, remember_in_tx,
};
use serde_json::json;

use crate::{Commissions, HoldDays, Levels, Plan, PlanError, PlanLevel};

const VERSION_TRIES: u8 = 5;

#[derive(Debug, Clone)]
pub struct NewPlan {
    pub name: String,
    pub levels: Vec<PlanLevel>,
    pub hold_days: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activated {
    Applied,
    /// It was the active one.
    AlreadyApplied,
}

impl Commissions {
    /// Makes the next version of the plan with this name, not active yet. Minimum sales must be in `currency`, the
    /// site's own.
    pub async fn create_plan(
        &self,
        scope: &SiteScope,
        currency: Currency,
        wish: NewPlan,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PlanId>, PlanError> {
        let now = self.clock.now();
        let name = wish.name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 200 {
            return Err(PlanError::Name);
        }
        let levels = Levels::new(wish.levels)?;
        if levels.currency() != Some(currency) {
            return Err(PlanError::Currency(currency.code()));
        }
        let hold_days = HoldDays::new(wish.hold_days)?;
        let id = PlanId::from_uuid(self.ids.uuid(now));
        let mut plan = Plan {
            id,
            name,
            version: 0,
            levels,
            hold_days,
            active: false,
            created_at: now,
        };
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, PlanError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        for _ in 0..VERSION_TRIES {
            plan.version = tx
                .plans()
                .latest_version(&plan.name)
                .await?
                .checked_add(1)
                .ok_or(PlanError::Busy)?;
            if tx.plans().insert(&plan).await? {
                tx.outbox()
                    .append(happened("commission_plan.created", &plan, now))
                    .await?;
                remember_in_tx(tx.as_mut(), call, &plan.id).await?;
                tx.commit().await?;
                return Ok(Made::now(plan.id));
            }
        }
        Err(PlanError::Busy)
    }

    /// Orders that are placed from now on freeze this version; placed ones keep theirs.
    pub async fn activate_plan(
        &self,
        scope: &SiteScope,
        id: PlanId,
        call: Option<&IdempotentCall>,
    ) -> Result<Activated, PlanError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let made = made_before_in_tx::<_, PlanId, PlanError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(Activated::AlreadyApplied);
        }
        let plan = tx.plans().find(id).await?.ok_or(PlanError::NotFound)?;
        if plan.active {
            return Ok(Activated::AlreadyApplied);
        }
        tx.plans().make_only_active(id).await?;
        tx.outbox()
            .append(happened("commission_plan.activated", &plan, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Activated::Applied)
    }
}

fn happened(kind: &'static str, plan: &Plan, at: Timestamp) -> Event {
    Event {
        kind,
        subject: plan.id.as_uuid(),
        payload: json!({ "name": plan.name, "version": plan.version }),
        at,
    }
}
