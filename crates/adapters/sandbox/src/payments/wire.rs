//! The provider's JSON, read into the port's words.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use posx_kernel::{Currency, Money};
use posx_orders::gateway::{
    DisputeMovement, Intent, IntentId, IntentState, ProviderDispute, ProviderDisputeState, ProviderRefund,
    RefundState,
};
use serde::Deserialize;

use crate::transport::TransportError;

#[derive(Deserialize)]
pub(super) struct WireIntent {
    id: String,
    amount: i64,
    amount_received: i64,
    currency: String,
    status: String,
    client_secret: String,
    livemode: bool,
    #[serde(default)]
    metadata: HashMap<String, String>,
    last_payment_error: Option<WireFailure>,
}

#[derive(Deserialize)]
struct WireFailure {
    code: Option<String>,
    decline_code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireRefund {
    pub(super) id: String,
    amount: i64,
    currency: String,
    status: String,
    reason: Option<String>,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct WireDispute {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    reason: String,
    payment_intent: Option<String>,
    is_charge_refundable: bool,
    evidence_details: WireEvidence,
    balance_transactions: Vec<WireLine>,
    #[serde(with = "chrono::serde::ts_seconds")]
    created: DateTime<Utc>,
}

#[derive(Deserialize)]
struct WireEvidence {
    #[serde(default, with = "chrono::serde::ts_seconds_option")]
    due_by: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct WireLine {
    id: String,
    amount: i64,
    fee: i64,
    currency: String,
}

#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
}

#[derive(Deserialize)]
pub(super) struct WireRefusal {
    pub(super) error: WireError,
}

#[derive(Deserialize)]
pub(super) struct WireError {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) code: Option<String>,
    pub(super) payment_intent: Option<WireIntent>,
}

impl WireError {
    pub(super) fn code(&self) -> String {
        self.code.clone().unwrap_or_else(|| self.kind.clone())
    }
}

impl TryFrom<WireIntent> for Intent {
    type Error = TransportError;

    fn try_from(wire: WireIntent) -> Result<Self, TransportError> {
        let currency = currency(&wire.currency)?;
        let state = match wire.status.as_str() {
            "requires_payment_method" => IntentState::RequiresPaymentMethod {
                last_decline: wire
                    .last_payment_error
                    .and_then(|failure| failure.decline_code.or(failure.code)),
            },
            "requires_action" => IntentState::RequiresAction,
            "processing" => IntentState::Processing,
            "succeeded" => IntentState::Succeeded {
                received: Money::from_minor(wire.amount_received, currency),
            },
            "canceled" => IntentState::Cancelled,
            _ => IntentState::Other { name: wire.status },
        };
        Ok(Self {
            id: IntentId(wire.id),
            // Another system's intent may carry any text here: then it is of no attempt of ours.
            attempt: wire
                .metadata
                .get(super::client::ATTEMPT)
                .and_then(|text| text.parse().ok()),
            amount: Money::from_minor(wire.amount, currency),
            state,
            client_secret: wire.client_secret,
            livemode: wire.livemode,
        })
    }
}

impl TryFrom<WireRefund> for ProviderRefund {
    type Error = TransportError;

    fn try_from(wire: WireRefund) -> Result<Self, TransportError> {
        let state = match wire.status.as_str() {
            "pending" => RefundState::Pending,
            "requires_action" => RefundState::RequiresAction,
            "succeeded" => RefundState::Succeeded,
            "failed" => RefundState::Failed,
            "canceled" => RefundState::Cancelled,
            _ => return Err(TransportError::Field("status")),
        };
        Ok(Self {
            id: wire.id,
            refund: wire
                .metadata
                .get(super::client::REFUND)
                .and_then(|text| text.parse().ok()),
            amount: Money::from_minor(wire.amount, currency(&wire.currency)?),
            state,
            reason: wire.reason,
        })
    }
}

impl TryFrom<WireDispute> for ProviderDispute {
    type Error = TransportError;

    fn try_from(wire: WireDispute) -> Result<Self, TransportError> {
        let line = |line: WireLine| {
            let currency = currency(&line.currency)?;
            Ok(DisputeMovement {
                id: line.id,
                amount: Money::from_minor(line.amount, currency),
                fee: Money::from_minor(line.fee, currency),
            })
        };
        let lines = wire.balance_transactions.into_iter().map(line);
        Ok(Self {
            amount: Money::from_minor(wire.amount, currency(&wire.currency)?),
            movements: lines.collect::<Result<_, TransportError>>()?,
            state: ProviderDisputeState::from_name(&wire.status).unwrap_or(ProviderDisputeState::Unknown),
            id: wire.id,
            intent: wire.payment_intent.map(IntentId),
            reason: wire.reason,
            refundable: wire.is_charge_refundable,
            evidence_due_by: wire.evidence_details.due_by,
            opened_at: wire.created,
        })
    }
}

pub(super) fn currency(lower_case: &str) -> Result<Currency, TransportError> {
    Currency::from_code(&lower_case.to_ascii_uppercase()).ok_or(TransportError::Field("currency"))
}
