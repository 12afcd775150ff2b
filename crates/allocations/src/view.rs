//! What screens read, and the port that answers.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    AllocationId, BatchId, ChainAssetId, IdentityId, LineId, OrderId, Page, PageRequest, PartyId, SiteScope,
    StoreError, TokenAmount,
};
use serde::Serialize;

use crate::{BatchReport, BatchState, PauseReason, StateName};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AllocationView {
    pub id: AllocationId,
    pub order: OrderId,
    pub line: LineId,
    pub party: PartyId,
    pub asset_id: ChainAssetId,
    /// `ETH`, `POLYGON`, `BSC`, `TRON`.
    pub chain: String,
    pub symbol: String,
    pub decimals: u8,
    pub address: String,
    /// The address took another's place before the order was placed: nothing is sent to it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet_usable_from: Option<DateTime<Utc>>,
    pub amount: TokenAmount,
    /// Of the amount: not sent, because its money went back.
    pub cut: TokenAmount,
    /// Of what was sent: owed by the buyer, because its money went back.
    pub owed: TokenAmount,
    pub state: StateName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
    pub confirmations: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// How often it was sent; a lookup of an unknown outcome does not count.
    pub tries: u16,
    /// For staff, as the following ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Why it failed, or why a person should look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub needs_person: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl AllocationView {
    /// Without what concerns staff and the custodian only.
    #[must_use]
    pub fn for_buyer(self) -> Self {
        Self {
            batch: None,
            external_id: None,
            provider_id: None,
            reason: None,
            needs_person: false,
            ..self
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct StateCount {
    pub state: StateName,
    pub count: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = BatchApprovalView)]
pub struct ApprovalView {
    pub by: IdentityId,
    pub at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct BatchView {
    pub id: BatchId,
    pub created_by: IdentityId,
    pub state: BatchState,
    /// Of those that it was made to send.
    pub size: u16,
    /// Of exactly what is to be sent: who approves names it.
    pub hash: String,
    /// Of this hash, by people who may still send. Each counts for 24 hours; two are needed, of two people, neither of them the
    /// maker.
    pub approvals: Vec<ApprovalView>,
    /// While it is paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_because: Option<PauseReason>,
    /// What became of its lines here, by rank of state; states that none has are left out. An allocation that is tried again
    /// leaves its batch, and its line stays failed.
    pub states: Vec<StateCount>,
    /// Lines that are not sent with it.
    pub left_out: u16,
    /// Lines of which nobody knows whether they were sent, or that a person should look at. They are never simply sent again.
    pub quarantined: u16,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Default)]
pub struct AllocationFilter {
    pub state: Option<StateName>,
    pub order: Option<OrderId>,
    pub batch: Option<BatchId>,
    /// For a buyer's own list the caller sets this.
    pub party: Option<PartyId>,
    /// Only those that a person should look at, or only the others.
    pub needs_person: Option<bool>,
}

/// Reads for screens: one short read-only transaction each. Lists are newest first.
#[async_trait]
pub trait AllocationQueries: Send + Sync {
    async fn allocations(
        &self,
        scope: &SiteScope,
        filter: &AllocationFilter,
        page: PageRequest,
    ) -> Result<Page<AllocationView>, StoreError>;
    /// `only`: a buyer who may see their own; another one's is not found.
    async fn allocation(
        &self,
        scope: &SiteScope,
        id: AllocationId,
        only: Option<PartyId>,
    ) -> Result<Option<AllocationView>, StoreError>;
    async fn batches(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<BatchView>, StoreError>;
    async fn batch(&self, scope: &SiteScope, id: BatchId) -> Result<Option<BatchView>, StoreError>;
    async fn batch_report(&self, scope: &SiteScope, id: BatchId) -> Result<Option<BatchReport>, StoreError>;
}
