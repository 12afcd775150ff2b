//! What staff decide about vesting.

use chrono::NaiveDate;
use posx_kernel::{
    Event, IdempotentCall, Made, Rate, SiteScope, StoreError, StoreFault, TierId, VestingPolicyId,
    made_before_in_tx, remember_in_tx, retry_busy,
};
use serde_json::json;

use super::{PeriodUnit, VestingError, VestingPolicy};
use crate::Allocations;

#[derive(Debug, Clone)]
pub struct CreatePolicy {
    pub name: String,
    pub share_at_start: Rate,
    pub cliff_months: u16,
    pub periods: u16,
    pub unit: PeriodUnit,
    pub revocable: bool,
    pub starts_on: Option<NaiveDate>,
}

impl Allocations {
    /// The next version of the name, or its first.
    pub async fn create_policy(
        &self,
        scope: &SiteScope,
        wish: CreatePolicy,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<VestingPolicyId>, VestingError> {
        let now = self.clock.now();
        let policy = VestingPolicy {
            id: VestingPolicyId::from_uuid(self.ids.uuid(now)),
            name: wish.name,
            version: 0,
            share_at_start: wish.share_at_start,
            cliff_months: wish.cliff_months,
            periods: wish.periods,
            unit: wish.unit,
            revocable: wish.revocable,
            starts_on: wish.starts_on,
            revision: 1,
            created_at: now,
            updated_at: now,
        };
        policy.check()?;
        retry_busy(|| self.create_policy_once(scope, policy.clone(), call)).await
    }

    async fn create_policy_once(
        &self,
        scope: &SiteScope,
        mut policy: VestingPolicy,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<VestingPolicyId>, VestingError> {
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, VestingError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        policy.version = tx.vesting().latest_version(&policy.name).await? + 1;
        if !tx.vesting().insert_policy(&policy).await? {
            let raced = StoreError::new(StoreFault::Retry, "another version of the name came first");
            return Err(raced.into());
        }
        let payload = json!({
            "name": policy.name, "version": policy.version, "share_at_start": policy.share_at_start,
            "cliff_months": policy.cliff_months, "periods": policy.periods, "unit": policy.unit,
            "revocable": policy.revocable, "starts_on": policy.starts_on,
        });
        let event = Event {
            kind: "vesting_policy.created",
            subject: policy.id.as_uuid(),
            payload,
            at: policy.created_at,
        };
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), call, &policy.id).await?;
        tx.commit().await?;
        Ok(Made::now(policy.id))
    }

    /// What is locked follows the new start; what is due or sent stays as it is. `seen` is the revision that was read.
    pub async fn move_start(
        &self,
        scope: &SiteScope,
        id: VestingPolicyId,
        seen: i32,
        starts_on: Option<NaiveDate>,
    ) -> Result<VestingPolicy, VestingError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let before = tx.vesting().policy(id).await?.ok_or(VestingError::NoSuchPolicy)?;
        let policy = VestingPolicy {
            starts_on,
            revision: seen.checked_add(1).ok_or(VestingError::Stale)?,
            updated_at: now,
            ..before.clone()
        };
        policy.check()?;
        if !tx.vesting().save_start(&policy, seen).await? {
            return Err(VestingError::Stale);
        }
        let event = Event {
            kind: "vesting_policy.start_moved",
            subject: id.as_uuid(),
            payload: json!({ "from": before.starts_on, "to": policy.starts_on }),
            at: now,
        };
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(policy)
    }

    /// From now on what the tier sells is vested by the policy, or not vested any more. Orders placed before keep what held.
    pub async fn set_tier_vesting(
        &self,
        scope: &SiteScope,
        tier: TierId,
        policy: Option<VestingPolicyId>,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<TierId>, VestingError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, VestingError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let known = match policy {
            Some(policy) => tx.vesting().policy(policy).await?.is_some(),
            None => true,
        };
        // The path's tier is looked for first. Nothing is committed for an unknown policy.
        let named = policy.filter(|_| known);
        if !tx.vesting().insert_tier_terms(tier, named, now).await? {
            return Err(VestingError::NoSuchTier);
        }
        if !known {
            return Err(VestingError::UnknownPolicy);
        }
        let event = Event {
            kind: "tier.vesting_changed",
            subject: tier.as_uuid(),
            payload: json!({ "policy": policy }),
            at: now,
        };
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), call, &tier).await?;
        tx.commit().await?;
        Ok(Made::now(tier))
    }
}
