//! Where entries are kept and read.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{EntryId, Page, PageRequest, SiteScope, StoreError, Timestamp, Transaction};
use serde::Serialize;
use uuid::Uuid;

use crate::{AccountStatement, Entry, StatementOf};

/// Whether a fact was booked now or was in the books before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Posted {
    New,
    Already,
}

#[async_trait]
pub trait LedgerRepository: Send {
    /// Joins the open transaction; makes the accounts that are not there yet. An entry without postings is not stored.
    async fn post(&mut self, entry: &Entry) -> Result<Posted, StoreError>;
}

/// A transaction in which entries can be posted.
pub trait LedgerTx: Transaction {
    fn ledger(&mut self) -> &mut dyn LedgerRepository;
}

#[derive(Debug, Clone, Default)]
pub struct EntryFilter {
    pub cause: Option<Uuid>,
    pub kind: Option<String>,
}

/// Amounts are decimal text of minor units (currency) or base units (asset); debits positive, credits negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PostingView {
    pub account: String,
    pub unit: String,
    pub amount: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct EntryView {
    pub id: EntryId,
    pub kind: String,
    /// The id of what caused it, without its prefix.
    pub cause: Uuid,
    pub part: String,
    pub posted_at: DateTime<Utc>,
    pub postings: Vec<PostingView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AccountView {
    pub code: String,
    pub unit: String,
    pub class: String,
    /// Signed sum of its postings.
    pub balance: String,
}

/// One account in one unit. The rows of a unit sum to zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TrialBalanceRow {
    pub account: String,
    pub unit: String,
    pub class: String,
    pub debit: String,
    pub credit: String,
    pub balance: String,
}

/// Reads for screens: one short read-only transaction each.
#[async_trait]
pub trait LedgerQueries: Send + Sync {
    async fn entries(
        &self,
        scope: &SiteScope,
        filter: &EntryFilter,
        page: PageRequest,
    ) -> Result<Page<EntryView>, StoreError>;
    /// Of entries that were posted before `as_of`; of all without it.
    async fn accounts(
        &self,
        scope: &SiteScope,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<AccountView>, StoreError>;
    /// Of entries that were posted before `as_of`; of all without it.
    async fn trial_balance(
        &self,
        scope: &SiteScope,
        as_of: Option<Timestamp>,
    ) -> Result<Vec<TrialBalanceRow>, StoreError>;
    /// Pages go by entry. `None`: nothing was ever posted to the account in this unit.
    async fn statement(
        &self,
        scope: &SiteScope,
        of: &StatementOf,
        page: PageRequest,
    ) -> Result<Option<AccountStatement>, StoreError>;
}
