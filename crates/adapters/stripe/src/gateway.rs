//! The port of orders to a payment provider, on the real one.

mod state;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use posx_kernel::{Clock, PaymentAttemptId, RefundId, SiteId, Timestamp};
use posx_orders::gateway::{
    CancelOutcome, CreateIntent, CreateRefund, GatewayError, Intent, IntentId, IntentState, PaymentGateway,
    ProviderDispute, ProviderRefund,
};
use uuid::Uuid;

use crate::accounts::StripeAccounts;
use crate::client::{IdempotencyKey, StripeClient};
use crate::disputes::Dispute;
use crate::error::{Refusal, StripeError};
use crate::payments::{NewPaymentIntent, Window};
use crate::refunds::NewRefund;

/// Names in the metadata of what we make.
pub(crate) const ATTEMPT: &str = "posx_attempt";
pub(crate) const REFUND: &str = "posx_refund";
const ORDER: &str = "posx_order";
pub(crate) const SITE: &str = "posx_site";

/// Stripe may forget a key after 24 hours, and then carry the request out anew (S05).
const KEYS_ARE_SAFE_FOR: TimeDelta = TimeDelta::hours(23);
/// Our clock and Stripe's may differ by this much.
const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(10);
/// An intent is nearly always made within this time of its attempt: there it is looked for first.
const USUALLY_MADE_WITHIN: TimeDelta = TimeDelta::minutes(2);

/// Of a hundred refunds of one intent.
const REFUND_PAGES_MAX: usize = 100;

/// Payments at Stripe, each site with its own account. The idempotency key is the id of ours that the caller has
/// committed; an unknown outcome is settled by looking for that id in the metadata of recent objects.
#[derive(Debug, Clone)]
pub struct StripeGateway {
    accounts: StripeAccounts,
    clock: Arc<dyn Clock>,
}

impl StripeGateway {
    pub fn new(accounts: StripeAccounts, clock: Arc<dyn Clock>) -> Self {
        Self { accounts, clock }
    }

    /// Then sending again may do it again, and we look first.
    fn key_may_be_forgotten(&self, id: Uuid) -> bool {
        self.clock.now() - made_at(id) > KEYS_ARE_SAFE_FOR
    }

    async fn make_intent(&self, request: &CreateIntent) -> Result<Intent, StripeError> {
        let client = &self.accounts.of(request.site).await?;
        let attempt = request.attempt;
        if self.key_may_be_forgotten(attempt.as_uuid())
            && let Some(found) = find_intent(client, attempt).await?
        {
            return Ok(found);
        }
        let metadata = [
            (ATTEMPT, attempt.to_string()),
            (ORDER, request.order.to_string()),
            (SITE, request.site.to_string()),
        ];
        let new = NewPaymentIntent {
            amount: request.amount,
            metadata: &metadata,
        };
        match client.create_payment_intent(&key(attempt)?, &new).await {
            Ok(made) => made.try_into(),
            Err(stored @ StripeError::Server { replayed: true, .. }) => {
                settle_stored(client, attempt, stored).await
            }
            Err(error) => Err(error),
        }
    }

    async fn make_refund(&self, request: &CreateRefund) -> Result<ProviderRefund, StripeError> {
        let client = &self.accounts.of(request.site).await?;
        let refund = request.refund;
        if self.key_may_be_forgotten(refund.as_uuid())
            && let Some(found) = find_refund(client, &request.intent, refund).await?
        {
            return Ok(found);
        }
        let metadata = [(REFUND, refund.to_string()), (SITE, request.site.to_string())];
        let new = NewRefund {
            payment_intent: &request.intent.0,
            amount: request.amount,
            metadata: &metadata,
        };
        client.create_refund(&key(refund)?, &new).await?.try_into()
    }

    async fn cancel(&self, site: SiteId, id: &IntentId) -> Result<CancelOutcome, StripeError> {
        let client = &self.accounts.of(site).await?;
        let found = match client.cancel_payment_intent(&id.0).await {
            Ok(answered) => Some(answered),
            // Why, the intent itself says best: it is cancelled already, or money was faster.
            Err(StripeError::Refused(_)) => client.payment_intent(&id.0).await?,
            Err(error) => return Err(error),
        };
        let Some(found) = found else {
            return Ok(CancelOutcome::NoSuchIntent);
        };
        let intent = Intent::try_from(found)?;
        match intent.state {
            IntentState::Cancelled => Ok(CancelOutcome::Cancelled),
            IntentState::Succeeded { .. } | IntentState::Processing => {
                Ok(CancelOutcome::NotCancellable(intent))
            }
            // Refused, and open all the same: it moved on between the two calls. Asking again will tell.
            _ => Err(StripeError::Field("status")),
        }
    }
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    fn provider(&self) -> &'static str {
        "stripe"
    }

    async fn create_intent(&self, request: &CreateIntent) -> Result<Intent, GatewayError> {
        self.make_intent(request)
            .await
            .map_err(|error| told(error, "create_intent"))
    }

    async fn intent(&self, site: SiteId, id: &IntentId) -> Result<Option<Intent>, GatewayError> {
        let found = async { self.accounts.of(site).await?.payment_intent(&id.0).await };
        match found
            .await
            .and_then(|found| found.map(Intent::try_from).transpose())
        {
            Ok(intent) => Ok(intent),
            Err(error) => Err(told(error, "intent")),
        }
    }

    async fn intent_of_attempt(
        &self,
        site: SiteId,
        attempt: PaymentAttemptId,
    ) -> Result<Option<Intent>, GatewayError> {
        let found = async { find_intent(&self.accounts.of(site).await?, attempt).await };
        found.await.map_err(|error| told(error, "intent_of_attempt"))
    }

    async fn cancel_intent(&self, site: SiteId, id: &IntentId) -> Result<CancelOutcome, GatewayError> {
        self.cancel(site, id)
            .await
            .map_err(|error| told(error, "cancel_intent"))
    }

    async fn create_refund(&self, request: &CreateRefund) -> Result<ProviderRefund, GatewayError> {
        self.make_refund(request)
            .await
            .map_err(|error| told(error, "create_refund"))
    }

    async fn refund(
        &self,
        site: SiteId,
        intent: &IntentId,
        refund: RefundId,
    ) -> Result<Option<ProviderRefund>, GatewayError> {
        let found = async { find_refund(&self.accounts.of(site).await?, intent, refund).await };
        found.await.map_err(|error| told(error, "refund"))
    }

    async fn refunds(&self, site: SiteId, intent: &IntentId) -> Result<Vec<ProviderRefund>, GatewayError> {
        let found = async { all_refunds(&self.accounts.of(site).await?, intent).await };
        found.await.map_err(|error| told(error, "refunds"))
    }

    async fn dispute(&self, site: SiteId, id: &str) -> Result<Option<ProviderDispute>, GatewayError> {
        let found = async { self.accounts.of(site).await?.dispute(id).await };
        let read = |found: Option<Dispute>| found.map(ProviderDispute::try_from).transpose();
        found.await.and_then(read).map_err(|error| told(error, "dispute"))
    }
}

/// Our ids carry the time at which they were made: before they were committed, and so before their key was first used.
fn made_at(id: Uuid) -> Timestamp {
    let unix = id.get_timestamp().map(|made| made.to_unix());
    unix.and_then(|(seconds, nanos)| DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos))
        .unwrap_or_default()
}

fn key(id: impl std::fmt::Display) -> Result<IdempotencyKey, StripeError> {
    IdempotencyKey::new(id.to_string()).map_err(|_| StripeError::Field("idempotency-key"))
}

/// Looks among the intents that were made since the attempt was.
async fn find_intent(
    client: &StripeClient,
    attempt: PaymentAttemptId,
) -> Result<Option<Intent>, StripeError> {
    let made = made_at(attempt.as_uuid());
    let (early, near) = (made - CLOCKS_DIFFER_BY, made + USUALLY_MADE_WITHIN);
    for (from, to) in [(early, Some(near)), (near, None)] {
        let found = client
            .payment_intent_with(Window { from, to }, ATTEMPT, &attempt.to_string())
            .await?;
        if let Some(found) = found {
            return found.try_into().map(Some);
        }
    }
    Ok(None)
}

async fn find_refund(
    client: &StripeClient,
    intent: &IntentId,
    refund: RefundId,
) -> Result<Option<ProviderRefund>, StripeError> {
    let found = client.refund_with(&intent.0, REFUND, &refund.to_string()).await?;
    found.map(ProviderRefund::try_from).transpose()
}

/// Oldest first.
async fn all_refunds(client: &StripeClient, intent: &IntentId) -> Result<Vec<ProviderRefund>, StripeError> {
    let (mut all, mut after) = (Vec::new(), None);
    for _ in 0..REFUND_PAGES_MAX {
        let page = client.refunds(&intent.0, after.as_deref()).await;
        let page = page.map_err(StripeError::of_lookup)?;
        for refund in page.items {
            all.push(ProviderRefund::try_from(refund)?);
        }
        after = page.next;
        if after.is_none() {
            all.reverse();
            return Ok(all);
        }
    }
    Err(StripeError::TooManyPages {
        pages_max: REFUND_PAGES_MAX,
    })
}

/// A stored 500 is the answer to this key for a day, so this attempt can get no further (S02). If it made an intent,
/// that is the answer. If not, the attempt is refused for good and the buyer's next try has a new one; should Stripe
/// still bring an intent to light, nobody was ever given the secret to pay it with.
async fn settle_stored(
    client: &StripeClient,
    attempt: PaymentAttemptId,
    stored: StripeError,
) -> Result<Intent, StripeError> {
    tracing::warn!(%attempt, error = %stored, "Stripe has stored a failure under this attempt's key");
    match find_intent(client, attempt).await? {
        Some(found) => Ok(found),
        None => Err(Refusal::unsent("stored_server_error")),
    }
}

/// Only what certainly had no effect, and never will have, is a refusal. A key that Stripe does not take is none: the
/// same request is accepted as soon as the key is set right, and an owed refund must not fail for it.
fn told(error: StripeError, call: &'static str) -> GatewayError {
    if error.needs_a_person() {
        tracing::error!(call, %error, "a call to Stripe needs a person");
    }
    match error {
        StripeError::Refused(refusal) => GatewayError::Refused { code: refusal.code },
        unknown => GatewayError::Unknown(Box::new(unknown)),
    }
}
