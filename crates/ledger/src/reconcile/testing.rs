//! A provider's account and a site's books in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::NaiveDate;
use posx_kernel::{
    Begin, Event, Outbox, Page, PageRequest, ReconciliationId, SiteScope, StoreError, Timestamp, Transaction,
};
use uuid::Uuid;

use super::{
    AskLines, Booked, BooksToReconcile, DifferenceView, Line, LinesError, Moved, Movement, Provider,
    ProviderLines, Reconciled, ReconciliationQueries, ReconciliationRepository, ReconciliationView,
    ReconciliationsTx, Unbooked, Wallet,
};
use crate::{Account, Entry, LedgerRepository, LedgerTx, Posted, Posting};

/// A provider's account: what a test puts there.
#[derive(Debug, Clone, Default)]
pub struct FakeLines {
    lines: Arc<Mutex<Vec<Line>>>,
    asked: Arc<Mutex<Vec<(Timestamp, Timestamp)>>>,
}

impl FakeLines {
    pub fn add(&self, lines: impl IntoIterator<Item = Line>) {
        lock(&self.lines).extend(lines);
    }

    /// What was asked for, in order.
    pub fn asked(&self) -> Vec<(Timestamp, Timestamp)> {
        lock(&self.asked).clone()
    }
}

#[async_trait]
impl ProviderLines for FakeLines {
    async fn lines(&self, ask: &AskLines<'_>) -> Result<Vec<Line>, LinesError> {
        lock(&self.asked).push((ask.from, ask.until));
        let asked_for = |line: &&Line| (ask.from..ask.until).contains(&line.at);
        Ok(lock(&self.lines).iter().filter(asked_for).cloned().collect())
    }
}

/// A provider at which no site has an account.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLines;

#[async_trait]
impl ProviderLines for NoLines {
    async fn lines(&self, _ask: &AskLines<'_>) -> Result<Vec<Line>, LinesError> {
        Err(LinesError::NoAccount)
    }
}

#[derive(Debug, Clone, Default)]
pub struct Rows {
    pub entries: Vec<Booked>,
    pub posted: Vec<Entry>,
    pub unbooked: BTreeMap<String, Unbooked>,
    pub wallets: Vec<Wallet>,
    pub runs: Vec<Reconciled>,
    pub events: Vec<Event>,
}

/// The books of one site.
#[derive(Debug, Clone, Default)]
pub struct FakeBooks {
    rows: Arc<Mutex<Rows>>,
}

impl FakeBooks {
    pub fn arrange(&self, arrange: impl FnOnce(&mut Rows)) {
        arrange(&mut lock(&self.rows));
    }

    /// What is committed.
    pub fn rows(&self) -> Rows {
        lock(&self.rows).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn of_provider(entry: &Booked, provider: Provider) -> bool {
    (entry.movement == Movement::Delivery) == (provider == Provider::Fireblocks)
}

#[async_trait]
impl BooksToReconcile for FakeBooks {
    async fn wallets(&self, _scope: &SiteScope) -> Result<Vec<Wallet>, StoreError> {
        Ok(self.rows().wallets)
    }

    async fn booked_between(
        &self,
        _scope: &SiteScope,
        provider: Provider,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Booked>, StoreError> {
        let mut entries = self.rows().entries;
        entries.retain(|entry| {
            of_provider(entry, provider)
                && !entry.movement.is_booked_by_line()
                && (from..until).contains(&entry.at)
        });
        Ok(entries)
    }

    async fn booked_about(
        &self,
        _scope: &SiteScope,
        provider: Provider,
        references: &[String],
    ) -> Result<Vec<Booked>, StoreError> {
        let mut entries = self.rows().entries;
        entries.retain(|entry| {
            of_provider(entry, provider) && entry.reference.as_ref().is_some_and(|of| references.contains(of))
        });
        Ok(entries)
    }

    async fn unbooked(
        &self,
        _scope: &SiteScope,
        references: &[String],
    ) -> Result<BTreeMap<String, Unbooked>, StoreError> {
        let mut unbooked = self.rows().unbooked;
        unbooked.retain(|reference, _| references.contains(reference));
        Ok(unbooked)
    }
}

#[async_trait]
impl ReconciliationQueries for FakeBooks {
    async fn reconciliations(
        &self,
        _scope: &SiteScope,
        provider: Option<Provider>,
        page: PageRequest,
    ) -> Result<Page<ReconciliationView>, StoreError> {
        let rows = self.rows();
        let runs = rows
            .runs
            .iter()
            .rev()
            .map(|one| ReconciliationView::from(&one.run));
        let wanted = runs
            .filter(|run| provider.is_none_or(|provider| run.provider == provider))
            .filter(|run| page.after_id().is_none_or(|after| run.id.as_uuid() < after));
        Ok(Page::from_rows(wanted.collect(), page, |run| run.id.as_uuid()))
    }

    async fn reconciliation(
        &self,
        _scope: &SiteScope,
        id: ReconciliationId,
    ) -> Result<Option<ReconciliationView>, StoreError> {
        let rows = self.rows();
        let found = rows.runs.iter().find(|one| one.run.id == id);
        Ok(found.map(|one| ReconciliationView::from(&one.run)))
    }

    /// On one page.
    async fn differences(
        &self,
        _scope: &SiteScope,
        id: ReconciliationId,
        _page: PageRequest,
    ) -> Result<Option<Page<DifferenceView>>, StoreError> {
        let rows = self.rows();
        let found = rows.runs.iter().find(|one| one.run.id == id);
        Ok(found.map(|one| Page {
            items: one.differences.iter().map(DifferenceView::from).collect(),
            next: None,
        }))
    }

    async fn reconciled_days(
        &self,
        _scope: &SiteScope,
        provider: Provider,
    ) -> Result<BTreeSet<NaiveDate>, StoreError> {
        let rows = self.rows();
        let days = rows
            .runs
            .iter()
            .filter(|one| one.run.provider == provider)
            .map(|one| one.run.day);
        Ok(days.collect())
    }
}

#[async_trait]
impl Begin<dyn ReconciliationsTx> for FakeBooks {
    async fn begin(&self, _scope: &SiteScope) -> Result<Box<dyn ReconciliationsTx>, StoreError> {
        Ok(Box::new(FakeTx {
            books: self.clone(),
            entries: Vec::new(),
            runs: Vec::new(),
            events: Vec::new(),
        }))
    }
}

/// Keeps what was done until it is committed.
struct FakeTx {
    books: FakeBooks,
    entries: Vec<Entry>,
    runs: Vec<Reconciled>,
    events: Vec<Event>,
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut rows = lock(&self.books.rows);
        rows.entries.extend(self.entries.iter().filter_map(booked));
        rows.posted.extend(self.entries);
        rows.runs.extend(self.runs);
        rows.events.extend(self.events);
        Ok(())
    }
}

/// As the store says it of what a run books.
fn booked(entry: &Entry) -> Option<Booked> {
    let clearing = |posting: &&Posting| posting.account == Account::ProviderClearing;
    let posting = entry.postings().iter().find(clearing)?;
    Some(Booked {
        entry: entry.id(),
        kind: entry.kind().as_str().to_owned(),
        movement: Movement::of_kind(entry.kind().as_str()),
        reference: Some(entry.part().to_owned()),
        line: Some(entry.part().to_owned()),
        moved: Moved {
            unit: posting.unit.to_string(),
            side: posting.side,
            amount: posting.amount,
        },
        at: entry.at(),
        since: entry.at(),
    })
}

impl LedgerTx for FakeTx {
    fn ledger(&mut self) -> &mut dyn LedgerRepository {
        self
    }
}

impl ReconciliationsTx for FakeTx {
    fn reconciliations(&mut self) -> &mut dyn ReconciliationRepository {
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
        if lock(&self.books.rows)
            .posted
            .iter()
            .chain(&self.entries)
            .any(same)
        {
            return Ok(Posted::Already);
        }
        self.entries.push(entry.clone());
        Ok(Posted::New)
    }
}

#[async_trait]
impl ReconciliationRepository for FakeTx {
    async fn keep(&mut self, reconciled: &Reconciled, _ids: &[Uuid]) -> Result<(), StoreError> {
        self.runs.push(reconciled.clone());
        Ok(())
    }
}

#[async_trait]
impl Outbox for FakeTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.events.push(event);
        Ok(())
    }
}
