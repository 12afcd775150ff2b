//! Connected accounts: <https://docs.stripe.com/api/accounts>. POSX transfers to them; people fill them in at Stripe.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, Utc};
use posx_kernel::Timestamp;
use serde::Deserialize;

use crate::client::{Form, IdempotencyKey, Metadata, StripeClient};
use crate::error::StripeError;

const PATH: &str = "/accounts";

/// An account as Stripe holds it. One that was disconnected from the platform is not there any more: Stripe answers a
/// look-up with [`StripeError::NotPermitted`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ConnectedAccount {
    pub id: String,
    pub country: Option<String>,
    /// The owner has told all that Stripe asks for at first.
    #[serde(default)]
    pub details_submitted: bool,
    /// Money can leave it for the owner's bank.
    #[serde(default)]
    pub payouts_enabled: bool,
    #[serde(default)]
    pub charges_enabled: bool,
    #[serde(default)]
    capabilities: HashMap<String, Capability>,
    #[serde(default)]
    pub requirements: Option<Requirements>,
    #[serde(default)]
    pub metadata: Metadata,
}

/// May the account do what a capability is about?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    Active,
    /// Stripe is still looking.
    Pending,
    /// Also for what this version does not know: nothing is sent on a guess.
    #[serde(other)]
    Inactive,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Requirements {
    /// Why the account is restricted, in Stripe's words: `requirements.past_due`, `rejected.fraud`, ….
    pub disabled_reason: Option<String>,
    /// What the owner must tell, or the account will be restricted.
    #[serde(default)]
    pub currently_due: Vec<String>,
    /// …until then.
    #[serde(default, with = "chrono::serde::ts_seconds_option")]
    pub current_deadline: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConnectedAccount<'a> {
    /// ISO 3166, two letters.
    pub country: &'a str,
    pub email: Option<&'a str>,
    pub metadata: &'a [(&'a str, String)],
}

/// Where the owner fills the account in. Whoever has the address is let in, once: it is not stored and not logged.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct OnboardingLink {
    pub url: String,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub expires_at: Timestamp,
}

impl fmt::Debug for OnboardingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnboardingLink")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl ConnectedAccount {
    /// What was never asked for is inactive.
    pub fn capability(&self, name: &str) -> Capability {
        self.capabilities
            .get(name)
            .copied()
            .unwrap_or(Capability::Inactive)
    }

    /// A transfer would be taken, and its money could reach the owner's bank: else payouts are held (S47).
    pub fn takes_transfers(&self) -> bool {
        self.capability("transfers") == Capability::Active && self.payouts_enabled
    }
}

impl StripeClient {
    /// An Express account that may be transferred to and nothing else.
    pub async fn create_account(
        &self,
        key: &IdempotencyKey,
        new: &NewConnectedAccount<'_>,
    ) -> Result<ConnectedAccount, StripeError> {
        let form = Form::default()
            .with("type", "express")
            .with("country", new.country)
            .with("capabilities[transfers][requested]", true)
            .maybe("email", new.email)
            .metadata(new.metadata);
        self.post(PATH, key, &form).await
    }

    pub async fn account(&self, id: &str) -> Result<Option<ConnectedAccount>, StripeError> {
        self.find(PATH, id).await
    }

    /// A new link each time: an old one cannot be had again. `refresh_url` is where Stripe sends the owner when this one
    /// has expired, `return_url` when they are done or have given up.
    pub async fn onboarding_link(
        &self,
        account: &str,
        refresh_url: &str,
        return_url: &str,
    ) -> Result<OnboardingLink, StripeError> {
        let form = Form::default()
            .with("account", account)
            .with("refresh_url", refresh_url)
            .with("return_url", return_url)
            .with("type", "account_onboarding");
        self.post("/account_links", &self.passing_key(), &form).await
    }
}
