//! PaymentIntents: <https://docs.stripe.com/api/payment_intents>.

use std::fmt;

use posx_kernel::{Currency, Money, Timestamp};
use serde::Deserialize;

use crate::amount;
use crate::client::{Form, IdempotencyKey, Metadata, StripeClient, segment};
use crate::error::StripeError;

const PATH: &str = "/payment_intents";

/// As Stripe holds it. `Debug` leaves the client secret out.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct PaymentIntent {
    pub id: String,
    amount: i64,
    #[serde(default)]
    amount_received: i64,
    #[serde(deserialize_with = "amount::currency")]
    currency: Currency,
    /// `requires_payment_method`, `succeeded`, …; only the gateway makes states of it.
    pub status: String,
    /// Lets the buyer's browser confirm it. Not stored, not logged.
    pub client_secret: Option<String>,
    pub livemode: bool,
    #[serde(default)]
    pub metadata: Metadata,
    last_payment_error: Option<PaymentFailure>,
}

/// Why the last try failed. The rest of it, the card among it, is not read.
#[derive(Clone, PartialEq, Eq, Deserialize)]
struct PaymentFailure {
    code: Option<String>,
    decline_code: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPaymentIntent<'a> {
    pub amount: Money,
    pub metadata: &'a [(&'a str, String)],
}

/// Created from the one instant to the other, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub to: Option<Timestamp>,
}

impl PaymentIntent {
    pub const fn amount(&self) -> Money {
        Money::from_minor(self.amount, self.currency)
    }

    pub const fn received(&self) -> Money {
        Money::from_minor(self.amount_received, self.currency)
    }

    /// The issuer's word, or else Stripe's.
    pub fn last_decline(&self) -> Option<&str> {
        let failure = self.last_payment_error.as_ref()?;
        failure.decline_code.as_deref().or(failure.code.as_deref())
    }
}

impl fmt::Debug for PaymentIntent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaymentIntent")
            .field("id", &self.id)
            .field("amount", &self.amount())
            .field("received", &self.received())
            .field("status", &self.status)
            .field("livemode", &self.livemode)
            .finish_non_exhaustive()
    }
}

impl Window {
    pub(crate) fn filter(self) -> Form {
        Form::default()
            .with("created[gte]", self.from.timestamp())
            .maybe("created[lte]", self.to.map(|to| to.timestamp()))
    }
}

impl StripeClient {
    /// Which payment methods the buyer sees is set in the account, as Stripe does by default since 2023-08-16.
    pub async fn create_payment_intent(
        &self,
        key: &IdempotencyKey,
        new: &NewPaymentIntent<'_>,
    ) -> Result<PaymentIntent, StripeError> {
        amount::chargeable(new.amount)?;
        let form = Form::default()
            .with("amount", new.amount.minor())
            .with("currency", amount::wire_code(new.amount.currency()))
            .metadata(new.metadata);
        self.post(PATH, key, &form).await
    }

    pub async fn payment_intent(&self, id: &str) -> Result<Option<PaymentIntent>, StripeError> {
        self.find(PATH, id).await
    }

    /// The one whose metadata has this value under this name, among those made in the window. A list knows what was made
    /// before it was asked for; `/search` may lag by an hour, and is not had everywhere.
    pub async fn payment_intent_with(
        &self,
        created: Window,
        name: &str,
        value: &str,
    ) -> Result<Option<PaymentIntent>, StripeError> {
        self.with_metadata(PATH, &created.filter(), name, value).await
    }

    /// Under a new key each time: the stored "not now, it is processing" would be the answer for a day, and cancelling
    /// twice does no harm.
    pub async fn cancel_payment_intent(&self, id: &str) -> Result<PaymentIntent, StripeError> {
        let path = format!("{PATH}/{}/cancel", segment(id)?);
        self.post(&path, &self.passing_key(), &Form::default()).await
    }
}
