//! What documents ask of storage in the database.

use async_trait::async_trait;
use posx_kernel::{DocumentId, Page, PageRequest, PartyId, SiteScope, StoreError, TierId, Timestamp};
use posx_orders::OrdersTx;
use posx_tenancy::CustomersTx;

use super::{BusinessHash, Document, DocumentState, DocumentView, Draft, DraftKind, DraftState, KnownFacts};

/// What is asked about a draft before it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactsWish {
    pub document: DocumentId,
    pub kind: DraftKind,
    pub sha256: [u8; 32],
    pub business_hash: Option<BusinessHash>,
    pub buyer: Option<PartyId>,
    pub tiers: Vec<TierId>,
    /// Of a customer's draft; of an order's it is not asked.
    pub tax_number: Option<String>,
    pub name: Option<String>,
}

/// What came of storing a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    Yes,
    /// The stored version is another one; nothing is stored.
    Stale,
    /// The same file, or the same customer, number and total, is accepted. The transaction is only good for dropping.
    AcceptedBefore,
}

#[async_trait]
pub trait DocumentRepository: Send {
    async fn insert(&mut self, document: &Document) -> Result<(), StoreError>;
    /// Locked until the transaction ends.
    async fn for_update(&mut self, id: DocumentId) -> Result<Option<Document>, StoreError>;
    async fn save(&mut self, document: &Document) -> Result<(), StoreError>;
    async fn draft_of(&mut self, id: DocumentId) -> Result<Option<Draft>, StoreError>;
    async fn insert_draft(
        &mut self,
        draft: &Draft,
        business_hash: Option<BusinessHash>,
    ) -> Result<(), StoreError>;
    /// Stores the draft if the stored version is still `seen`.
    async fn save_draft(
        &mut self,
        draft: &Draft,
        business_hash: Option<BusinessHash>,
        seen: i32,
    ) -> Result<Saved, StoreError>;
    async fn facts(&mut self, wish: &FactsWish) -> Result<KnownFacts, StoreError>;
    /// The one customer with this tax number, or the only one with this name, if that one has no other number.
    async fn customer(&mut self, tax_number: Option<&str>, name: &str)
    -> Result<Option<PartyId>, StoreError>;
    /// Active tiers by name, in the order of the names; none where no tier, or more than one, is called so.
    async fn tiers_called(&mut self, names: &[String]) -> Result<Vec<Option<TierId>>, StoreError>;
}

/// A transaction in which documents, drafts and customers can be changed, and an order can be placed.
pub trait DocumentsTx: CustomersTx {
    fn documents(&mut self) -> &mut dyn DocumentRepository;
    /// This same transaction, as orders know it.
    fn orders_tx(&mut self) -> &mut dyn OrdersTx;
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentFilter {
    pub state: Option<DocumentState>,
    pub draft: Option<DraftState>,
}

#[async_trait]
pub trait DocumentQueries: Send + Sync {
    /// Newest first, without what was read out of them.
    async fn list(
        &self,
        scope: &SiteScope,
        filter: DocumentFilter,
        page: PageRequest,
    ) -> Result<Page<DocumentView>, StoreError>;
    /// With its draft.
    async fn get(&self, scope: &SiteScope, id: DocumentId) -> Result<Option<DocumentView>, StoreError>;
    async fn document(&self, scope: &SiteScope, id: DocumentId) -> Result<Option<Document>, StoreError>;
    async fn draft(&self, scope: &SiteScope, id: DocumentId) -> Result<Option<Draft>, StoreError>;
    /// Whose time is over: announced before `announced_before` and never sent, or made before `made_before`. Not those that
    /// are forgotten.
    async fn due(
        &self,
        scope: &SiteScope,
        announced_before: Timestamp,
        made_before: Timestamp,
        limit: u16,
    ) -> Result<Vec<DocumentId>, StoreError>;
    /// Whose file is to be deleted and is still there: forgotten, or refused.
    async fn files_due(&self, scope: &SiteScope, limit: u16) -> Result<Vec<DocumentId>, StoreError>;
}
