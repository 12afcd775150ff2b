//! Taking back what is still locked.

use chrono::NaiveDate;
use posx_kernel::{
    Event, IdempotentCall, Made, SiteScope, TokenAmount, VestingScheduleId, made_before_in_tx, remember_in_tx,
};
use serde_json::json;

use super::{Release, ReleaseState, VestingError, VestingPolicy};
use crate::Allocations;
use crate::adjust::{Movement, unsettled};
use crate::report::derive_delivery_in_tx;

impl Allocations {
    /// What has not unlocked never will. What is due or sent stays. Revoking again changes nothing.
    pub async fn revoke_vesting(
        &self,
        scope: &SiteScope,
        id: VestingScheduleId,
        reason: &str,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<VestingScheduleId>, VestingError> {
        let (now, reason) = (self.clock.now(), reason.trim());
        if reason.is_empty() || reason.chars().count() > 500 {
            return Err(VestingError::Reason);
        }
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, VestingError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let schedule = tx
            .vesting()
            .schedule(id)
            .await?
            .ok_or(VestingError::NoSuchSchedule)?;
        tx.delivered_orders().for_update(schedule.order).await?;
        let policy = tx.vesting().policy(schedule.policy).await?;
        let policy = policy
            .filter(|policy| policy.revocable)
            .ok_or(VestingError::NotRevocable)?;
        let mut releases = tx.vesting().releases_of_order(schedule.order).await?;
        releases.retain(|release| release.schedule == id && release.state == ReleaseState::Locked);
        let (taken, movements) = take_back(&mut releases, &policy, now.date_naive());
        if !releases.is_empty() {
            tx.vesting().save_releases(&releases).await?;
            tx.vesting().mark_revoked(id, now).await?;
            for movement in movements {
                tx.ledger().post(&self.entry(movement, now)).await?;
            }
            derive_delivery_in_tx(tx.as_mut(), schedule.order, now).await?;
            let payload = json!({
                "order": schedule.order, "line": schedule.line, "tokens": taken, "reason": reason,
            });
            let event = Event {
                kind: "vesting_schedule.revoked",
                subject: id.as_uuid(),
                payload,
                at: now,
            };
            tx.outbox().append(event).await?;
            // What had become due is allocated by the job.
            tx.outbox().append(unsettled(schedule.order, now)).await?;
        }
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Made::now(id))
    }
}

/// How many tokens, and their entries. What has become due, and the job has not run, is unlocked instead.
fn take_back(
    releases: &mut [Release],
    policy: &VestingPolicy,
    today: NaiveDate,
) -> (TokenAmount, Vec<Movement>) {
    let (due, mut taken, mut movements) = (policy.last_due(today), 0, Vec::new());
    for release in releases {
        if Some(release.number) <= due
            && let Some(day) = policy.day_of(release.number)
        {
            release.unlock(day);
        } else if let Some(back) = release.revoke() {
            taken += back.base_units();
            movements.push(Movement::of_release(release, TokenAmount::ZERO, back));
        }
    }
    (TokenAmount::from_base_units(taken), movements)
}
