//! The transaction in memory: it works on a copy of its site's world, which the commit puts back.

mod payouts;
mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{
    Begin, CommissionId, Currency, Event, Idempotency, IdempotentTx, Money, OrderId, Outbox, PartyId, PlanId,
    RememberedAnswers, SiteId, SiteScope, StoreError, StoreFault, Timestamp, Transaction,
};
use posx_ledger::{Entry, LedgerRepository, LedgerTx, Posted};
use posx_tenancy::ReferralTree;

pub use payouts::PayoutRows;

use crate::{
    Adjustment, AgentTerms, Commission, CommissionRepository, CommissionState, CommissionsTx, Decision,
    PaidOrder, PaidOrders, Plan, PlanRepository, TermsRepository,
};

/// One site's rows.
#[derive(Debug, Clone, Default)]
pub struct World {
    pub plans: BTreeMap<PlanId, Plan>,
    pub orders: BTreeMap<OrderId, PaidOrder>,
    /// Party → referrer, and since when.
    pub referrals: BTreeMap<PartyId, (PartyId, Timestamp)>,
    pub decided: BTreeSet<OrderId>,
    pub decisions: BTreeMap<(OrderId, u8), Decision>,
    pub commissions: BTreeMap<CommissionId, Commission>,
    pub adjustments: Vec<Adjustment>,
    /// In the order in which they were recorded.
    pub terms: Vec<AgentTerms>,
    /// Parties that exist, where a use case asks.
    pub parties: BTreeSet<PartyId>,
    pub inactive: BTreeSet<PartyId>,
    pub entries: Vec<Entry>,
    pub events: Vec<Event>,
    pub answers: RememberedAnswers,
    pub payouts: PayoutRows,
    commits: u64,
}

impl World {
    fn referrer_at(&self, party: PartyId, at: Timestamp) -> Option<PartyId> {
        let (referrer, since) = self.referrals.get(&party)?;
        (*since <= at).then_some(*referrer)
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
impl Begin<dyn CommissionsTx> for FakeDb {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn CommissionsTx>, StoreError> {
        Ok(Box::new(FakeTx {
            db: self.clone(),
            site: scope.site(),
            world: self.world(scope),
        }))
    }
}

struct FakeTx {
    db: FakeDb,
    site: SiteId,
    world: World,
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

impl CommissionsTx for FakeTx {
    fn plans(&mut self) -> &mut dyn PlanRepository {
        self
    }
    fn terms(&mut self) -> &mut dyn TermsRepository {
        self
    }
    fn paid_orders(&mut self) -> &mut dyn PaidOrders {
        self
    }
    fn referrals(&mut self) -> &mut dyn ReferralTree {
        self
    }
    fn commissions(&mut self) -> &mut dyn CommissionRepository {
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
impl PlanRepository for FakeTx {
    async fn find(&mut self, id: PlanId) -> Result<Option<Plan>, StoreError> {
        Ok(self.world.plans.get(&id).cloned())
    }

    async fn in_force(&mut self, at: Timestamp) -> Result<Option<Plan>, StoreError> {
        let begun = |plan: &&Plan| plan.window.is_some_and(|window| window.has_begun(at));
        let latest = self
            .world
            .plans
            .values()
            .filter(begun)
            .max_by_key(|plan| plan.window.map(|window| (window.from, window.activation)));
        let lasts = |plan: &&Plan| plan.window.is_some_and(|window| !window.has_ended(at));
        Ok(latest.filter(lasts).cloned())
    }

    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError> {
        let versions = self
            .world
            .plans
            .values()
            .filter(|plan| plan.name == name)
            .map(|plan| plan.version);
        Ok(versions.max().unwrap_or(0))
    }

    async fn insert(&mut self, plan: &Plan) -> Result<bool, StoreError> {
        let same = |old: &Plan| (old.name.as_str(), old.version) == (plan.name.as_str(), plan.version);
        if self.world.plans.values().any(same) {
            return Ok(false);
        }
        self.world.plans.insert(plan.id, plan.clone());
        Ok(true)
    }

    async fn lock_activations(&mut self) -> Result<u32, StoreError> {
        let activation = |plan: &Plan| plan.window.map(|window| window.activation);
        Ok(self
            .world
            .plans
            .values()
            .filter_map(activation)
            .max()
            .unwrap_or(0))
    }

    async fn save_window(&mut self, plan: &Plan) -> Result<(), StoreError> {
        if let Some(stored) = self.world.plans.get_mut(&plan.id) {
            stored.window = plan.window;
        }
        Ok(())
    }
}

#[async_trait]
impl PaidOrders for FakeTx {
    async fn find(&mut self, order: OrderId) -> Result<Option<PaidOrder>, StoreError> {
        Ok(self.world.orders.get(&order).cloned())
    }

    async fn sales_of(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        before: Timestamp,
    ) -> Result<Vec<Money>, StoreError> {
        let sales = |agent: &PartyId| {
            let counts = |order: &&PaidOrder| {
                self.world.referrer_at(order.buyer, before) == Some(*agent)
                    && order.total.currency() == currency
                    && order.paid_at.is_some_and(|paid_at| paid_at < before)
            };
            let minor = self
                .world
                .orders
                .values()
                .filter(counts)
                .map(|order| order.total.minor() - order.returned.minor().min(order.total.minor()))
                .sum();
            Money::from_minor(minor, currency)
        };
        Ok(agents.iter().map(sales).collect())
    }
}

#[async_trait]
impl ReferralTree for FakeTx {
    async fn ancestors(
        &mut self,
        party: PartyId,
        depth: u8,
        at: Timestamp,
    ) -> Result<Vec<PartyId>, StoreError> {
        let up = |party: &PartyId| self.world.referrer_at(*party, at);
        Ok(std::iter::successors(up(&party), up)
            .take(usize::from(depth))
            .collect())
    }
}

#[async_trait]
impl CommissionRepository for FakeTx {
    async fn claim_order(&mut self, order: OrderId, _at: Timestamp) -> Result<bool, StoreError> {
        Ok(self.world.decided.insert(order))
    }

    async fn lock_months(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        paid_at: Timestamp,
    ) -> Result<Vec<Money>, StoreError> {
        Ok(agents
            .iter()
            .map(|agent| self.world.month(*agent, currency, paid_at))
            .collect())
    }

    async fn insert(
        &mut self,
        order: OrderId,
        decisions: &[Decision],
        earned: &[Commission],
        _at: Timestamp,
    ) -> Result<(), StoreError> {
        for decision in decisions {
            self.world
                .decisions
                .insert((order, decision.level), decision.clone());
        }
        for commission in earned {
            self.world.commissions.insert(commission.id, commission.clone());
        }
        Ok(())
    }

    async fn ready_due(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Commission>, StoreError> {
        let World {
            orders, commissions, ..
        } = &mut self.world;
        let disputed = |order: OrderId| orders.get(&order).is_some_and(|order| order.disputed);
        let mut due: Vec<_> = commissions
            .values_mut()
            .filter(|commission| commission.is_due(now) && !disputed(commission.order))
            .collect();
        due.sort_by_key(|commission| commission.hold_until);
        let ready = |commission: &mut Commission| {
            commission
                .become_(CommissionState::Ready, now)
                .map_err(|error| StoreError::new(StoreFault::Broken, error))?;
            Ok(commission.clone())
        };
        due.into_iter().take(usize::from(limit)).map(ready).collect()
    }
    async fn for_update(&mut self, order: OrderId) -> Result<Vec<Commission>, StoreError> {
        let of_it = |commission: &&Commission| commission.order == order;
        Ok(self.world.commissions.values().filter(of_it).cloned().collect())
    }

    async fn adjust(&mut self, commission: &Commission, step: Option<&Adjustment>) -> Result<(), StoreError> {
        let stored = self.world.commissions.get_mut(&commission.id);
        *stored.ok_or_else(|| StoreError::broken("no such commission"))? = commission.clone();
        self.world.adjustments.extend(step.cloned());
        Ok(())
    }
}
