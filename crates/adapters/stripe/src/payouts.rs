//! The port of agents' payouts to a provider, on Connect: <https://docs.stripe.com/connect/separate-charges-and-transfers>.

use async_trait::async_trait;
use posx_commissions::payout_gateway::{
    NewRecipient, Onboarding, PayoutGateway, PayoutGatewayError, SendPayout, Standing, Transfer,
};
use posx_kernel::{PayoutId, SiteId};

use crate::accounts::StripeAccounts;
use crate::client::{IdempotencyKey, StripeClient};
use crate::connect::NewConnectedAccount;
use crate::error::{Refusal, StripeError};
use crate::gateway::SITE;
use crate::transfers::{self, NewTransfer};

/// Names in the metadata of what we make.
const PAYOUT: &str = "posx_payout";
const TRY: &str = "posx_try";
const AGENT: &str = "posx_agent";

/// Of one payout's transfers: more than one page of them would be one for each of a hundred tries.
const PAGES_MAX: usize = 10;

/// Transfers from the site's own account to its agents' connected accounts. All tries of a payout share a transfer group, by
/// which they are found.
#[derive(Debug, Clone)]
pub struct StripePayouts {
    accounts: StripeAccounts,
}

impl StripePayouts {
    pub const fn new(accounts: StripeAccounts) -> Self {
        Self { accounts }
    }

    async fn make_transfer(&self, request: &SendPayout) -> Result<Transfer, StripeError> {
        let client = &self.accounts.of(request.site).await?;
        let group = request.payout.to_string();
        let metadata = [
            (PAYOUT, group.clone()),
            (TRY, request.attempt.to_string()),
            (SITE, request.site.to_string()),
        ];
        let new = NewTransfer {
            destination: &request.account,
            amount: request.amount,
            transfer_group: &group,
            source_transaction: None,
            metadata: &metadata,
        };
        let key = key(format!("{}-{}", request.payout, request.attempt))?;
        match client.create_transfer(&key, &new).await {
            Ok(made) => Ok(transfer(made)),
            Err(stored @ StripeError::Server { replayed: true, .. }) => {
                settle_stored(client, request, stored).await
            }
            Err(error) => Err(error),
        }
    }

    async fn standing_of(&self, site: SiteId, account: &str) -> Result<Option<Standing>, StripeError> {
        let found = match self.accounts.of(site).await?.account(account).await {
            Ok(Some(found)) => found,
            // One that was disconnected is not ours to look at.
            Ok(None) | Err(StripeError::NotPermitted { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let payouts_enabled = found.takes_transfers();
        let lacks = found.requirements;
        Ok(Some(Standing {
            payouts_enabled,
            charges_enabled: found.charges_enabled,
            disabled_reason: lacks.as_ref().and_then(|lacks| lacks.disabled_reason.clone()),
            missing: lacks.map(|lacks| lacks.currently_due).unwrap_or_default(),
        }))
    }
}

#[async_trait]
impl PayoutGateway for StripePayouts {
    async fn open_account(&self, new: &NewRecipient<'_>) -> Result<String, PayoutGatewayError> {
        let opened = async {
            let client = self.accounts.of(new.site).await?;
            let key = key(format!("{}-account-{}", new.agent, new.version))?;
            let metadata = [(AGENT, new.agent.to_string()), (SITE, new.site.to_string())];
            let account = NewConnectedAccount {
                country: new.country,
                email: None,
                metadata: &metadata,
            };
            client.create_account(&key, &account).await
        };
        opened
            .await
            .map(|account| account.id)
            .map_err(|error| told(error, "open_account"))
    }

    async fn onboarding(
        &self,
        site: SiteId,
        account: &str,
        refresh_url: &str,
        return_url: &str,
    ) -> Result<Onboarding, PayoutGatewayError> {
        let link = async {
            let client = self.accounts.of(site).await?;
            client.onboarding_link(account, refresh_url, return_url).await
        };
        let link = link.await.map_err(|error| told(error, "onboarding"))?;
        Ok(Onboarding {
            url: link.url,
            expires_at: link.expires_at,
        })
    }

    async fn standing(&self, site: SiteId, account: &str) -> Result<Option<Standing>, PayoutGatewayError> {
        self.standing_of(site, account)
            .await
            .map_err(|error| told(error, "standing"))
    }

    async fn send(&self, request: &SendPayout) -> Result<Transfer, PayoutGatewayError> {
        self.make_transfer(request)
            .await
            .map_err(|error| told(error, "send"))
    }

    async fn find(&self, site: SiteId, payout: PayoutId) -> Result<Option<Transfer>, PayoutGatewayError> {
        let found = async { find_transfer(&self.accounts.of(site).await?, payout).await };
        found.await.map_err(|error| told(error, "find"))
    }

    async fn transfer(&self, site: SiteId, reference: &str) -> Result<Option<Transfer>, PayoutGatewayError> {
        let found = async { self.accounts.of(site).await?.transfer(reference).await };
        let found = found.await.map_err(|error| told(error, "transfer"))?;
        Ok(found.map(transfer))
    }
}

fn transfer(found: transfers::Transfer) -> Transfer {
    Transfer {
        payout: found.metadata.get(PAYOUT).and_then(|id| id.parse().ok()),
        amount: found.amount(),
        reversed: found.amount_reversed(),
        reference: found.id,
    }
}

/// One that still stands comes before one that was taken back.
async fn find_transfer(client: &StripeClient, payout: PayoutId) -> Result<Option<Transfer>, StripeError> {
    let (group, mut after, mut reversed) = (payout.to_string(), None::<String>, None);
    for _ in 0..PAGES_MAX {
        let page = client.transfers_of_group(&group, after.as_deref()).await?;
        for found in page.items.into_iter().map(transfer) {
            match found.payout == Some(payout) {
                true if found.reversed != found.amount => return Ok(Some(found)),
                true => reversed = Some(found),
                false => {}
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(reversed),
        }
    }
    Err(StripeError::TooManyPages { pages_max: PAGES_MAX })
}

/// A stored 500 is the answer to this key for a day (S02). If it made a transfer, that is the answer; if not, this try is
/// refused for good, and the next one has another key.
async fn settle_stored(
    client: &StripeClient,
    request: &SendPayout,
    stored: StripeError,
) -> Result<Transfer, StripeError> {
    tracing::warn!(payout = %request.payout, error = %stored, "Stripe has stored a failure under this try's key");
    match find_transfer(client, request.payout).await? {
        Some(found) => Ok(found),
        None => Err(Refusal::unsent("stored_server_error")),
    }
}

fn key(text: String) -> Result<IdempotencyKey, StripeError> {
    IdempotencyKey::new(text).map_err(|_| StripeError::Field("idempotency-key"))
}

/// Only what certainly had no effect, and never will have, is a refusal.
fn told(error: StripeError, call: &'static str) -> PayoutGatewayError {
    if error.needs_a_person() {
        tracing::error!(call, %error, "a call to Stripe needs a person");
    }
    match error {
        StripeError::Refused(refusal) => PayoutGatewayError::Refused { code: refusal.code },
        unknown => PayoutGatewayError::Unknown(Box::new(unknown)),
    }
}
