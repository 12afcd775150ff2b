//! The transaction in memory: it works on a copy of its site's world, which the commit puts back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{
    AllocationId, BatchId, Begin, ChainAssetId, Event, Idempotency, IdempotentTx, IdentityId, LineId,
    OrderId, Outbox, PartyId, RememberedAnswers, SiteId, SiteScope, StoreError, StoreFault, TierId,
    Timestamp, Transaction, VestingPolicyId, VestingReleaseId, VestingScheduleId,
};
use posx_ledger::{Entry, LedgerRepository, LedgerTx, Posted};
use posx_tiers::{Stock, StockRepository};

use crate::{
    Allocation, AllocationRepository, AllocationsTx, Batch, BatchLine, BatchRepository, CustodyAsset,
    DeliveredOrders, Delivery, ExternalIds, OrderToDeliver, Release, ReleaseState, Restock, StateName,
    TokenSettlement, VestingPolicy, VestingRepository, VestingSchedule,
};

#[derive(Debug, Clone)]
pub struct FakeOrder {
    pub facts: OrderToDeliver,
    pub delivery: Delivery,
    pub attention: Option<String>,
}

/// One site's rows.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub orders: BTreeMap<OrderId, FakeOrder>,
    pub assets: BTreeMap<ChainAssetId, CustodyAsset>,
    pub allocations: BTreeMap<AllocationId, Allocation>,
    pub batches: BTreeMap<BatchId, Batch>,
    pub batch_lines: BTreeMap<BatchId, Vec<BatchLine>>,
    /// What a buyer has bound.
    pub wallets: BTreeMap<PartyId, String>,
    /// That the platform has taken away.
    pub foreign_vaults: BTreeSet<String>,
    /// Who may not send any more.
    pub gone: BTreeSet<IdentityId>,
    pub settlements: Vec<TokenSettlement>,
    pub external_ids: BTreeSet<(String, String)>,
    pub entries: Vec<Entry>,
    pub events: Vec<Event>,
    pub answers: RememberedAnswers,
    pub restocks: BTreeMap<LineId, Restock>,
    pub stock: BTreeMap<TierId, Stock>,
    /// What one buyer holds of a tier.
    pub buyers: BTreeMap<(TierId, PartyId), i64>,
    pub policies: BTreeMap<VestingPolicyId, VestingPolicy>,
    pub tier_terms: Vec<(TierId, Option<VestingPolicyId>, Timestamp)>,
    pub schedules: BTreeMap<VestingScheduleId, VestingSchedule>,
    pub releases: BTreeMap<VestingReleaseId, Release>,
    commits: u64,
}

impl World {
    /// In order of schedule and number.
    pub(super) fn releases_of(&self, order: OrderId) -> Vec<Release> {
        let of_order = |release: &&Release| {
            let schedule = self.schedules.get(&release.schedule);
            schedule.is_some_and(|schedule| schedule.order == order)
        };
        let mut releases: Vec<_> = self.releases.values().filter(of_order).cloned().collect();
        releases.sort_by_key(|release| (release.schedule, release.number));
        releases
    }
}

/// Sites and their worlds. A commit on top of another one that came in between fails with [`StoreFault::Retry`].
#[derive(Debug, Clone, Default)]
pub struct FakeDb {
    sites: Arc<Mutex<BTreeMap<SiteId, World>>>,
}

impl FakeDb {
    fn sites(&self) -> MutexGuard<'_, BTreeMap<SiteId, World>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is committed.
    pub fn world(&self, scope: &SiteScope) -> World {
        self.sites().get(&scope.site()).cloned().unwrap_or_default()
    }

    pub fn arrange(&self, scope: &SiteScope, arrange: impl FnOnce(&mut World)) {
        arrange(self.sites().entry(scope.site()).or_default());
    }
}

#[async_trait]
impl Begin<dyn AllocationsTx> for FakeDb {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn AllocationsTx>, StoreError> {
        Ok(Box::new(FakeTx {
            db: self.clone(),
            site: scope.site(),
            world: self.world(scope),
        }))
    }
}

pub(super) struct FakeTx {
    db: FakeDb,
    site: SiteId,
    pub(super) world: World,
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let mut sites = self.db.sites();
        let committed = sites.entry(self.site).or_default();
        if committed.commits != self.world.commits {
            return Err(StoreError::new(
                StoreFault::Retry,
                "another transaction committed first",
            ));
        }
        self.world.commits += 1;
        *committed = std::mem::take(&mut self.world);
        Ok(())
    }
}

impl LedgerTx for FakeTx {
    fn ledger(&mut self) -> &mut dyn LedgerRepository {
        self
    }
}

impl IdempotentTx for FakeTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        &mut self.world.answers
    }
}

impl AllocationsTx for FakeTx {
    fn allocations(&mut self) -> &mut dyn AllocationRepository {
        self
    }
    fn batches(&mut self) -> &mut dyn BatchRepository {
        self
    }
    fn delivered_orders(&mut self) -> &mut dyn DeliveredOrders {
        self
    }
    fn external_ids(&mut self) -> &mut dyn ExternalIds {
        self
    }
    fn vesting(&mut self) -> &mut dyn VestingRepository {
        self
    }
    fn stock(&mut self) -> &mut dyn StockRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl LedgerRepository for FakeTx {
    async fn post(&mut self, entry: &Entry) -> Result<Posted, StoreError> {
        let same = |old: &Entry| {
            (old.kind(), old.cause(), old.part()) == (entry.kind(), entry.cause(), entry.part())
        };
        if self.world.entries.iter().any(same) {
            return Ok(Posted::Already);
        }
        self.world.entries.push(entry.clone());
        Ok(Posted::New)
    }
}

#[async_trait]
impl Outbox for FakeTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.world.events.push(event);
        Ok(())
    }
}

#[async_trait]
impl ExternalIds for FakeTx {
    async fn claim(&mut self, provider: &str, external_id: &str) -> Result<bool, StoreError> {
        let key = (provider.to_owned(), external_id.to_owned());
        let taken = self
            .db
            .sites()
            .iter()
            .any(|(site, world)| *site != self.site && world.external_ids.contains(&key));
        if !taken {
            self.world.external_ids.insert(key);
        }
        Ok(!taken)
    }
}

#[async_trait]
impl DeliveredOrders for FakeTx {
    async fn for_update(&mut self, order: OrderId) -> Result<Option<OrderToDeliver>, StoreError> {
        Ok(self.world.orders.get(&order).map(|order| order.facts.clone()))
    }

    async fn disputed(&mut self, orders: &[OrderId]) -> Result<Vec<OrderId>, StoreError> {
        let disputed = |id: &&OrderId| {
            self.world
                .orders
                .get(id)
                .is_some_and(|order| order.facts.disputed)
        };
        Ok(orders.iter().filter(disputed).copied().collect())
    }

    async fn restocks(&mut self, order: OrderId) -> Result<Vec<Restock>, StoreError> {
        let lines = self
            .world
            .orders
            .get(&order)
            .map(|order| order.facts.lines.clone());
        let restock = |line: &crate::LineToDeliver| self.world.restocks.get(&line.line).copied();
        Ok(lines.unwrap_or_default().iter().filter_map(restock).collect())
    }

    async fn save_restock(&mut self, restock: &Restock) -> Result<(), StoreError> {
        self.world.restocks.insert(restock.line, *restock);
        Ok(())
    }

    async fn set_delivery(
        &mut self,
        order: OrderId,
        delivery: Delivery,
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(order) = self.world.orders.get_mut(&order) {
            order.delivery = delivery;
        }
        Ok(())
    }

    async fn flag(&mut self, order: OrderId, why: &str) -> Result<(), StoreError> {
        if let Some(order) = self.world.orders.get_mut(&order) {
            order.attention.get_or_insert_with(|| why.to_owned());
        }
        Ok(())
    }
}

#[async_trait]
impl AllocationRepository for FakeTx {
    async fn for_update(&mut self, id: AllocationId) -> Result<Option<Allocation>, StoreError> {
        Ok(self.world.allocations.get(&id).cloned())
    }

    async fn for_update_many(&mut self, ids: &[AllocationId]) -> Result<Vec<Allocation>, StoreError> {
        Ok(ids
            .iter()
            .filter_map(|id| self.world.allocations.get(id).cloned())
            .collect())
    }

    async fn by_provider_id(&mut self, provider_id: &str) -> Result<Option<AllocationId>, StoreError> {
        let theirs = |allocation: &&Allocation| allocation.state.provider_id() == Some(provider_id);
        let found = self.world.allocations.values().find(theirs);
        Ok(found.map(|allocation| allocation.id))
    }

    async fn order_of(&mut self, id: AllocationId) -> Result<Option<OrderId>, StoreError> {
        Ok(self.world.allocations.get(&id).map(|allocation| allocation.order))
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Allocation>, StoreError> {
        let all = self.world.allocations.values();
        Ok(all
            .filter(|allocation| allocation.order == order)
            .cloned()
            .collect())
    }

    async fn insert_new(&mut self, allocations: &[Allocation]) -> Result<Vec<AllocationId>, StoreError> {
        let mut made = Vec::new();
        for new in allocations {
            if !self
                .world
                .allocations
                .values()
                .any(|old| (old.line, old.part) == (new.line, new.part))
            {
                self.world.allocations.insert(new.id, new.clone());
                made.push(new.id);
            }
        }
        Ok(made)
    }

    async fn save(&mut self, allocations: &[Allocation]) -> Result<(), StoreError> {
        for allocation in allocations {
            self.world.allocations.insert(allocation.id, allocation.clone());
        }
        Ok(())
    }

    async fn states_of_order(&mut self, order: OrderId) -> Result<Vec<StateName>, StoreError> {
        let of_order = self
            .world
            .allocations
            .values()
            .filter(|allocation| allocation.order == order);
        let mut states: Vec<_> = of_order.map(|allocation| allocation.state.name()).collect();
        let ahead = self.world.releases_of(order).into_iter().filter(|release| {
            let open = matches!(release.state, ReleaseState::Locked | ReleaseState::Due { .. });
            open && !release.left().is_zero()
        });
        states.extend(ahead.map(|_| StateName::Pending));
        Ok(states)
    }

    async fn insert_settlement(&mut self, settlement: &TokenSettlement) -> Result<bool, StoreError> {
        let whose = |id: AllocationId| {
            let allocation = self.world.allocations.get(&id);
            allocation.map(|one| (one.party, one.asset))
        };
        let of = |one: &TokenSettlement| (one.transaction(), whose(one.allocation));
        let (transaction, owner) = of(settlement);
        let spent = self.world.settlements.iter().any(|other| {
            transaction.is_some()
                && other.transaction() == transaction
                && (other.allocation == settlement.allocation || of(other).1 != owner)
        });
        if !spent {
            self.world.settlements.push(settlement.clone());
        }
        Ok(!spent)
    }

    async fn stuck(&mut self, before: Timestamp, limit: u16) -> Result<Vec<AllocationId>, StoreError> {
        let on_its_way = StateName::Unknown.rank()..=StateName::Confirming.rank();
        let stuck = |allocation: &&Allocation| {
            on_its_way.contains(&allocation.state.name().rank()) && allocation.updated_at < before
        };
        let mut stuck: Vec<_> = self.world.allocations.values().filter(stuck).collect();
        stuck.sort_by_key(|allocation| (allocation.updated_at, allocation.id));
        Ok(stuck
            .into_iter()
            .take(usize::from(limit))
            .map(|allocation| allocation.id)
            .collect())
    }

    async fn custody_asset(&mut self, id: ChainAssetId) -> Result<Option<CustodyAsset>, StoreError> {
        Ok(self.world.assets.get(&id).cloned())
    }
}
