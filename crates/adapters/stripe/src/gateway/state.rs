//! Stripe's states in the port's words (S11, S32).

use posx_orders::gateway::{Intent, IntentId, IntentState, ProviderRefund, RefundState};

use super::{ATTEMPT, REFUND};
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
            // The buyer must tell where to: it is still under way.
            Some("pending" | "requires_action") => RefundState::Pending,
            Some("succeeded") => RefundState::Succeeded,
            Some("failed") => RefundState::Failed,
            Some("canceled") => RefundState::Cancelled,
            _ => return Err(StripeError::Field("status")),
        };
        Ok(Self {
            amount: found.amount(),
            refund: found.metadata.get(REFUND).and_then(|text| text.parse().ok()),
            state,
            id: found.id,
        })
    }
}
