//! What staff do with commission plans.

use posx_kernel::{
    Currency, Event, IdempotentCall, Made, PlanId, SiteScope, Timestamp, made_before_in_tx, remember_in_tx,
};
use serde_json::json;

use crate::{Commissions, Difference, DifferenceTerms, HoldDays, Plan, PlanError, PlanLevel, Rules, Window};

const VERSION_TRIES: u8 = 5;

#[derive(Debug, Clone)]
pub struct NewPlan {
    pub name: String,
    /// Empty for a plan by difference.
    pub levels: Vec<PlanLevel>,
    pub difference: Option<DifferenceTerms>,
    pub hold_days: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activated {
    Applied,
    /// It was the active one.
    AlreadyApplied,
}

/// When a version is to be in force.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    pub from: Timestamp,
    /// Not at that moment any more; absent: until a later version begins.
    pub until: Option<Timestamp>,
}

impl Commissions {
    /// Makes the next version of the plan with this name, not active yet. Its amounts must be in `currency`, the site's
    /// own.
    pub async fn create_plan(
        &self,
        scope: &SiteScope,
        currency: Currency,
        wish: NewPlan,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<PlanId>, PlanError> {
        let now = self.clock.now();
        let id = PlanId::from_uuid(self.ids.uuid(now));
        let mut plan = planned(id, wish, currency, now)?;
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
        let schedule = Schedule {
            from: now,
            until: None,
        };
        self.put_in_force(scope, id, schedule, now, call).await
    }

    /// Orders that are placed within the window freeze this version, unless another one begins in it. What has not begun may
    /// be scheduled again.
    pub async fn schedule_plan(
        &self,
        scope: &SiteScope,
        id: PlanId,
        schedule: Schedule,
        call: Option<&IdempotentCall>,
    ) -> Result<Activated, PlanError> {
        let now = self.clock.now();
        self.put_in_force(scope, id, schedule, now, call).await
    }

    async fn put_in_force(
        &self,
        scope: &SiteScope,
        id: PlanId,
        schedule: Schedule,
        now: Timestamp,
        call: Option<&IdempotentCall>,
    ) -> Result<Activated, PlanError> {
        let mut tx = self.db.begin(scope).await?;
        let made = made_before_in_tx::<_, PlanId, PlanError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(Activated::AlreadyApplied);
        }
        let latest = tx.plans().lock_activations().await?;
        let mut plan = tx.plans().find(id).await?.ok_or(PlanError::NotFound)?;
        let in_force = tx.plans().in_force(now).await?;
        let now_and_on = schedule.from == now && schedule.until.is_none();
        let is_that =
            |other: &Plan| other.id == id && other.window.is_some_and(|window| window.until.is_none());
        if now_and_on && in_force.as_ref().is_some_and(is_that) {
            return Ok(Activated::AlreadyApplied);
        }
        let window = Window {
            from: schedule.from,
            until: schedule.until,
            activation: latest.checked_add(1).ok_or(PlanError::Busy)?,
        };
        plan.schedule(window, now)?;
        tx.plans().save_window(&plan).await?;
        let kind = if schedule.from > now {
            "commission_plan.scheduled"
        } else {
            "commission_plan.activated"
        };
        tx.outbox().append(happened(kind, &plan, now)).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Activated::Applied)
    }

    /// Takes it out of force now, or off the schedule. No other version takes its place.
    pub async fn end_plan(
        &self,
        scope: &SiteScope,
        id: PlanId,
        call: Option<&IdempotentCall>,
    ) -> Result<(), PlanError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let made = made_before_in_tx::<_, PlanId, PlanError>(tx.as_mut(), call).await?;
        if made.is_some() {
            return Ok(());
        }
        tx.plans().lock_activations().await?;
        let mut plan = tx.plans().find(id).await?.ok_or(PlanError::NotFound)?;
        if !plan.end(now) {
            return Err(PlanError::NotInForce);
        }
        tx.plans().save_window(&plan).await?;
        tx.outbox()
            .append(happened("commission_plan.ended", &plan, now))
            .await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Without its version.
fn planned(id: PlanId, wish: NewPlan, currency: Currency, now: Timestamp) -> Result<Plan, PlanError> {
    let name = wish.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 200 {
        return Err(PlanError::Name);
    }
    let difference = wish.difference.map(Difference::new).transpose()?;
    let rules = Rules::of(wish.levels, difference)?;
    if rules.currency().is_some_and(|own| own != currency) {
        return Err(PlanError::Currency(currency.code()));
    }
    Ok(Plan {
        id,
        name,
        version: 0,
        rules,
        hold_days: HoldDays::new(wish.hold_days)?,
        window: None,
        created_at: now,
    })
}

fn happened(kind: &'static str, plan: &Plan, at: Timestamp) -> Event {
    let mut payload = json!({ "name": plan.name, "version": plan.version });
    if let Some(window) = plan.window {
        payload["from"] = json!(window.from);
        payload["until"] = json!(window.until);
    }
    Event {
        kind,
        subject: plan.id.as_uuid(),
        payload,
        at,
    }
}
