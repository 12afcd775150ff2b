//! Disputes: <https://docs.stripe.com/api/disputes>.

use chrono::{DateTime, Utc};
use posx_kernel::Money;
use serde::Deserialize;

use crate::amount;
use crate::balance::BalanceLine;
use crate::client::{Listed, Page, StripeClient};
use crate::error::StripeError;
use crate::payments::Window;

const PATH: &str = "/disputes";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Dispute {
    pub id: String,
    amount: i64,
    currency: String,
    pub status: DisputeStatus,
    /// `fraudulent`, `product_not_received`, …
    pub reason: String,
    pub charge: String,
    pub payment_intent: Option<String>,
    /// While true the charge may be refunded, and so the dispute avoided (S36).
    pub is_charge_refundable: bool,
    evidence_details: EvidenceDetails,
    /// None, one or two: money that was withdrawn and reinstated (S38).
    pub balance_transactions: Vec<BalanceLine>,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub created: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct EvidenceDetails {
    #[serde(default, with = "chrono::serde::ts_seconds_option")]
    due_by: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    WarningNeedsResponse,
    WarningUnderReview,
    WarningClosed,
    NeedsResponse,
    UnderReview,
    Won,
    Lost,
    Prevented,
    /// One that this version does not know: parked, never guessed.
    #[serde(other)]
    Other,
}

impl Dispute {
    /// May be less or more than the charge's (S39). `None` in a currency that POSX does not know: then the charge is not
    /// ours either.
    pub fn amount(&self) -> Option<Money> {
        Some(Money::from_minor(self.amount, amount::known(&self.currency)?))
    }

    /// Until when evidence is taken, if it is.
    pub const fn evidence_due_by(&self) -> Option<DateTime<Utc>> {
        self.evidence_details.due_by
    }
}

impl Listed for Dispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    pub async fn dispute(&self, id: &str) -> Result<Option<Dispute>, StripeError> {
        self.find(PATH, id).await
    }

    pub async fn disputes(&self, created: Window, after: Option<&str>) -> Result<Page<Dispute>, StripeError> {
        self.page(PATH, &created.filter(), after).await
    }
}
