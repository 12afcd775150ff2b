use chrono::{DateTime, Utc};
use posx_kernel::{Money, OrderId, RefundId};
use serde::Serialize;

use super::{Refund, RefundOrigin, RefundReason, RefundState, Restock};

/// A refund as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RefundView {
    pub id: RefundId,
    pub order_id: OrderId,
    pub amount: Money,
    pub reason: RefundReason,
    /// For staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub origin: RefundOrigin,
    pub restock: Restock,
    pub state: RefundState,
    /// The provider's id, once it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_refund_id: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl RefundView {
    pub fn of(refund: Refund) -> Self {
        Self {
            id: refund.id,
            order_id: refund.order,
            amount: refund.amount,
            reason: refund.reason,
            note: refund.note,
            origin: refund.origin,
            restock: refund.restock,
            state: refund.state,
            provider_refund_id: refund.provider_refund,
            created_at: refund.created_at,
            updated_at: refund.updated_at,
        }
    }

    /// As a buyer is shown it.
    #[must_use]
    pub fn without_note(self) -> Self {
        Self { note: None, ..self }
    }
}
