//! Documents as staff see them.

use chrono::{DateTime, Utc};
use posx_kernel::{DocumentId, DraftId, IdentityId, ModelCallId, OrderId, PartyId};
use serde::Serialize;

use super::{
    Document, DocumentState, Draft, DraftContent, DraftKind, DraftState, Finding, MediaType, Outcome,
    Unusable,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DraftView {
    pub id: DraftId,
    pub state: DraftState,
    pub version: i32,
    /// Absent in lists, and when its time is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<DraftContent>,
    pub findings: Vec<Finding>,
    /// The paid call that read it.
    pub call_id: ModelCallId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<IdentityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject_reason: Option<String>,
    /// What it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<PartyId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DocumentView {
    pub id: DocumentId,
    pub name: String,
    pub media_type: MediaType,
    pub bytes: u32,
    pub kind: DraftKind,
    pub state: DocumentState,
    /// Why it is unreadable or refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Unusable>,
    pub uploaded_by: IdentityId,
    pub created_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uploaded_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<DateTime<Utc>>,
    /// Since then name, text and file are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<DraftView>,
}

impl DraftView {
    pub fn of(draft: Draft) -> Self {
        let (decided_by, decided_at, reject_reason) = match draft.decision {
            Some(decision) => (Some(decision.by), Some(decision.at), decision.reason),
            None => (None, None, None),
        };
        let (order_id, customer_id) = match draft.outcome {
            Some(Outcome::Order(order)) => (Some(order), None),
            Some(Outcome::Customer(party)) => (None, Some(party)),
            None => (None, None),
        };
        Self {
            id: draft.id,
            state: draft.state,
            version: draft.version,
            content: draft.content,
            findings: draft.findings,
            call_id: draft.call,
            decided_by,
            decided_at,
            reject_reason,
            order_id,
            customer_id,
            created_at: draft.created_at,
            updated_at: draft.updated_at,
        }
    }
}

impl DocumentView {
    pub fn of(document: Document, draft: Option<Draft>) -> Self {
        Self {
            id: document.id,
            name: document.name,
            media_type: document.media_type,
            bytes: document.bytes,
            kind: document.kind,
            state: document.state,
            reason: document.reason,
            uploaded_by: document.uploaded_by,
            created_at: document.created_at,
            uploaded_at: document.uploaded_at,
            read_at: document.read_at,
            forgotten_at: document.forgotten_at,
            draft: draft.map(DraftView::of),
        }
    }
}
