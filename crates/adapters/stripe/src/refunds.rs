//! Refunds: <https://docs.stripe.com/api/refunds>.

use posx_kernel::{Currency, Money};
use serde::Deserialize;

use crate::amount;
use crate::client::{Form, IdempotencyKey, Listed, Metadata, Page, StripeClient};
use crate::error::StripeError;

const PATH: &str = "/refunds";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refund {
    pub id: String,
    amount: i64,
    #[serde(deserialize_with = "amount::currency")]
    currency: Currency,
    /// `pending`, `requires_action`, `succeeded`, `failed`, `canceled`; one that succeeded may fail later (S32).
    pub status: Option<String>,
    pub payment_intent: Option<String>,
    /// `duplicate`, `fraudulent`, `requested_by_customer`, …; of who made it, by hand or by the API.
    pub reason: Option<String>,
    pub failure_reason: Option<String>,
    /// The line of the balance by which the money of a failed refund came back.
    pub failure_balance_transaction: Option<String>,
    #[serde(default)]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefund<'a> {
    pub payment_intent: &'a str,
    pub amount: Money,
    pub metadata: &'a [(&'a str, String)],
}

impl Refund {
    pub const fn amount(&self) -> Money {
        Money::from_minor(self.amount, self.currency)
    }
}

impl Listed for Refund {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    pub async fn create_refund(
        &self,
        key: &IdempotencyKey,
        new: &NewRefund<'_>,
    ) -> Result<Refund, StripeError> {
        amount::sendable(new.amount)?;
        let form = Form::default()
            .with("payment_intent", new.payment_intent)
            .with("amount", new.amount.minor())
            .metadata(new.metadata);
        self.post(PATH, key, &form).await
    }

    pub async fn refund(&self, id: &str) -> Result<Option<Refund>, StripeError> {
        self.find(PATH, id).await
    }

    /// The intent's refunds, newest first.
    pub async fn refunds(
        &self,
        payment_intent: &str,
        after: Option<&str>,
    ) -> Result<Page<Refund>, StripeError> {
        let filter = Form::default().with("payment_intent", payment_intent);
        self.page(PATH, &filter, after).await
    }

    /// The intent's refund whose metadata has this value under this name.
    pub async fn refund_with(
        &self,
        payment_intent: &str,
        name: &str,
        value: &str,
    ) -> Result<Option<Refund>, StripeError> {
        let filter = Form::default().with("payment_intent", payment_intent);
        self.with_metadata(PATH, &filter, name, value).await
    }
}
