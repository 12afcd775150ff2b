//! Shapes for screens.

use chrono::{DateTime, NaiveDate, Utc};
use posx_kernel::{EntryId, ReconciliationId};
use serde::Serialize;

use super::compare::{Difference, Reason};
use super::line::Provider;
use super::service::Reconciliation;

/// One run over one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReconciliationView {
    pub id: ReconciliationId,
    pub provider: Provider,
    /// By the site's time zone.
    #[schema(value_type = String, format = Date)]
    pub day: NaiveDate,
    pub reconciled_at: DateTime<Utc>,
    /// Of the provider, on that day.
    pub lines: u32,
    /// Of the books, on that day.
    pub entries: u32,
    /// Lines with their entry.
    pub matched: u32,
    /// Fees and payouts to the bank that this run booked.
    pub booked: u32,
    /// Differences that nobody need look at: both sides are right, at different times.
    pub explained: u32,
    /// Differences that somebody has to look at.
    pub unexplained: u32,
}

/// What the provider says. The amount is decimal text of minor or base units; what arrives is positive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DifferingLine {
    /// The provider's id of the line.
    pub id: String,
    /// `payment`, `refund`, `dispute`, `fee`, `delivery`, …
    pub movement: String,
    /// What it is about, by the provider's id; a transfer of tokens: by ours.
    pub reference: String,
    pub unit: String,
    pub amount: String,
    pub at: DateTime<Utc>,
}

/// What the books say, in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DifferingEntry {
    pub id: EntryId,
    pub kind: String,
    pub reference: Option<String>,
    pub unit: String,
    pub amount: String,
    pub posted_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DifferenceView {
    #[schema(inline)]
    pub reason: Reason,
    pub line: Option<DifferingLine>,
    pub entry: Option<DifferingEntry>,
}

impl From<&Reconciliation> for ReconciliationView {
    fn from(run: &Reconciliation) -> Self {
        Self {
            id: run.id,
            provider: run.provider,
            day: run.day,
            reconciled_at: run.at,
            lines: run.lines,
            entries: run.entries,
            matched: run.matched,
            booked: run.booked,
            explained: run.explained,
            unexplained: run.unexplained,
        }
    }
}

impl From<&Difference> for DifferenceView {
    fn from(difference: &Difference) -> Self {
        Self {
            reason: difference.reason,
            line: difference.line.as_ref().map(|line| DifferingLine {
                id: line.id.clone(),
                movement: line.movement.as_str().to_owned(),
                reference: line.reference.clone(),
                unit: line.moved.unit.clone(),
                amount: line.moved.signed(),
                at: line.at,
            }),
            entry: difference.entry.as_ref().map(|entry| DifferingEntry {
                id: entry.entry,
                kind: entry.kind.clone(),
                reference: entry.reference.clone(),
                unit: entry.moved.unit.clone(),
                amount: entry.moved.signed(),
                posted_at: entry.at,
            }),
        }
    }
}
