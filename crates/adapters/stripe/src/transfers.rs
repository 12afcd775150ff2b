//! Transfers to connected accounts, and taking them back: <https://docs.stripe.com/api/transfers>.

use posx_kernel::{Currency, Money};
use serde::Deserialize;

use crate::amount;
use crate::client::{Form, IdempotencyKey, Listed, Metadata, Page, StripeClient, segment};
use crate::error::StripeError;

const PATH: &str = "/transfers";

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Transfer {
    pub id: String,
    amount: i64,
    amount_reversed: i64,
    #[serde(deserialize_with = "amount::currency")]
    currency: Currency,
    pub destination: Option<String>,
    pub transfer_group: Option<String>,
    /// The charge whose money it is, if it was tied to one.
    pub source_transaction: Option<String>,
    /// All of it was taken back.
    pub reversed: bool,
    #[serde(default)]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTransfer<'a> {
    pub destination: &'a str,
    pub amount: Money,
    /// By which it is found again when its answer was lost.
    pub transfer_group: &'a str,
    /// The charge that pays for it: then it runs at once and its money comes when the charge's does (S43). Without, it is
    /// refused while the balance is short, and Stripe does not try again (S44).
    pub source_transaction: Option<&'a str>,
    pub metadata: &'a [(&'a str, String)],
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Reversal {
    pub id: String,
    amount: i64,
    #[serde(deserialize_with = "amount::currency")]
    currency: Currency,
    pub transfer: String,
}

/// What became of a wish to take a transfer back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reversed {
    Now(Reversal),
    /// All of it had been taken back before: as good as done (S45).
    Before(Transfer),
}

impl Transfer {
    pub const fn amount(&self) -> Money {
        Money::from_minor(self.amount, self.currency)
    }

    /// By all reversals together.
    pub const fn amount_reversed(&self) -> Money {
        Money::from_minor(self.amount_reversed, self.currency)
    }
}

impl Reversal {
    pub const fn amount(&self) -> Money {
        Money::from_minor(self.amount, self.currency)
    }
}

impl Listed for Transfer {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    pub async fn create_transfer(
        &self,
        key: &IdempotencyKey,
        new: &NewTransfer<'_>,
    ) -> Result<Transfer, StripeError> {
        amount::sendable(new.amount)?;
        let form = Form::default()
            .with("amount", new.amount.minor())
            .with("currency", amount::wire_code(new.amount.currency()))
            .with("destination", new.destination)
            .with("transfer_group", new.transfer_group)
            .maybe("source_transaction", new.source_transaction)
            .metadata(new.metadata);
        self.post(PATH, key, &form).await
    }

    pub async fn transfer(&self, id: &str) -> Result<Option<Transfer>, StripeError> {
        self.find(PATH, id).await
    }

    pub async fn transfers_of_group(
        &self,
        transfer_group: &str,
        after: Option<&str>,
    ) -> Result<Page<Transfer>, StripeError> {
        let filter = Form::default().with("transfer_group", transfer_group);
        self.page(PATH, &filter, after).await
    }

    /// Takes `amount` of a transfer back. Refused when less is left, or when the account has not got it (S45): then its
    /// owner owes it.
    pub async fn reverse_transfer(
        &self,
        key: &IdempotencyKey,
        transfer: &str,
        amount: Money,
        metadata: &[(&str, String)],
    ) -> Result<Reversed, StripeError> {
        amount::sendable(amount)?;
        let path = format!("{PATH}/{}/reversals", segment(transfer)?);
        let form = Form::default().with("amount", amount.minor()).metadata(metadata);
        let refused = match self.post(&path, key, &form).await {
            Ok(reversal) => return Ok(Reversed::Now(reversal)),
            Err(refused @ StripeError::Refused(_)) => refused,
            Err(error) => return Err(error),
        };
        // Only the message says "already fully reversed"; the transfer itself says it too, and for good.
        match self.transfer(transfer).await? {
            Some(found) if found.reversed => Ok(Reversed::Before(found)),
            _ => Err(refused),
        }
    }
}
