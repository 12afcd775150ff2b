//! An order's deliveries, brought to what the facts say: made, unlocked, cut, owed, restored, put back in stock.

mod movement;
mod parts;
mod restock;

use posx_kernel::{
    AllocationId, EntryId, Event, LineId, OrderId, SiteScope, StoreError, Timestamp, VestingReleaseId,
    VestingScheduleId,
};
use posx_ledger::Entry;
use serde_json::json;

pub(crate) use movement::Movement;
pub(crate) use parts::Parts;

use crate::report::derive_delivery_in_tx;
use crate::{
    AllocateError, Allocation, Allocations, AllocationsTx, LineToDeliver, OrderToDeliver, Release,
    ReleaseState, VestingSchedule,
};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adjusted {
    /// Allocations that were made.
    pub made: Vec<AllocationId>,
    /// Schedules that were made.
    pub schedules: Vec<VestingScheduleId>,
    /// Anything at all.
    pub changed: bool,
    /// Something is on its way that may have to be taken: its end asks for another run.
    pub waiting: bool,
    /// Money went back for something that failed or is parked, and that may have been sent all the same: the order is flagged
    /// for a person.
    pub doubtful: bool,
}

/// There is something for the job to do.
pub(crate) fn unsettled(order: OrderId, at: Timestamp) -> Event {
    Event {
        kind: "order.allocations_unsettled",
        subject: order.as_uuid(),
        payload: json!({}),
        at,
    }
}

impl Allocations {
    /// The body of the job that follows `order.returns_changed`. It reads the facts as they are, so it is safe to run any
    /// number of times, in any order, also at once. What is sold again and cannot be taken back is flagged for a person.
    pub async fn adjust(&self, scope: &SiteScope, order: OrderId) -> Result<Adjusted, AllocateError> {
        let adjusted = match self.adjust_once(scope, order).await {
            Err(AllocateError::NotPaid) => return Ok(Adjusted::default()),
            other => other,
        };
        let why = match &adjusted {
            Err(AllocateError::NoStock) => "restored_tokens_are_sold",
            Ok(adjusted) if adjusted.doubtful => "returned_and_perhaps_sent",
            _ => return adjusted,
        };
        let mut tx = self.db.begin(scope).await?;
        tx.delivered_orders().flag(order, why).await?;
        tx.commit().await?;
        adjusted
    }

    pub(crate) async fn adjust_once(
        &self,
        scope: &SiteScope,
        order: OrderId,
    ) -> Result<Adjusted, AllocateError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let order = tx
            .delivered_orders()
            .for_update(order)
            .await?
            .ok_or(AllocateError::NoSuchOrder)?;
        if !order.paid {
            return Err(AllocateError::NotPaid);
        }
        if order.address.is_none() {
            tx.delivered_orders()
                .flag(order.order, "wallet_address_missing")
                .await?;
            tx.commit().await?;
            return Err(AllocateError::NoAddress);
        }
        let adjusted = self.adjust_in_tx(tx.as_mut(), &order, now).await?;
        if adjusted.changed {
            tx.commit().await?;
        }
        Ok(adjusted)
    }

    /// `order` is locked. Ends with the stock's rows: nothing but the commit comes after it.
    async fn adjust_in_tx(
        &self,
        tx: &mut dyn AllocationsTx,
        order: &OrderToDeliver,
        now: Timestamp,
    ) -> Result<Adjusted, AllocateError> {
        let parts = Parts::read_in_tx(tx, order, now).await?;
        let before = parts.stored();
        self.follow_in_tx(tx, parts, before).await
    }

    /// Brings `parts` to what the facts say and stores what is not as it was `before`.
    pub(crate) async fn follow_in_tx(
        &self,
        tx: &mut dyn AllocationsTx,
        mut parts: Parts<'_>,
        (allocations, releases): (Vec<Allocation>, Vec<Release>),
    ) -> Result<Adjusted, AllocateError> {
        let (order, now) = (parts.order, parts.now);
        let schedules = self.make_in_tx(tx, &mut parts).await?;
        unlock_in_tx(tx, &mut parts).await?;
        for line in &order.lines {
            parts.adjust(line, &|| self.allocation_id(now));
        }
        parts.allocate_due(&|| self.allocation_id(now));

        let (old, new): (Vec<_>, Vec<_>) = parts
            .allocations
            .iter()
            .cloned()
            .partition(|one| allocations.iter().any(|before| before.id == one.id));
        let changed: Vec<_> = old.into_iter().filter(|one| !allocations.contains(one)).collect();
        let moved: Vec<_> = parts
            .releases
            .iter()
            .filter(|one| !releases.contains(one))
            .cloned()
            .collect();
        let made = tx.allocations().insert_new(&new).await?;
        if made.len() != new.len() {
            return Err(StoreError::broken("a part of a line was made twice").into());
        }
        tx.allocations().save(&changed).await?;
        tx.vesting().save_releases(&moved).await?;
        for movement in parts.movements.drain(..) {
            tx.ledger().post(&self.entry(movement, now)).await?;
        }
        for event in parts.events_since(&allocations) {
            tx.outbox().append(event).await?;
        }
        let anything = !(new.is_empty() && changed.is_empty() && moved.is_empty() && schedules.is_empty());
        if anything {
            derive_delivery_in_tx(tx, order.order, now).await?;
        }
        let restocked = self.restock_in_tx(tx, &parts).await?;
        Ok(Adjusted {
            made,
            schedules,
            changed: anything || restocked,
            waiting: parts.waiting,
            doubtful: parts.doubtful,
        })
    }

    /// The parts of lines that have none yet: an allocation, or a schedule with its releases.
    async fn make_in_tx(
        &self,
        tx: &mut dyn AllocationsTx,
        parts: &mut Parts<'_>,
    ) -> Result<Vec<VestingScheduleId>, AllocateError> {
        let (order, now) = (parts.order, parts.now);
        let mut made = Vec::new();
        for line in order
            .lines
            .iter()
            .filter(|line| !parts.has(line.line))
            .collect::<Vec<_>>()
        {
            let Some(policy) = line.vesting else {
                parts.push_allocation(
                    line,
                    self.allocation_id(now),
                    line.tokens,
                    posx_kernel::TokenAmount::ZERO,
                );
                continue;
            };
            let policy = tx.vesting().policy(policy).await?;
            let policy = policy.ok_or_else(|| StoreError::broken("a tier's vesting without its policy"))?;
            let schedule = self.schedule(order, line, policy.id, now);
            let release = |(number, amount)| Release {
                id: VestingReleaseId::from_uuid(self.ids.uuid(now)),
                schedule: schedule.id,
                line: line.line,
                asset: line.asset,
                policy: policy.id,
                number,
                amount,
                cut: posx_kernel::TokenAmount::ZERO,
                changes: 0,
                state: ReleaseState::Locked,
            };
            let releases: Vec<_> = policy.amounts(line.tokens).into_iter().map(release).collect();
            tx.vesting().insert_schedule(&schedule, &releases).await?;
            let payload = json!({
                "order": order.order, "line": line.line, "policy": policy.id, "total": line.tokens,
                "releases": releases.len(),
            });
            let event = Event {
                kind: "vesting_schedule.created",
                subject: schedule.id.as_uuid(),
                payload,
                at: now,
            };
            tx.outbox().append(event).await?;
            parts.releases.extend(releases);
            made.push(schedule.id);
        }
        Ok(made)
    }

    fn schedule(
        &self,
        order: &OrderToDeliver,
        line: &LineToDeliver,
        policy: posx_kernel::VestingPolicyId,
        now: Timestamp,
    ) -> VestingSchedule {
        VestingSchedule {
            id: VestingScheduleId::from_uuid(self.ids.uuid(now)),
            order: order.order,
            line: line.line,
            party: order.buyer,
            asset: line.asset,
            policy,
            total: line.tokens,
            created_at: now,
            revoked_at: None,
        }
    }

    pub(crate) fn allocation_id(&self, now: Timestamp) -> AllocationId {
        AllocationId::from_uuid(self.ids.uuid(now))
    }

    pub(crate) fn entry(&self, movement: Movement, now: Timestamp) -> Entry {
        movement.entry(EntryId::from_uuid(self.ids.uuid(now)), now)
    }
}

/// By the policies as they are now: what was moved into the future stays locked.
async fn unlock_in_tx(tx: &mut dyn AllocationsTx, parts: &mut Parts<'_>) -> Result<(), StoreError> {
    let today = parts.now.date_naive();
    let locked = |release: &&Release| release.state == ReleaseState::Locked;
    let policies: std::collections::BTreeSet<_> = parts
        .releases
        .iter()
        .filter(locked)
        .map(|release| release.policy)
        .collect();
    for id in policies {
        let policy = tx.vesting().policy(id).await?;
        let policy = policy.ok_or_else(|| StoreError::broken("a release without its policy"))?;
        parts.unlock(&policy, today);
    }
    Ok(())
}

/// Whether the line's parts hold what they should, as far as it can be now.
pub(crate) fn is_settled(parts: &Parts<'_>, line: LineId) -> bool {
    let line = parts.order.lines.iter().find(|one| one.line == line);
    line.is_none_or(|line| parts.is_settled(line))
}
