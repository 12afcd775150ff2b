use chrono::TimeDelta;
use posx_kernel::{Money, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::intent::{Happened, LIVEMODE};
use crate::env::Env;

/// As long as card networks give.
const EVIDENCE_DAYS: i64 = 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// A warning is an inquiry: it moves no money.
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
    Prevented,
}

impl DisputeStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WarningNeedsResponse => "warning_needs_response",
            Self::WarningUnderReview => "warning_under_review",
            Self::WarningClosed => "warning_closed",
            Self::NeedsResponse => "needs_response",
            Self::UnderReview => "under_review",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Prevented => "prevented",
        }
    }

    const fn is_closed(self) -> bool {
        matches!(
            self,
            Self::WarningClosed | Self::Won | Self::Lost | Self::Prevented
        )
    }
}

/// A dispute as the provider holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxDispute {
    pub id: String,
    pub intent: String,
    pub charge: Option<String>,
    pub amount: Money,
    pub status: DisputeStatus,
    pub evidence_due_by: Timestamp,
    pub created: Timestamp,
    lines: Vec<BalanceLine>,
}

/// A line of the provider's balance, in minor units of the dispute's currency.
#[derive(Debug, Clone, PartialEq, Eq)]
struct BalanceLine {
    id: String,
    amount: i64,
    fee: i64,
    created: Timestamp,
}

impl SandboxDispute {
    pub(super) fn new(
        env: &Env,
        intent: &str,
        charge: Option<String>,
        amount: Money,
        status: DisputeStatus,
    ) -> Self {
        let created = env.now();
        Self {
            id: env.stripe_id("dp"),
            intent: intent.to_owned(),
            charge,
            amount,
            status,
            evidence_due_by: created + TimeDelta::days(EVIDENCE_DAYS),
            created,
            lines: Vec::new(),
        }
    }

    /// While true the payment may be refunded, and so the dispute avoided (S36).
    pub(super) const fn is_refundable(&self) -> bool {
        !matches!(
            self.status,
            DisputeStatus::NeedsResponse | DisputeStatus::UnderReview | DisputeStatus::Lost
        )
    }

    pub(super) fn created(&self) -> Happened {
        ("charge.dispute.created", self.json())
    }

    pub(super) fn decide(&mut self, status: DisputeStatus) -> Happened {
        self.status = status;
        let kind = if status.is_closed() {
            "charge.dispute.closed"
        } else {
            "charge.dispute.updated"
        };
        (kind, self.json())
    }

    /// Takes the disputed amount away, or gives it back.
    pub(super) fn move_funds(&mut self, env: &Env, withdraw: bool, fee: i64) -> Happened {
        let amount = self.amount.minor();
        let (amount, kind) = if withdraw {
            (-amount, "charge.dispute.funds_withdrawn")
        } else {
            (amount, "charge.dispute.funds_reinstated")
        };
        self.lines.push(BalanceLine {
            id: env.stripe_id("txn"),
            amount,
            fee,
            created: env.now(),
        });
        (kind, self.json())
    }

    pub(super) fn json(&self) -> Value {
        let currency = self.amount.currency().code().to_ascii_lowercase();
        let line = |line: &BalanceLine| {
            let category = if line.amount < 0 {
                "dispute"
            } else {
                "dispute_reversal"
            };
            json!({
                "id": line.id,
                "object": "balance_transaction",
                "amount": line.amount,
                "available_on": line.created.timestamp(),
                "created": line.created.timestamp(),
                "currency": currency,
                "fee": line.fee,
                "net": line.amount - line.fee,
                "reporting_category": category,
                "source": self.id,
                "status": "pending",
                "type": "adjustment",
            })
        };
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount.minor(),
            "balance_transactions": self.lines.iter().map(line).collect::<Vec<_>>(),
            "charge": self.charge,
            "created": self.created.timestamp(),
            "currency": currency,
            "evidence_details": { "due_by": self.evidence_due_by.timestamp(), "has_evidence": false },
            "is_charge_refundable": self.is_refundable(),
            "livemode": LIVEMODE,
            "payment_intent": self.intent,
            "reason": "fraudulent",
            "status": self.status.as_str(),
        })
    }
}
