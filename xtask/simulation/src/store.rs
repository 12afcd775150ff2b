//! One store for all contexts, in memory, that behaves as PostgreSQL does at READ COMMITTED where our code relies on it.
//!
//! * A transaction sees what is committed at the moment of each statement, and what it wrote itself. Dropped, it is gone.
//! * `for_update`, every write and every unique key take a row's lock until the transaction ends; who meets a lock waits,
//!   and who would wait in a circle is told to try again.
//! * Constraints that matter are checked when a transaction commits, and what must hold at every moment is looked at there.

mod allocations;
mod batches;
mod commissions;
mod idempotency;
mod ledger;
mod orders;
mod payouts;
pub(crate) mod promo_codes;
mod returns;
pub(crate) mod rows;
mod settlements;
pub(crate) mod terms;
mod tiers;
mod unused;
mod vesting;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_allocations::AllocationsTx;
use posx_commissions::{CommissionsTx, PayoutsTx};
use posx_kernel::{Begin, OrderId, SiteId, SiteScope, StoreError, StoreFault, Transaction};
use posx_orders::OrdersTx;
use posx_tiers::TiersTx;

use crate::bugs::Bug;
use crate::env::Env;
use crate::faults::Fault;
use crate::queue::{NewJob, Queue};
use rows::Rows;

/// A row, a unique key or an advisory lock: its table and its key.
type Lock = (&'static str, u128);
type TxId = u64;

pub(crate) struct State {
    sites: BTreeMap<SiteId, Rows>,
    /// Whose object of an outside system it is.
    external_ids: BTreeMap<String, SiteId>,
    locks: BTreeMap<Lock, TxId>,
    /// Who waits for whom.
    waits: BTreeMap<TxId, TxId>,
    next_tx: TxId,
    pub(crate) queue: Queue,
    /// What should never have been committed.
    pub(crate) violations: Vec<String>,
}

/// The database. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Db {
    pub(crate) env: Arc<Env>,
    state: Arc<Mutex<State>>,
}

impl Db {
    pub(crate) fn new(env: &Arc<Env>) -> Self {
        let state = State {
            sites: BTreeMap::new(),
            external_ids: BTreeMap::new(),
            locks: BTreeMap::new(),
            waits: BTreeMap::new(),
            next_tx: 1,
            queue: Queue::default(),
            violations: Vec::new(),
        };
        Self {
            env: Arc::clone(env),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is committed.
    pub(crate) fn read<T>(&self, site: SiteId, look: impl FnOnce(&Rows) -> T) -> T {
        look(self.state().sites.entry(site).or_default())
    }

    /// Puts rows there before anything runs.
    pub(crate) fn arrange(&self, site: SiteId, change: impl FnOnce(&mut Rows)) {
        change(self.state().sites.entry(site).or_default());
    }

    pub(crate) fn site_of(&self, external_id: &str) -> Option<SiteId> {
        self.state().external_ids.get(external_id).copied()
    }

    async fn open(&self, scope: &SiteScope) -> Result<Box<SimTx>, StoreError> {
        self.env.sim.step("begin").await;
        let mut state = self.state();
        let id = state.next_tx;
        state.next_tx += 1;
        drop(state);
        Ok(Box::new(SimTx {
            db: self.clone(),
            id,
            site: scope.site(),
            own: Rows::default(),
            external_ids: Vec::new(),
            jobs: Vec::new(),
            deciding: None,
        }))
    }
}

#[async_trait]
impl Begin<dyn TiersTx> for Db {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn TiersTx>, StoreError> {
        Ok(self.open(scope).await?)
    }
}

#[async_trait]
impl Begin<dyn OrdersTx> for Db {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn OrdersTx>, StoreError> {
        Ok(self.open(scope).await?)
    }
}

#[async_trait]
impl Begin<dyn CommissionsTx> for Db {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn CommissionsTx>, StoreError> {
        Ok(self.open(scope).await?)
    }
}

#[async_trait]
impl Begin<dyn AllocationsTx> for Db {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn AllocationsTx>, StoreError> {
        Ok(self.open(scope).await?)
    }
}

#[async_trait]
impl Begin<dyn PayoutsTx> for Db {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn PayoutsTx>, StoreError> {
        Ok(self.open(scope).await?)
    }
}

/// An open transaction of one site. It lends every repository.
pub(crate) struct SimTx {
    db: Db,
    id: TxId,
    site: SiteId,
    /// What it wrote: rows are added and replaced, never deleted.
    own: Rows,
    external_ids: Vec<String>,
    jobs: Vec<NewJob>,
    /// The order whose shares are being decided.
    deciding: Option<OrderId>,
}

type Table<K, V> = fn(&Rows) -> &BTreeMap<K, V>;
type TableMut<K, V> = fn(&mut Rows) -> &mut BTreeMap<K, V>;

impl SimTx {
    fn planted(&self, bug: Bug) -> bool {
        self.db.env.planted(bug)
    }

    async fn step(&self, port: &'static str) {
        self.db.env.sim.step(port).await;
    }

    fn get<K: Ord, V: Clone>(&self, table: Table<K, V>, key: &K) -> Option<V> {
        if let Some(own) = table(&self.own).get(key) {
            return Some(own.clone());
        }
        let state = self.db.state();
        let rows = state.sites.get(&self.site)?;
        table(rows).get(key).cloned()
    }

    /// In order of the keys.
    fn all<K: Ord + Clone, V: Clone>(&self, table: Table<K, V>) -> Vec<V> {
        let state = self.db.state();
        let own = table(&self.own);
        let Some(rows) = state.sites.get(&self.site) else {
            return own.values().cloned().collect();
        };
        if own.is_empty() {
            return table(rows).values().cloned().collect();
        }
        let mut seen: BTreeMap<&K, &V> = table(rows).iter().collect();
        seen.extend(own);
        seen.into_values().cloned().collect()
    }

    fn put<K: Ord, V>(&mut self, table: TableMut<K, V>, key: K, row: V) {
        table(&mut self.own).insert(key, row);
    }

    /// Waits until it is free.
    async fn lock(&self, lock: Lock) -> Result<(), StoreError> {
        while !self.try_lock(lock)? {
            self.db.env.sim.wait_for_lock().await;
        }
        Ok(())
    }

    /// True: it is ours until the transaction ends.
    fn try_lock(&self, lock: Lock) -> Result<bool, StoreError> {
        let mut state = self.db.state();
        state.waits.remove(&self.id);
        let holder = *state.locks.entry(lock).or_insert(self.id);
        if holder == self.id {
            return Ok(true);
        }
        let mut next = Some(holder);
        while let Some(tx) = next {
            if tx == self.id {
                return Err(StoreError::new(StoreFault::Retry, "deadlock detected"));
            }
            next = state.waits.get(&tx).copied();
        }
        state.waits.insert(self.id, holder);
        Ok(false)
    }

    /// Without waiting: false is another's.
    fn lock_now(&self, lock: Lock) -> bool {
        let mut state = self.db.state();
        *state.locks.entry(lock).or_insert(self.id) == self.id
    }

    fn apply(&mut self) {
        let (own, site) = (std::mem::take(&mut self.own), self.site);
        let now = self.db.env.sim.now();
        let mut state = self.db.state();
        let state = &mut *state;
        let rows = state.sites.entry(site).or_default();
        state.violations.extend(watch::commit(rows, &own));
        rows.absorb(own);
        for external_id in self.external_ids.drain(..) {
            state.external_ids.insert(external_id, site);
        }
        for job in self.jobs.drain(..) {
            state.queue.add(site, job, now);
        }
    }

    fn end(&self) {
        let mut state = self.db.state();
        state.locks.retain(|_, holder| *holder != self.id);
        state.waits.remove(&self.id);
        drop(state);
        self.db.env.sim.transaction_ended();
    }
}

impl Drop for SimTx {
    fn drop(&mut self) {
        self.end();
    }
}

#[async_trait]
impl Transaction for SimTx {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.step("commit").await;
        let env = Arc::clone(&self.db.env);
        if env.strikes(Fault::BusyStore, 12) {
            return Err(StoreError::new(StoreFault::Retry, "could not serialize access"));
        }
        let lost = env.strikes(Fault::LostCommits, 25);
        if !lost || env.sim.one_in(2) {
            let jobs = !self.jobs.is_empty();
            let later = if self.planted(Bug::JobsAddedAfterCommit) {
                std::mem::take(&mut self.jobs)
            } else {
                Vec::new()
            };
            self.apply();
            self.end();
            env.sim.step("committed").await;
            let now = env.sim.now();
            for job in later {
                self.db.state().queue.add(self.site, job, now);
            }
            if jobs {
                env.sim.job_added();
            }
        }
        if lost {
            return Err(StoreError::new(
                StoreFault::Unavailable,
                "the connection was lost",
            ));
        }
        Ok(())
    }
}

/// What a constraint of the database would say.
fn constraint(name: &'static str) -> StoreError {
    StoreError::constraint(name, "refused by the store")
}
