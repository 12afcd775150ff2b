//! What Stripe holds for the account, and line by line how it came to be: <https://docs.stripe.com/api/balance>. For
//! reading and comparing only, so a currency that POSX does not know stands in it without stopping the rest.

use chrono::{DateTime, Utc};
use posx_kernel::Money;
use serde::Deserialize;

use crate::amount;
use crate::client::{Form, Listed, Page, StripeClient};
use crate::error::StripeError;
use crate::payments::Window;

/// Per currency; the ledger must say the sum of available and pending (S49).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Balance {
    pub available: Vec<BalanceAmount>,
    pub pending: Vec<BalanceAmount>,
    /// Held back for negative balances of connected accounts, for which the platform answers (S46).
    #[serde(default)]
    pub connect_reserved: Vec<BalanceAmount>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BalanceAmount {
    /// In minor units; negative is owed to Stripe.
    pub amount: i64,
    /// In lower case.
    pub currency: String,
}

/// One line of the balance.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BalanceLine {
    pub id: String,
    /// Before the fee; negative is money that goes.
    pub amount: i64,
    pub fee: i64,
    /// Amount − fee: by so much the balance moved.
    pub net: i64,
    /// In lower case.
    pub currency: String,
    /// `charge`, `refund`, `refund_failure`, `transfer`, `payout`, `adjustment`, …
    #[serde(rename = "type")]
    pub kind: String,
    pub reporting_category: String,
    /// `pending` until `available_on`.
    pub status: String,
    /// The object that it is about: the charge, the refund, ….
    pub source: Option<String>,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub created: DateTime<Utc>,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub available_on: DateTime<Utc>,
}

impl BalanceAmount {
    /// `None` in a currency that POSX does not know.
    pub fn money(&self) -> Option<Money> {
        Some(Money::from_minor(self.amount, amount::known(&self.currency)?))
    }
}

impl BalanceLine {
    /// `None` in a currency that POSX does not know.
    pub fn amount_money(&self) -> Option<Money> {
        Some(Money::from_minor(self.amount, amount::known(&self.currency)?))
    }

    /// `None` in a currency that POSX does not know.
    pub fn net_money(&self) -> Option<Money> {
        Some(Money::from_minor(self.net, amount::known(&self.currency)?))
    }

    /// `None` in a currency that POSX does not know.
    pub fn fee_money(&self) -> Option<Money> {
        Some(Money::from_minor(self.fee, amount::known(&self.currency)?))
    }
}

impl Listed for BalanceLine {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    pub async fn balance(&self) -> Result<Balance, StripeError> {
        self.get("/balance", &Form::default()).await
    }

    pub async fn balance_lines(
        &self,
        created: Window,
        after: Option<&str>,
    ) -> Result<Page<BalanceLine>, StripeError> {
        self.page("/balance_transactions", &created.filter(), after).await
    }
}
