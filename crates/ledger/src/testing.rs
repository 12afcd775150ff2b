//! The books in memory, and the contract suite of their store.

mod contract;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{
    Begin, Event, Idempotency, IdempotentTx, Outbox, PeriodId, RememberedAnswers, SiteId, SiteScope,
    StoreError, Timestamp, Transaction,
};

pub use self::contract::{Given, period_contract};
use crate::{
    BooksTx, Entry, Fault, Invariant, InvariantQueries, LedgerRepository, LedgerTx, Period, PeriodRepository,
    Posted, Side, TrialBalanceRow,
};

/// What one site keeps.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    pub periods: Vec<Period>,
    pub balances: BTreeMap<PeriodId, Vec<TrialBalanceRow>>,
    pub entries: Vec<Entry>,
    pub events: Vec<Event>,
    pub answers: RememberedAnswers,
    /// What the invariants find.
    pub faults: Vec<Fault>,
}

impl Kept {
    fn last(&self) -> Option<&Period> {
        self.periods.iter().rev().find(|period| period.reopened.is_none())
    }
}

/// One transaction at a time: the last commit wins.
#[derive(Debug, Clone, Default)]
pub struct FakeBooks {
    sites: Arc<Mutex<HashMap<SiteId, Kept>>>,
}

impl FakeBooks {
    fn sites(&self) -> MutexGuard<'_, HashMap<SiteId, Kept>> {
        self.sites.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn kept(&self, scope: &SiteScope) -> Kept {
        self.sites().get(&scope.site()).cloned().unwrap_or_default()
    }

    /// Behind the use cases.
    pub fn change(&self, scope: &SiteScope, change: impl FnOnce(&mut Kept)) {
        change(self.sites().entry(scope.site()).or_default());
    }
}

#[derive(Debug)]
struct FakeTx {
    books: FakeBooks,
    site: SiteId,
    open: Kept,
    /// How many entries were there before.
    posted: usize,
}

#[async_trait]
impl Begin<dyn BooksTx> for FakeBooks {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn BooksTx>, StoreError> {
        let open = self.kept(scope);
        Ok(Box::new(FakeTx {
            books: self.clone(),
            site: scope.site(),
            posted: open.entries.len(),
            open,
        }))
    }
}

#[async_trait]
impl InvariantQueries for FakeBooks {
    async fn faults(&self, scope: &SiteScope, invariant: Invariant) -> Result<Vec<Fault>, StoreError> {
        let faults = self.kept(scope).faults.into_iter();
        Ok(faults
            .filter(|fault| fault.invariant == invariant.as_str())
            .collect())
    }
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let closed = self.open.last().map(|last| last.until);
        if self.open.entries[self.posted..]
            .iter()
            .any(|entry| closed.is_some_and(|closed| entry.at() < closed))
        {
            return Err(StoreError::constraint(
                "entries_in_open_period",
                "a closed period",
            ));
        }
        self.books.sites().insert(self.site, self.open);
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
        &mut self.open.answers
    }
}

impl BooksTx for FakeTx {
    fn periods(&mut self) -> &mut dyn PeriodRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl Outbox for FakeTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.open.events.push(event);
        Ok(())
    }
}

#[async_trait]
impl LedgerRepository for FakeTx {
    async fn post(&mut self, entry: &Entry) -> Result<Posted, StoreError> {
        let fact = |entry: &Entry| (entry.kind(), entry.cause(), entry.part().to_owned());
        if self.open.entries.iter().any(|known| fact(known) == fact(entry)) {
            return Ok(Posted::Already);
        }
        self.open.entries.push(entry.clone());
        Ok(Posted::New)
    }
}

fn follow() -> StoreError {
    StoreError::constraint("ledger_periods_follow", "another one is the last")
}

#[async_trait]
impl PeriodRepository for FakeTx {
    async fn lock_last(&mut self) -> Result<Option<Period>, StoreError> {
        Ok(self.open.last().cloned())
    }

    async fn find(&mut self, id: PeriodId) -> Result<Option<Period>, StoreError> {
        Ok(self.open.periods.iter().find(|period| period.id == id).cloned())
    }

    async fn balances(&mut self, until: Timestamp) -> Result<Vec<TrialBalanceRow>, StoreError> {
        let mut sums = BTreeMap::new();
        for posting in self
            .open
            .entries
            .iter()
            .filter(|entry| entry.at() < until)
            .flat_map(Entry::postings)
        {
            let key = (posting.unit.to_string(), posting.account.code());
            let (_, debit, credit) = sums
                .entry(key)
                .or_insert((posting.account.class(), 0_u128, 0_u128));
            match posting.side {
                Side::Debit => *debit += posting.amount,
                Side::Credit => *credit += posting.amount,
            }
        }
        let row = |((unit, account), (class, debit, credit)): (
            (String, String),
            (crate::AccountClass, u128, u128),
        )| {
            TrialBalanceRow {
                account,
                unit,
                class: class.as_str().to_owned(),
                debit: debit.to_string(),
                credit: credit.to_string(),
                balance: if debit >= credit {
                    (debit - credit).to_string()
                } else {
                    format!("-{}", credit - debit)
                },
            }
        };
        Ok(sums.into_iter().map(row).collect())
    }

    async fn insert(&mut self, period: &Period, balances: &[TrialBalanceRow]) -> Result<(), StoreError> {
        let last = self.open.last();
        let follows = last.map_or((1, None, None), |last| {
            (last.number + 1, Some(last.until), Some(last.hash))
        });
        if (period.number, period.from, period.previous_hash) != follows {
            return Err(follow());
        }
        self.open.periods.push(period.clone());
        self.open.balances.insert(period.id, balances.to_vec());
        Ok(())
    }

    async fn save(&mut self, period: &Period) -> Result<(), StoreError> {
        if period.reopened.is_none() || self.open.last().is_none_or(|last| last.id != period.id) {
            return Err(follow());
        }
        for known in self.open.periods.iter_mut().filter(|known| known.id == period.id) {
            known.clone_from(period);
        }
        Ok(())
    }
}
