//! One account over a time: what it held when the time began, what was posted to it, what it held at the end.

use chrono::{DateTime, Utc};
use posx_kernel::{EntryId, Page, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::Unit;

/// Which account, and from when to when. Absent ends are the beginning of the books, and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatementOf {
    pub account: String,
    pub unit: Unit,
    pub from: Option<Timestamp>,
    /// Not in it any more.
    pub until: Option<Timestamp>,
}

/// Amounts are decimal text of minor units (currency) or base units (asset); debits positive, credits negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AccountStatement {
    pub account: String,
    pub unit: String,
    pub class: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// What it held of the entries that were posted before the time.
    pub opening: String,
    /// What was posted in the time, on each side: not only on this page.
    pub debit: String,
    pub credit: String,
    /// Opening and debit less credit: what the next statement opens with.
    pub closing: String,
    /// Entries of the time, oldest first.
    pub lines: Page<StatementLine>,
}

/// What one entry posted to the account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StatementLine {
    pub entry: EntryId,
    pub kind: String,
    /// The id of what caused it, without its prefix.
    pub cause: Uuid,
    pub part: String,
    pub posted_at: DateTime<Utc>,
    pub amount: String,
    /// What the account held after it.
    pub balance: String,
}
