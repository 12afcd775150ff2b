//! The port of agents' payouts to the payment provider, over HTTP.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::DateTime;
use posx_commissions::payout_gateway::{
    NewRecipient, Onboarding, PayoutGateway, PayoutGatewayError, SendPayout, Standing, Transfer,
};
use posx_kernel::{Money, PayoutId, SiteId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::{SITE, path_segment};
use super::wire::{List, WireRefusal, currency};
use crate::transport::{ClientError, RawAnswer, Transport, TransportError};

const PAYOUT: &str = "payout_id";
const MISSING: &str = "resource_missing";

/// Talks to a sandbox payment provider on this machine as to Stripe.
#[derive(Debug, Clone)]
pub struct SandboxPayouts {
    transport: Transport,
}

#[derive(Deserialize)]
struct WireTransfer {
    id: String,
    amount: i64,
    amount_reversed: i64,
    currency: String,
    #[serde(default)]
    metadata: HashMap<String, String>,
}

#[derive(Deserialize)]
struct WireAccount {
    id: String,
    payouts_enabled: bool,
    charges_enabled: bool,
    requirements: WireRequirements,
}

#[derive(Deserialize)]
struct WireRequirements {
    currently_due: Vec<String>,
    disabled_reason: Option<String>,
}

#[derive(Deserialize)]
struct WireLink {
    url: String,
    expires_at: i64,
}

impl TryFrom<WireTransfer> for Transfer {
    type Error = TransportError;

    fn try_from(wire: WireTransfer) -> Result<Self, TransportError> {
        let currency = currency(&wire.currency)?;
        Ok(Self {
            reference: wire.id,
            payout: wire.metadata.get(PAYOUT).and_then(|id| id.parse().ok()),
            amount: Money::from_minor(wire.amount, currency),
            reversed: Money::from_minor(wire.amount_reversed, currency),
        })
    }
}

impl SandboxPayouts {
    /// `base_url` is what `World::stripe_url` says; an address that is not of this machine is refused.
    pub fn new(base_url: &str, secret_key: &str) -> Result<Self, ClientError> {
        let transport = Transport::new(base_url, "authorization", &format!("Bearer {secret_key}"))?;
        Ok(Self { transport })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, PayoutGatewayError> {
        accepted(&self.transport.send(request).await.map_err(unknown)?)
    }

    async fn maybe<T: DeserializeOwned>(
        &self,
        path: &str,
        id: &str,
    ) -> Result<Option<T>, PayoutGatewayError> {
        let Ok(id) = path_segment(id) else { return Ok(None) };
        match self.ask(self.transport.get(&format!("{path}/{id}"))).await {
            Ok(found) => Ok(Some(found)),
            Err(PayoutGatewayError::Refused { code }) if code == MISSING => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[async_trait]
impl PayoutGateway for SandboxPayouts {
    async fn open_account(&self, new: &NewRecipient<'_>) -> Result<String, PayoutGatewayError> {
        let form = [
            ("type", "express".to_owned()),
            ("country", new.country.to_owned()),
            ("capabilities[transfers][requested]", "true".to_owned()),
            ("metadata[agent_id]", new.agent.to_string()),
        ];
        let key = format!("{}-account-{}", new.agent, new.version);
        let post = self
            .transport
            .post("/v1/accounts")
            .header("idempotency-key", key)
            .form(&form);
        let account: WireAccount = self.ask(post).await?;
        Ok(account.id)
    }

    async fn onboarding(
        &self,
        _site: SiteId,
        account: &str,
        refresh_url: &str,
        return_url: &str,
    ) -> Result<Onboarding, PayoutGatewayError> {
        let form = [
            ("account", account),
            ("refresh_url", refresh_url),
            ("return_url", return_url),
            ("type", "account_onboarding"),
        ];
        let link: WireLink = self
            .ask(self.transport.post("/v1/account_links").form(&form))
            .await?;
        let expires_at = DateTime::from_timestamp(link.expires_at, 0);
        Ok(Onboarding {
            url: link.url,
            expires_at: expires_at.ok_or_else(|| unknown(TransportError::Field("expires_at")))?,
        })
    }

    async fn standing(&self, _site: SiteId, account: &str) -> Result<Option<Standing>, PayoutGatewayError> {
        let found: Option<WireAccount> = self.maybe("/v1/accounts", account).await?;
        Ok(found.map(|account| Standing {
            payouts_enabled: account.payouts_enabled,
            charges_enabled: account.charges_enabled,
            disabled_reason: account.requirements.disabled_reason,
            missing: account.requirements.currently_due,
        }))
    }

    async fn send(&self, request: &SendPayout) -> Result<Transfer, PayoutGatewayError> {
        let payout = request.payout.to_string();
        let form = [
            ("amount", request.amount.minor().to_string()),
            ("currency", request.amount.currency().code().to_ascii_lowercase()),
            ("destination", request.account.clone()),
            ("transfer_group", payout.clone()),
            (&format!("metadata[{PAYOUT}]"), payout.clone()),
            (&format!("metadata[{SITE}]"), request.site.to_string()),
        ];
        let key = format!("{payout}-{}", request.attempt);
        let post = self
            .transport
            .post("/v1/transfers")
            .header("idempotency-key", key)
            .form(&form);
        let answer = self.transport.send(post).await.map_err(unknown)?;
        // A failure that is stored under the key is its answer for a day: what came of it is asked for (S02).
        if answer.status.is_server_error() && answer.replayed {
            return match self.find(request.site, request.payout).await? {
                Some(found) => Ok(found),
                None => Err(PayoutGatewayError::Refused {
                    code: "stored_server_error".to_owned(),
                }),
            };
        }
        let made: WireTransfer = accepted(&answer)?;
        made.try_into().map_err(unknown)
    }

    async fn find(&self, _site: SiteId, payout: PayoutId) -> Result<Option<Transfer>, PayoutGatewayError> {
        let query = [("transfer_group", payout.to_string())];
        let found: List<WireTransfer> = self
            .ask(self.transport.get("/v1/transfers").query(&query))
            .await?;
        let found = found.data.into_iter().map(Transfer::try_from);
        let mut found = found.collect::<Result<Vec<_>, _>>().map_err(unknown)?;
        // One that still stands comes first.
        found.sort_by_key(|one| one.reversed == one.amount);
        Ok(found.into_iter().next())
    }

    async fn transfer(&self, _site: SiteId, reference: &str) -> Result<Option<Transfer>, PayoutGatewayError> {
        let found: Option<WireTransfer> = self.maybe("/v1/transfers", reference).await?;
        found.map(Transfer::try_from).transpose().map_err(unknown)
    }
}

fn accepted<T: DeserializeOwned>(answer: &RawAnswer) -> Result<T, PayoutGatewayError> {
    if answer.status.is_success() {
        return answer.json().map_err(unknown);
    }
    if answer.is_unsettled() {
        return Err(unknown(answer.unsettled()));
    }
    let WireRefusal { error } = answer.json().map_err(unknown)?;
    // Our own fault: another try under another key is not the answer to it (S03).
    if error.kind == "idempotency_error" || answer.status.as_u16() == 401 {
        return Err(unknown(answer.unsettled()));
    }
    Err(PayoutGatewayError::Refused { code: error.code() })
}

fn unknown(error: TransportError) -> PayoutGatewayError {
    PayoutGatewayError::Unknown(Box::new(error))
}
