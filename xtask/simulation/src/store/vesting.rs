//! Vesting policies, schedules and releases.

use async_trait::async_trait;
use posx_allocations::{Release, ReleaseState, VestingPolicy, VestingRepository, VestingSchedule};
use posx_kernel::{OrderId, StoreError, TierId, Timestamp, VestingPolicyId, VestingScheduleId};

use super::{SimTx, constraint};
use crate::bugs::Bug;

impl SimTx {
    /// By what held for the tier at that time.
    pub(super) fn vesting_of(&self, tier: TierId, at: Timestamp) -> Option<VestingPolicyId> {
        let now = self.planted(Bug::VestingReadNow);
        self.db.read(self.site, |rows| {
            let terms = rows.tier_terms.iter();
            let of_tier = terms.filter(|((of, since), _)| *of == tier && (*since <= at || now));
            of_tier
                .max_by_key(|((_, since), _)| *since)
                .and_then(|(_, policy)| *policy)
        })
    }

    pub(super) fn releases_of(&self, order: OrderId) -> Vec<Release> {
        let mut releases = self.all(|rows| &rows.releases);
        releases.retain(|release| {
            let schedule = self.get(|rows| &rows.schedules, &release.schedule);
            schedule.is_some_and(|schedule| schedule.order == order)
        });
        releases.sort_by_key(|release| (release.schedule, release.number));
        releases
    }
}

#[async_trait]
impl VestingRepository for SimTx {
    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError> {
        self.step("vesting.latest_version").await;
        let policies = self.all(|rows| &rows.policies);
        let of_name = policies.iter().filter(|policy| policy.name == name);
        Ok(of_name.map(|policy| policy.version).max().unwrap_or(0))
    }

    async fn insert_policy(&mut self, policy: &VestingPolicy) -> Result<bool, StoreError> {
        self.step("vesting.insert_policy").await;
        let same = |old: &VestingPolicy| (&old.name, old.version) == (&policy.name, policy.version);
        let free = !self.all(|rows| &rows.policies).iter().any(same);
        if free {
            self.put(|rows| &mut rows.policies, policy.id, policy.clone());
        }
        Ok(free)
    }

    async fn policy(&mut self, id: VestingPolicyId) -> Result<Option<VestingPolicy>, StoreError> {
        self.step("vesting.policy").await;
        Ok(self.get(|rows| &rows.policies, &id))
    }

    async fn save_start(&mut self, policy: &VestingPolicy, seen: i32) -> Result<bool, StoreError> {
        self.step("vesting.save_start").await;
        self.lock(("vesting_policy", policy.id.as_uuid().as_u128()))
            .await?;
        let stored = self.get(|rows| &rows.policies, &policy.id);
        let fits = stored.is_some_and(|stored| stored.revision == seen);
        if fits {
            self.put(|rows| &mut rows.policies, policy.id, policy.clone());
        }
        Ok(fits)
    }

    async fn started_policies(&mut self) -> Result<Vec<VestingPolicy>, StoreError> {
        self.step("vesting.started_policies").await;
        let mut policies = self.all(|rows| &rows.policies);
        policies.retain(|policy| policy.starts_on.is_some());
        Ok(policies)
    }

    async fn insert_tier_terms(
        &mut self,
        tier: TierId,
        policy: Option<VestingPolicyId>,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        self.step("vesting.insert_tier_terms").await;
        let known = self.get(|rows| &rows.tiers, &tier).is_some();
        if known {
            self.put(|rows| &mut rows.tier_terms, (tier, since), policy);
        }
        Ok(known)
    }

    async fn insert_schedule(
        &mut self,
        schedule: &VestingSchedule,
        releases: &[Release],
    ) -> Result<(), StoreError> {
        self.step("vesting.insert_schedule").await;
        self.lock(("vesting_line", schedule.line.as_uuid().as_u128()))
            .await?;
        if self
            .all(|rows| &rows.schedules)
            .iter()
            .any(|old| old.line == schedule.line)
        {
            return Err(constraint("vesting_schedules_line_key"));
        }
        self.put(|rows| &mut rows.schedules, schedule.id, schedule.clone());
        for release in releases {
            self.put(|rows| &mut rows.releases, release.id, release.clone());
        }
        Ok(())
    }

    async fn schedule(&mut self, id: VestingScheduleId) -> Result<Option<VestingSchedule>, StoreError> {
        self.step("vesting.schedule").await;
        Ok(self.get(|rows| &rows.schedules, &id))
    }

    async fn mark_revoked(&mut self, id: VestingScheduleId, at: Timestamp) -> Result<(), StoreError> {
        self.step("vesting.mark_revoked").await;
        if let Some(mut row) = self.get(|rows| &rows.schedules, &id) {
            row.revoked_at.get_or_insert(at);
            self.put(|rows| &mut rows.schedules, id, row);
        }
        Ok(())
    }

    async fn releases_of_order(&mut self, order: OrderId) -> Result<Vec<Release>, StoreError> {
        self.step("vesting.releases_of_order").await;
        Ok(self.releases_of(order))
    }

    async fn save_releases(&mut self, releases: &[Release]) -> Result<(), StoreError> {
        self.step("vesting.save_releases").await;
        for release in releases {
            let mut row = release.clone();
            if self.planted(Bug::ReleaseStaysLocked) && row.state.allocation().is_some() {
                row.state = ReleaseState::Locked;
            }
            if self.planted(Bug::ReleaseCutForgotten) {
                row.cut = self
                    .get(|rows| &rows.releases, &row.id)
                    .map_or(row.cut, |stored| stored.cut);
            }
            self.put(|rows| &mut rows.releases, row.id, row);
        }
        Ok(())
    }

    async fn due_orders(
        &mut self,
        policy: VestingPolicyId,
        through: u16,
        after: Option<OrderId>,
        limit: u16,
    ) -> Result<Vec<OrderId>, StoreError> {
        self.step("vesting.due_orders").await;
        let mut orders: Vec<_> = self
            .all(|rows| &rows.releases)
            .iter()
            .filter(|one| one.policy == policy && one.number <= through && one.state == ReleaseState::Locked)
            .filter_map(|one| self.get(|rows| &rows.schedules, &one.schedule))
            .map(|schedule| schedule.order)
            .collect();
        orders.sort_unstable();
        orders.dedup();
        orders.retain(|order| after.is_none_or(|after| *order > after));
        orders.truncate(usize::from(limit));
        Ok(orders)
    }
}
