use chrono::{DateTime, Utc};
use posx_kernel::{DisputeId, Money, OrderId};
use serde::Serialize;

use super::{Dispute, DisputeState, ProviderDisputeState};

/// A dispute as staff are shown it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DisputeView {
    pub id: DisputeId,
    pub order_id: OrderId,
    /// What is disputed; may be less or more than was paid.
    pub amount: Money,
    /// The provider's word.
    pub reason: String,
    pub state: DisputeState,
    pub provider_state: ProviderDisputeState,
    pub provider_dispute_id: String,
    /// It only asks: no money has moved.
    pub inquiry: bool,
    /// The provider would still take a refund instead.
    pub refundable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence_due_by: Option<DateTime<Utc>>,
    /// Taken away by the provider and not given back.
    pub withdrawn: Money,
    /// Gone for good.
    pub lost: Money,
    pub opened_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<DateTime<Utc>>,
}

impl DisputeView {
    pub fn of(dispute: Dispute) -> Self {
        Self {
            id: dispute.id,
            order_id: dispute.order,
            amount: dispute.amount,
            reason: dispute.reason,
            state: dispute.state,
            provider_state: dispute.provider_state,
            provider_dispute_id: dispute.provider_dispute,
            inquiry: dispute.provider_state.is_inquiry(),
            refundable: dispute.refundable,
            evidence_due_by: dispute.evidence_due_by,
            withdrawn: dispute.withdrawn,
            lost: dispute.lost,
            opened_at: dispute.opened_at,
            closed_at: dispute.closed_at,
        }
    }
}
