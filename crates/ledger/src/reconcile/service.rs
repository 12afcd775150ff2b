//! One run: read, book, compare, keep.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use posx_kernel::{
    AllocationId, Begin, Clock, EntryId, Event, Ids, Kind, ReconciliationId, Refusal, SiteScope, StoreError,
    Timestamp,
};
use serde_json::json;

use super::compare::{Comparison, Difference, Reason, compare};
use super::day::Day;
use super::line::{Booked, Line, Movement, Provider};
use super::ports::{
    AskLines, BooksToReconcile, LinesError, ProviderLines, ReconciliationQueries, ReconciliationsTx, Wallet,
};
use crate::{Account, Entry, EntryKind, Posted};

/// Our clock and a provider's may differ by this much.
const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(10);
/// The line of an entry of the day is looked for this far back…
const LOOK_BACK_MAX: TimeDelta = TimeDelta::days(31);
/// …and this far on.
const LOOK_AHEAD: TimeDelta = TimeDelta::days(2);
/// Entries of one transaction.
const BOOKED_AT_ONCE: usize = 200;
/// Days that are made up for after a stop of the workers.
const CATCH_UP_DAYS: usize = 7;

/// Why a day was not compared, or cannot be shown. Nothing is stored then, but for what was booked.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    #[error("there is no such reconciliation")]
    NotFound,
    #[error("the day is not over")]
    DayNotOver,
    #[error("the site has no account at this provider")]
    NoAccount,
    #[error("the provider's account cannot be read")]
    Provider(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ReconcileError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "reconciliation_not_found",
            Self::DayNotOver => "reconciliation_day_not_over",
            Self::NoAccount => "reconciliation_no_account",
            Self::Provider(_) => "reconciliation_provider_unavailable",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::DayNotOver => Kind::Invalid,
            Self::NoAccount => Kind::Conflict,
            Self::Provider(_) => Kind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }
}

impl From<LinesError> for ReconcileError {
    fn from(error: LinesError) -> Self {
        match error {
            LinesError::NoAccount => Self::NoAccount,
            LinesError::Unavailable(source) => Self::Provider(source),
        }
    }
}

/// A run over one day, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    pub id: ReconciliationId,
    pub provider: Provider,
    pub day: NaiveDate,
    pub at: Timestamp,
    pub lines: u32,
    pub entries: u32,
    pub matched: u32,
    /// Booked by this run.
    pub booked: u32,
    pub explained: u32,
    pub unexplained: u32,
}

/// A run with what it could not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    pub run: Reconciliation,
    pub differences: Vec<Difference>,
}

/// Use cases of comparing.
#[derive(Clone)]
pub struct Reconciliations {
    db: Arc<dyn Begin<dyn ReconciliationsTx>>,
    books: Arc<dyn BooksToReconcile>,
    runs: Arc<dyn ReconciliationQueries>,
    payments: Arc<dyn ProviderLines>,
    custody: Arc<dyn ProviderLines>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Reconciliations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciliations").finish_non_exhaustive()
    }
}

impl Reconciliations {
    /// `store` is both: what is written to, and what is read.
    pub fn new<S>(
        store: &Arc<S>,
        payments: Arc<dyn ProviderLines>,
        custody: Arc<dyn ProviderLines>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self
    where
        S: Begin<dyn ReconciliationsTx> + BooksToReconcile + ReconciliationQueries + 'static,
    {
        Self {
            db: store.clone(),
            books: store.clone(),
            runs: store.clone(),
            payments,
            custody,
            clock,
            ids,
        }
    }

    /// Compares a day that is over, books what only the provider knows, and keeps what was found. Again is another run, which
    /// books nothing twice.
    pub async fn reconcile(
        &self,
        scope: &SiteScope,
        zone: Tz,
        provider: Provider,
        date: NaiveDate,
    ) -> Result<Reconciled, ReconcileError> {
        let now = self.clock.now();
        let day = Day::of(date, zone).filter(|day| day.until <= now);
        let day = day.ok_or(ReconcileError::DayNotOver)?;
        let wallets = match provider {
            Provider::Stripe => Vec::new(),
            Provider::Fireblocks => self.books.wallets(scope).await?,
        };
        if provider == Provider::Fireblocks && wallets.is_empty() {
            return Err(ReconcileError::NoAccount);
        }
        let lines = self.lines(scope, provider, &wallets, day.from, day.until).await?;
        let booked = self.book(scope, provider, &lines).await?;
        let found = self.compare(scope, provider, &wallets, &day, lines).await?;
        self.keep(scope, provider, &day, booked, found).await
    }

    /// Days that are over and were not compared yet, the oldest first: the last one, and what was missed before it.
    pub async fn due(
        &self,
        scope: &SiteScope,
        zone: Tz,
        provider: Provider,
    ) -> Result<Vec<NaiveDate>, StoreError> {
        let Some(last) = Day::last_over(self.clock.now(), zone) else {
            return Ok(Vec::new());
        };
        let done = self.runs.last_reconciled(scope, provider).await?;
        let Some(done) = done else {
            return Ok(vec![last.date]);
        };
        let mut due: Vec<_> = std::iter::successors(Some(last.date), NaiveDate::pred_opt)
            .take_while(|date| *date > done)
            .take(CATCH_UP_DAYS)
            .collect();
        due.reverse();
        Ok(due)
    }

    /// Without what is another site's: two sites may have their tokens at one custodian.
    async fn lines(
        &self,
        scope: &SiteScope,
        provider: Provider,
        wallets: &[Wallet],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Line>, ReconcileError> {
        let ask = AskLines {
            site: scope.site(),
            wallets,
            from,
            until,
        };
        let mut lines = match provider {
            Provider::Stripe => return Ok(self.payments.lines(&ask).await?),
            Provider::Fireblocks => self.custody.lines(&ask).await?,
        };
        let named: Vec<_> = lines
            .iter()
            .filter_map(|line| allocation(&line.reference))
            .collect();
        let ours = self.books.allocations_among(scope, &named).await?;
        lines.retain(|line| allocation(&line.reference).is_none_or(|id| ours.contains(&id)));
        Ok(lines)
    }

    /// Books the lines that only the provider knows and that are not in the books, and says how many.
    async fn book(
        &self,
        scope: &SiteScope,
        provider: Provider,
        lines: &[Line],
    ) -> Result<u32, ReconcileError> {
        let mut new: Vec<&Line> = lines
            .iter()
            .filter(|line| line.movement.is_booked_by_line())
            .collect();
        let ids: Vec<_> = new.iter().map(|line| line.id.clone()).collect();
        let known = self.books.booked_about(scope, provider, &ids).await?;
        let known: HashSet<_> = known
            .iter()
            .filter_map(|entry| Some((entry.movement, entry.line.as_deref()?)))
            .collect();
        new.retain(|line| !known.contains(&(line.movement, line.id.as_str())));
        // In one order, so that two runs at once wait for each other and do not meet crosswise.
        new.sort_by(|one, other| (&one.id, one.movement).cmp(&(&other.id, other.movement)));
        let mut booked = 0;
        for part in new.chunks(BOOKED_AT_ONCE) {
            let mut tx = self.db.begin(scope).await?;
            for line in part {
                let Some(entry) = self.entry(scope, line) else {
                    continue;
                };
                booked += u32::from(tx.ledger().post(&entry).await? == Posted::New);
            }
            tx.commit().await?;
        }
        Ok(booked)
    }

    /// The cause is the site, the part the provider's line. `None` in a currency that POSX does not know.
    fn entry(&self, scope: &SiteScope, line: &Line) -> Option<Entry> {
        let now = self.clock.now();
        let (kind, debit) = match line.movement {
            Movement::Fee => (EntryKind::ProviderFee, Account::ProviderFees),
            Movement::PaidOut => (EntryKind::ProviderPaidOut, Account::Bank),
            _ => return None,
        };
        let amount = line.moved.money()?.checked_neg().ok()?;
        let (id, cause) = (EntryId::from_uuid(self.ids.uuid(now)), scope.site().as_uuid());
        let entry = Entry::of_money(id, kind, cause, now, amount, debit, Account::ProviderClearing);
        Some(entry.with_part(line.id.clone()))
    }

    async fn compare(
        &self,
        scope: &SiteScope,
        provider: Provider,
        wallets: &[Wallet],
        day: &Day,
        mut lines: Vec<Line>,
    ) -> Result<Comparison, ReconcileError> {
        let references = distinct(lines.iter().map(|line| &line.reference));
        let mut entries = self
            .books
            .booked_between(scope, provider, day.from, day.until)
            .await?;
        let about = self.books.booked_about(scope, provider, &references).await?;
        let known: HashSet<_> = entries.iter().map(|entry| entry.entry).collect();
        entries.extend(about.into_iter().filter(|entry| !known.contains(&entry.entry)));
        let unbooked = match provider {
            Provider::Stripe => self.books.unbooked(scope, &references).await?,
            Provider::Fireblocks => BTreeMap::new(),
        };
        let found = compare(day, &lines, &entries, &unbooked);
        let Some(since) = looked_for_since(day, &found) else {
            return Ok(found);
        };
        // The line may stand on another day: a refund that took a week, a payment just before midnight.
        let until = (day.until + LOOK_AHEAD).min(self.clock.now());
        for (from, until) in [(since, day.from), (day.until, until)] {
            if from < until {
                lines.extend(self.lines(scope, provider, wallets, from, until).await?);
            }
        }
        Ok(compare(day, &lines, &entries, &unbooked))
    }

    async fn keep(
        &self,
        scope: &SiteScope,
        provider: Provider,
        day: &Day,
        booked: u32,
        found: Comparison,
    ) -> Result<Reconciled, ReconcileError> {
        let (now, unexplained) = (self.clock.now(), found.unexplained());
        let run = Reconciliation {
            id: ReconciliationId::from_uuid(self.ids.uuid(now)),
            provider,
            day: day.date,
            at: now,
            lines: count(found.lines),
            entries: count(found.entries),
            matched: count(found.matched),
            booked,
            explained: count(found.differences.len() - unexplained),
            unexplained: count(unexplained),
        };
        let event = Event {
            kind: "ledger.reconciled",
            subject: run.id.as_uuid(),
            payload: json!({
                "provider": provider, "day": run.day, "lines": run.lines, "entries": run.entries,
                "matched": run.matched, "booked": run.booked, "unexplained": run.unexplained,
            }),
            at: now,
        };
        let reconciled = Reconciled {
            run,
            differences: found.differences,
        };
        let ids: Vec<_> = reconciled
            .differences
            .iter()
            .map(|_| self.ids.uuid(now))
            .collect();
        let mut tx = self.db.begin(scope).await?;
        tx.reconciliations().keep(&reconciled, &ids).await?;
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(reconciled)
    }
}

/// The allocation that an external id of ours names: `alc_…-1`.
fn allocation(reference: &str) -> Option<AllocationId> {
    let (id, attempt) = reference.rsplit_once('-')?;
    attempt.parse::<u16>().ok()?;
    id.parse().ok()
}

/// From when on the lines may be that entries of the day lack; `None` when none lacks one.
fn looked_for_since(day: &Day, found: &Comparison) -> Option<Timestamp> {
    let missing = found
        .differences
        .iter()
        .filter(|difference| difference.reason == Reason::MissingThere)
        .filter_map(|difference| difference.entry.as_ref())
        .filter(|entry: &&Booked| entry.reference.is_some());
    let oldest = missing.map(|entry| entry.since).min()?;
    Some((oldest - CLOCKS_DIFFER_BY).max(day.from - LOOK_BACK_MAX))
}

fn distinct<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let distinct: HashSet<_> = texts.collect();
    distinct.into_iter().cloned().collect()
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
