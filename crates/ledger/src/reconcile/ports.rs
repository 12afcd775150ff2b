use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::NaiveDate;
use posx_kernel::{
    ChainAssetId, Outbox, Page, PageRequest, ReconciliationId, SiteId, SiteScope, StoreError, Timestamp,
};
use uuid::Uuid;

use super::line::{Booked, Line, Provider, Unbooked};
use super::service::Reconciled;
use super::view::{DifferenceView, ReconciliationView};
use crate::LedgerTx;

/// Where a site keeps one of its assets at the custodian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    pub asset: ChainAssetId,
    /// The custodian's name for it.
    pub provider_asset: String,
    pub vault: String,
    pub decimals: u8,
}

/// What is asked of a provider.
#[derive(Debug, Clone, Copy)]
pub struct AskLines<'a> {
    pub site: SiteId,
    /// What of the custodian's account is the site's. A payment provider's account is the site's as a whole.
    pub wallets: &'a [Wallet],
    pub from: Timestamp,
    /// Not among them any more.
    pub until: Timestamp,
}

/// Why a provider's account could not be read: nothing is known of it then.
#[derive(Debug, thiserror::Error)]
pub enum LinesError {
    #[error("the site has no account at this provider")]
    NoAccount,
    #[error("the provider's account cannot be read")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A provider's own account of what happened.
#[async_trait]
pub trait ProviderLines: Send + Sync + std::fmt::Debug {
    /// All of the time asked for, each once, in no order. Part of them is never an answer.
    async fn lines(&self, ask: &AskLines<'_>) -> Result<Vec<Line>, LinesError>;
}

/// What the books say of a provider's account: short read-only transactions.
#[async_trait]
pub trait BooksToReconcile: Send + Sync {
    /// Every asset that the site has or had at its custodian.
    async fn wallets(&self, scope: &SiteScope) -> Result<Vec<Wallet>, StoreError>;
    /// All entries on the provider's account that were posted from `from` on and before `until`, but for those that a run
    /// booked from a line: these belong to their line's day.
    async fn booked_between(
        &self,
        scope: &SiteScope,
        provider: Provider,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Booked>, StoreError>;
    /// The entries about these references, whenever they were posted.
    async fn booked_about(
        &self,
        scope: &SiteScope,
        provider: Provider,
        references: &[String],
    ) -> Result<Vec<Booked>, StoreError>;
    /// Which of these refunds of the provider have no entry, and why that may be right.
    async fn unbooked(
        &self,
        scope: &SiteScope,
        references: &[String],
    ) -> Result<BTreeMap<String, Unbooked>, StoreError>;
}

#[async_trait]
pub trait ReconciliationRepository: Send {
    /// Stores a run with its differences, each under an id of its own. None is ever changed.
    async fn keep(&mut self, reconciled: &Reconciled, ids: &[Uuid]) -> Result<(), StoreError>;
}

/// A transaction in which a run is booked and kept.
pub trait ReconciliationsTx: LedgerTx {
    fn reconciliations(&mut self) -> &mut dyn ReconciliationRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

/// Reads for screens.
#[async_trait]
pub trait ReconciliationQueries: Send + Sync {
    /// Newest run first.
    async fn reconciliations(
        &self,
        scope: &SiteScope,
        provider: Option<Provider>,
        page: PageRequest,
    ) -> Result<Page<ReconciliationView>, StoreError>;
    async fn reconciliation(
        &self,
        scope: &SiteScope,
        id: ReconciliationId,
    ) -> Result<Option<ReconciliationView>, StoreError>;
    /// `None`: there is no such run.
    async fn differences(
        &self,
        scope: &SiteScope,
        id: ReconciliationId,
        page: PageRequest,
    ) -> Result<Option<Page<DifferenceView>>, StoreError>;
    /// The days that were compared, by whomever.
    async fn reconciled_days(
        &self,
        scope: &SiteScope,
        provider: Provider,
    ) -> Result<BTreeSet<NaiveDate>, StoreError>;
}
