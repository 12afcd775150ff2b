//! One run: read, book, compare, keep.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use chrono_tz::Tz;
use posx_kernel::{
    Begin, Clock, EntryId, Event, Ids, Kind, ReconciliationId, Refusal, SiteScope, StoreError, Timestamp,
};
use serde_json::json;

use super::compare::{Comparison, Difference, compare};
use super::day::Day;
use super::line::{Booked, Line, Movement, Provider, Unbooked};
use super::ports::{
    AskLines, BooksToReconcile, LinesError, ProviderLines, ReconciliationQueries, ReconciliationsTx, Wallet,
};
use super::window::{came_back, window};
use crate::{Account, Entry, EntryKind, Posted};

/// A refund whose money was taken longer ago is not on its way any more.
const ON_ITS_WAY_MAX: TimeDelta = TimeDelta::days(30);
/// Entries of one transaction.
const BOOKED_AT_ONCE: usize = 200;
/// Missed days that are made up for at once.
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

/// Days that are over and were not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The latest of them, the oldest first.
    pub days: Vec<NaiveDate>,
    /// How many days before these wait as well.
    pub waiting: usize,
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

    /// The last day that is over, and every one since the first that was ever compared, unless it was.
    pub async fn due(&self, scope: &SiteScope, zone: Tz, provider: Provider) -> Result<Due, StoreError> {
        let Some(last) = Day::last_over(self.clock.now(), zone) else {
            return Ok(Due::default());
        };
        let done = self.runs.reconciled_days(scope, provider).await?;
        let first = done.first().map_or(last.date, |first| last.date.min(*first));
        let mut days: Vec<_> = first
            .iter_days()
            .take_while(|date| *date <= last.date)
            .filter(|date| !done.contains(date))
            .collect();
        let waiting = days.len().saturating_sub(CATCH_UP_DAYS);
        days.drain(..waiting);
        Ok(Due { days, waiting })
    }

    /// A vault is one site's: each line of it is for this site to explain.
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
        Ok(match provider {
            Provider::Stripe => self.payments.lines(&ask).await?,
            Provider::Fireblocks => self.custody.lines(&ask).await?,
        })
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
        let mut entries = self.booked(scope, provider, day, &lines).await?;
        let mut unbooked = self.unbooked(scope, provider, day, &lines).await?;
        let found = compare(day, &lines, &entries, &unbooked);
        if let Some((from, until)) = window(day, self.clock.now(), &found, (&lines, &entries), &unbooked) {
            let known: HashSet<_> = lines
                .iter()
                .map(|line| (line.movement, line.id.clone()))
                .collect();
            // With the day itself, so that a list which is not by the lines' time has no seams.
            let around = self.lines(scope, provider, wallets, from, until).await?;
            lines.extend(
                around
                    .into_iter()
                    .filter(|line| !known.contains(&(line.movement, line.id.clone()))),
            );
            entries = self.booked(scope, provider, day, &lines).await?;
        }
        unbooked.retain(|refund, why| *why == Unbooked::OnItsWay || came_back(refund, &lines));
        Ok(compare(day, &lines, &entries, &unbooked))
    }

    /// The entries of the day, and all that are about the same things as these or a line of the day.
    async fn booked(
        &self,
        scope: &SiteScope,
        provider: Provider,
        day: &Day,
        lines: &[Line],
    ) -> Result<Vec<Booked>, StoreError> {
        let between = self.books.booked_between(scope, provider, day.from, day.until);
        let mut entries = between.await?;
        let here = entries
            .iter()
            .filter_map(|entry| Some((entry.movement, entry.reference.clone()?)));
        let there = of_day(day, lines).map(|line| (line.movement, line.reference.clone()));
        let things: HashSet<_> = here.chain(there).collect();
        let references = distinct(things.iter().map(|(_, reference)| reference));
        let mut about = self.books.booked_about(scope, provider, &references).await?;
        let known: HashSet<_> = entries.iter().map(|entry| entry.entry).collect();
        about.retain(|entry| {
            let thing = entry
                .reference
                .clone()
                .map(|reference| (entry.movement, reference));
            !known.contains(&entry.entry) && thing.is_some_and(|thing| things.contains(&thing))
        });
        entries.extend(about);
        Ok(entries)
    }

    async fn unbooked(
        &self,
        scope: &SiteScope,
        provider: Provider,
        day: &Day,
        lines: &[Line],
    ) -> Result<BTreeMap<String, Unbooked>, StoreError> {
        if provider != Provider::Stripe {
            return Ok(BTreeMap::new());
        }
        let references = distinct(of_day(day, lines).map(|line| &line.reference));
        let mut unbooked = self.books.unbooked(scope, &references).await?;
        if day.until + ON_ITS_WAY_MAX <= self.clock.now() {
            unbooked.retain(|_, why| *why != Unbooked::OnItsWay);
        }
        Ok(unbooked)
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

fn of_day<'a>(day: &'a Day, lines: &'a [Line]) -> impl Iterator<Item = &'a Line> {
    lines.iter().filter(|line| day.holds(line.at))
}

fn distinct<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let distinct: HashSet<_> = texts.collect();
    distinct.into_iter().cloned().collect()
}

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}
