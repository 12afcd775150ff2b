//! Vesting and the tiers' stock in memory.

use async_trait::async_trait;
use posx_kernel::{OrderId, PartyId, StoreError, TierId, Timestamp, VestingPolicyId, VestingScheduleId};
use posx_tiers::{Stock, StockChange, StockMove, StockRefusal, StockRepository};

use super::fake::FakeTx;
use crate::{Release, ReleaseState, VestingPolicy, VestingRepository, VestingSchedule};

#[async_trait]
impl VestingRepository for FakeTx {
    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError> {
        let of_name = self.world.policies.values().filter(|policy| policy.name == name);
        Ok(of_name.map(|policy| policy.version).max().unwrap_or(0))
    }

    async fn insert_policy(&mut self, policy: &VestingPolicy) -> Result<bool, StoreError> {
        let same = |old: &VestingPolicy| (&old.name, old.version) == (&policy.name, policy.version);
        if self.world.policies.values().any(same) {
            return Ok(false);
        }
        self.world.policies.insert(policy.id, policy.clone());
        Ok(true)
    }

    async fn policy(&mut self, id: VestingPolicyId) -> Result<Option<VestingPolicy>, StoreError> {
        Ok(self.world.policies.get(&id).cloned())
    }

    async fn save_start(&mut self, policy: &VestingPolicy, seen: i32) -> Result<bool, StoreError> {
        match self.world.policies.get_mut(&policy.id) {
            Some(stored) if stored.revision == seen => {
                *stored = policy.clone();
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn started_policies(&mut self) -> Result<Vec<VestingPolicy>, StoreError> {
        let started = self
            .world
            .policies
            .values()
            .filter(|policy| policy.starts_on.is_some());
        Ok(started.cloned().collect())
    }

    async fn insert_tier_terms(
        &mut self,
        tier: TierId,
        policy: Option<VestingPolicyId>,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let known = self.world.stock.contains_key(&tier);
        if known {
            self.world.tier_terms.push((tier, policy, since));
        }
        Ok(known)
    }

    async fn insert_schedule(
        &mut self,
        schedule: &VestingSchedule,
        releases: &[Release],
    ) -> Result<(), StoreError> {
        if self.world.schedules.values().any(|old| old.line == schedule.line) {
            return Err(StoreError::broken("a line's second schedule"));
        }
        self.world.schedules.insert(schedule.id, schedule.clone());
        self.save_releases(releases).await
    }

    async fn schedule(&mut self, id: VestingScheduleId) -> Result<Option<VestingSchedule>, StoreError> {
        Ok(self.world.schedules.get(&id).cloned())
    }

    async fn mark_revoked(&mut self, id: VestingScheduleId, at: Timestamp) -> Result<(), StoreError> {
        if let Some(schedule) = self.world.schedules.get_mut(&id) {
            schedule.revoked_at = Some(at);
        }
        Ok(())
    }

    async fn releases_of_order(&mut self, order: OrderId) -> Result<Vec<Release>, StoreError> {
        Ok(self.world.releases_of(order))
    }

    async fn save_releases(&mut self, releases: &[Release]) -> Result<(), StoreError> {
        for release in releases {
            self.world.releases.insert(release.id, release.clone());
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
        let due = |release: &&Release| {
            release.policy == policy && release.number <= through && release.state == ReleaseState::Locked
        };
        let order = |release: &Release| {
            self.world
                .schedules
                .get(&release.schedule)
                .map(|schedule| schedule.order)
        };
        let mut orders: Vec<_> = self
            .world
            .releases
            .values()
            .filter(due)
            .filter_map(order)
            .collect();
        orders.sort_unstable();
        orders.dedup();
        orders.retain(|order| after.is_none_or(|after| *order > after));
        orders.truncate(usize::from(limit));
        Ok(orders)
    }
}

#[async_trait]
impl StockRepository for FakeTx {
    async fn change(
        &mut self,
        movement: &StockMove,
        change: &StockChange,
    ) -> Result<Result<Stock, StockRefusal>, StoreError> {
        let Some(stock) = self.world.stock.get_mut(&movement.tier) else {
            return Ok(Err(StockRefusal::NoSuchTier));
        };
        let sold = match change {
            StockChange::SellFree => stock.sold + movement.quantity,
            StockChange::Unsell => stock.sold - movement.quantity,
            _ => return Err(StoreError::broken("a change that deliveries do not make")),
        };
        let available = stock.available();
        if sold < 0 || sold + stock.reserved > stock.supply {
            return Ok(Err(StockRefusal::NotEnough { available }));
        }
        stock.sold = sold;
        Ok(Ok(*stock))
    }

    async fn count_for_buyer(
        &mut self,
        tier: TierId,
        buyer: PartyId,
        quantity: i64,
        limit: Option<u32>,
    ) -> Result<Result<(), StockRefusal>, StoreError> {
        let counted = self.world.buyers.entry((tier, buyer)).or_default();
        let next = *counted + quantity;
        if next < 0 || limit.is_some_and(|limit| next > i64::from(limit)) {
            return Ok(Err(StockRefusal::BuyerLimit));
        }
        *counted = next;
        Ok(Ok(()))
    }
}
