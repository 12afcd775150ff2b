//! What approvals ask of storage, and how they are shown.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_kernel::{
    ApprovalId, IdempotentTx, IdentityId, Outbox, Page, PageRequest, SiteScope, StoreError, Timestamp,
};
use serde::Serialize;
use serde_json::Value;

use super::{Approval, ApprovalState, ApprovalStateName, ReviewedOperation};

#[async_trait]
pub trait ApprovalRepository: Send {
    async fn insert(&mut self, approval: &Approval) -> Result<(), StoreError>;
    /// Locked until the transaction ends.
    async fn for_update(&mut self, id: ApprovalId) -> Result<Option<Approval>, StoreError>;
    async fn save(&mut self, approval: &Approval) -> Result<(), StoreError>;
    /// The maker's youngest one for this request that is submitted or approved, and not expired.
    async fn open(
        &mut self,
        maker: IdentityId,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Approval>, StoreError>;
    /// How many of the maker's are submitted, and not expired.
    async fn count_submitted(&mut self, maker: IdentityId, now: Timestamp) -> Result<u32, StoreError>;
}

#[async_trait]
pub trait ApprovalLimits: Send {
    /// `None`: the operation never needs a second person.
    async fn find(&mut self, operation: ReviewedOperation) -> Result<Option<i64>, StoreError>;
    /// As [`find`](Self::find); nobody else changes it until the transaction ends.
    async fn for_update(
        &mut self,
        operation: ReviewedOperation,
        now: Timestamp,
    ) -> Result<Option<i64>, StoreError>;
    async fn save(
        &mut self,
        operation: ReviewedOperation,
        quantity_max: Option<i64>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Whether another active member than this one may decide on approvals.
    async fn has_other_checker(&mut self, than: IdentityId) -> Result<bool, StoreError>;
}

/// A transaction in which approvals can be asked for and decided.
pub trait ApprovalsTx: IdempotentTx {
    fn approvals(&mut self) -> &mut dyn ApprovalRepository;
    fn limits(&mut self) -> &mut dyn ApprovalLimits;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApprovalFilter {
    pub state: Option<ApprovalStateName>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReviewedRequestView {
    pub method: String,
    pub path: String,
    /// `null`: the request has none.
    pub body: Value,
    /// SHA-256 of method, path and canonical body, in hexadecimal digits: what approving names.
    pub hash: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ApprovalView {
    pub id: ApprovalId,
    pub operation: ReviewedOperation,
    pub quantity: i64,
    pub state: ApprovalStateName,
    pub request: ReviewedRequestView,
    pub maker: IdentityId,
    /// Who approved or rejected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checker: Option<IdentityId>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<DateTime<Utc>>,
    /// When it was used up, or withdrawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<DateTime<Utc>>,
}

impl ApprovalView {
    pub fn of(approval: &Approval, now: Timestamp) -> Self {
        let (checker, decided_at, ended_at) = match &approval.state {
            ApprovalState::Draft | ApprovalState::Submitted => (None, None, None),
            ApprovalState::Approved { checker, at } | ApprovalState::Rejected { checker, at, .. } => {
                (Some(*checker), Some(*at), None)
            }
            ApprovalState::Withdrawn { at } => (None, None, Some(*at)),
            ApprovalState::Applied {
                checker,
                approved_at,
                at,
            } => (Some(*checker), Some(*approved_at), Some(*at)),
        };
        let reason = match &approval.state {
            ApprovalState::Rejected { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        let request = &approval.request;
        Self {
            id: approval.id,
            operation: approval.operation,
            quantity: approval.quantity,
            state: approval.state_name(now),
            request: ReviewedRequestView {
                method: request.method.clone(),
                path: request.path.clone(),
                body: serde_json::from_str(&request.body).unwrap_or_default(),
                hash: hex::encode(request.hash),
            },
            maker: approval.maker,
            checker,
            reason,
            created_at: approval.created_at,
            expires_at: approval.expires_at,
            decided_at,
            ended_at,
        }
    }
}

/// Above which quantity an operation needs a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ApprovalLimitView {
    pub operation: ReviewedOperation,
    /// `null`: never.
    pub quantity_max: Option<i64>,
    pub changed_at: DateTime<Utc>,
}

#[async_trait]
pub trait ApprovalQueries: Send + Sync {
    /// Newest first.
    async fn approvals(
        &self,
        scope: &SiteScope,
        filter: ApprovalFilter,
        page: PageRequest,
        now: Timestamp,
    ) -> Result<Page<ApprovalView>, StoreError>;
    async fn approval(
        &self,
        scope: &SiteScope,
        id: ApprovalId,
        now: Timestamp,
    ) -> Result<Option<ApprovalView>, StoreError>;
    /// Those that were ever set.
    async fn approval_limits(&self, scope: &SiteScope) -> Result<Vec<ApprovalLimitView>, StoreError>;
}
