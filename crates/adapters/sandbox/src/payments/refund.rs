use std::collections::BTreeMap;

use posx_kernel::{Money, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::env::Env;

/// A refund may fail long after it was accepted (S32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    Pending,
    RequiresAction,
    Succeeded,
    Failed,
    Canceled,
}

impl RefundStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::RequiresAction => "requires_action",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Failed and cancelled refunds give their money back to what may be refunded.
    pub(super) const fn counts(self) -> bool {
        !matches!(self, Self::Failed | Self::Canceled)
    }
}

/// A refund as the provider holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxRefund {
    pub id: String,
    pub intent: String,
    pub charge: Option<String>,
    pub amount: Money,
    pub status: RefundStatus,
    pub metadata: BTreeMap<String, String>,
    pub created: Timestamp,
}

/// What is asked, after its shape was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefundRequest {
    pub(super) intent: String,
    /// Minor units; all that is left if absent.
    pub(super) amount: Option<i64>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl SandboxRefund {
    pub(super) fn new(
        env: &Env,
        request: RefundRequest,
        charge: Option<String>,
        amount: Money,
        status: RefundStatus,
    ) -> Self {
        Self {
            id: env.stripe_id("re"),
            intent: request.intent,
            charge,
            amount,
            status,
            metadata: request.metadata,
            created: env.now(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount.minor(),
            "balance_transaction": null,
            "charge": self.charge,
            "created": self.created.timestamp(),
            "currency": self.amount.currency().code().to_ascii_lowercase(),
            "metadata": self.metadata,
            "payment_intent": self.intent,
            "reason": null,
            "receipt_number": null,
            "status": self.status.as_str(),
        })
    }
}
