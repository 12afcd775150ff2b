//! Stripe's states in the port's words (S11, S32).

use posx_orders::gateway::{
    DisputeMovement, Intent, IntentId, IntentState, ProviderDispute, ProviderDisputeState, ProviderRefund,
    RefundState,
};

use super::{ATTEMPT, REFUND};
use crate::balance::BalanceLine;
use crate::disputes::{Dispute, DisputeStatus};
use crate::error::StripeError;
use crate::payments::PaymentIntent;
use crate::refunds::Refund;

impl TryFrom<PaymentIntent> for Intent {
    type Error = StripeError;

    fn try_from(found: PaymentIntent) -> Result<Self, StripeError> {
        let state = match found.status.as_str() {
            "requires_payment_method" => IntentState::RequiresPaymentMethod {
                last_decline: found.last_decline().map(str::to_owned),
            },
            "requires_action" => IntentState::RequiresAction,
            "processing" => IntentState::Processing,
            "succeeded" => IntentState::Succeeded {
                received: found.received(),
            },
            "canceled" => IntentState::Cancelled,
            // `requires_confirmation` and `requires_capture` are of flows that POSX does not use: as good as unknown.
            _ => IntentState::Other {
                name: found.status.clone(),
            },
        };
        Ok(Self {
            amount: found.amount(),
            state,
            // Another system's intent may carry any text here: then it is of no attempt of ours.
            attempt: found.metadata.get(ATTEMPT).and_then(|text| text.parse().ok()),
            client_secret: found.client_secret.ok_or(StripeError::Field("client_secret"))?,
            livemode: found.livemode,
            id: IntentId(found.id),
        })
    }
}

impl TryFrom<Refund> for ProviderRefund {
    type Error = StripeError;

    fn try_from(found: Refund) -> Result<Self, StripeError> {
        let state = match found.status.as_deref() {
            Some("pending") => RefundState::Pending,
            Some("requires_action") => RefundState::RequiresAction,
            Some("succeeded") => RefundState::Succeeded,
            Some("failed") => RefundState::Failed,
            Some("canceled") => RefundState::Cancelled,
            _ => return Err(StripeError::Field("status")),
        };
        Ok(Self {
            amount: found.amount(),
            refund: found.metadata.get(REFUND).and_then(|text| text.parse().ok()),
            state,
            reason: found.reason,
            id: found.id,
        })
    }
}

impl From<DisputeStatus> for ProviderDisputeState {
    fn from(status: DisputeStatus) -> Self {
        match status {
            DisputeStatus::WarningNeedsResponse => Self::WarningNeedsResponse,
            DisputeStatus::WarningUnderReview => Self::WarningUnderReview,
            DisputeStatus::WarningClosed => Self::WarningClosed,
            DisputeStatus::NeedsResponse => Self::NeedsResponse,
            DisputeStatus::UnderReview => Self::UnderReview,
            DisputeStatus::Won => Self::Won,
            DisputeStatus::Lost => Self::Lost,
            DisputeStatus::Prevented => Self::Prevented,
            DisputeStatus::Other => Self::Unknown,
        }
    }
}

impl TryFrom<BalanceLine> for DisputeMovement {
    type Error = StripeError;

    fn try_from(line: BalanceLine) -> Result<Self, StripeError> {
        Ok(Self {
            amount: line.amount_money().ok_or(StripeError::Field("currency"))?,
            fee: line.fee_money().ok_or(StripeError::Field("currency"))?,
            id: line.id,
        })
    }
}

impl TryFrom<Dispute> for ProviderDispute {
    type Error = StripeError;

    fn try_from(found: Dispute) -> Result<Self, StripeError> {
        let mut lines = found.balance_transactions.clone();
        lines.sort_by_key(|line| line.created);
        Ok(Self {
            amount: found.amount().ok_or(StripeError::Field("currency"))?,
            evidence_due_by: found.evidence_due_by(),
            state: found.status.into(),
            movements: lines
                .into_iter()
                .map(DisputeMovement::try_from)
                .collect::<Result<_, _>>()?,
            intent: found.payment_intent.map(IntentId),
            reason: found.reason,
            refundable: found.is_charge_refundable,
            opened_at: found.created,
            id: found.id,
        })
    }
}
