use async_trait::async_trait;
use posx_allocations::ReportError;
use posx_allocations::custody::Transfer;
use posx_fireblocks::FireblocksEvent;
use posx_kernel::{Kind, Refusal, SiteScope, WebhookId, retry_busy};
use posx_orders::gateway::IntentId;
use posx_postgres::{InboxRow, WebhookEndpoint};
use posx_runtime::Environment;
use posx_stripe::{AccountNotice, Notice, StripeEvent};
use serde::Deserialize;
use uuid::Uuid;

use crate::error::JobError;
use crate::scope;
use crate::task::{Lane, Task, Work};

/// Interprets a stored delivery. Whose it is, the inbox says by our own stored external id, never the event.
#[derive(Debug, Deserialize)]
pub(crate) struct ApplyWebhook {
    webhook: Uuid,
}

/// What an event came to.
enum Applied {
    Done,
    /// Nothing of it is for us; the reason is a stable word.
    Ignored(&'static str),
    /// It should not have come like this: a person finds out why, and replays it or leaves it.
    Parked(&'static str),
}

#[derive(Debug, thiserror::Error)]
enum WebhookError {
    /// Perhaps our own insert is not committed yet.
    #[error("no site of ours has stored the event's external id")]
    NobodysObject,
    #[error("the stored event is of a provider that this version does not know")]
    UnknownProvider,
    #[error("the stored Stripe event is not readable")]
    Stripe(#[source] posx_stripe::EventError),
    #[error("the stored Fireblocks event is not readable")]
    Fireblocks(#[source] posx_fireblocks::EventError),
}

impl Refusal for WebhookError {
    fn code(&self) -> &'static str {
        match self {
            Self::NobodysObject => "webhook_object_unknown",
            Self::UnknownProvider => "webhook_provider_unknown",
            Self::Stripe(_) | Self::Fireblocks(_) => "webhook_unreadable",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NobodysObject => Kind::Unavailable,
            // It was verified and read when it was stored: a newer or an older version of us wrote it.
            Self::UnknownProvider | Self::Stripe(_) | Self::Fireblocks(_) => Kind::Internal,
        }
    }
}

#[async_trait]
impl Task for ApplyWebhook {
    const NAME: &'static str = "apply_webhook";
    const LANE: Lane = Lane::Events;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        let id = WebhookId::from_uuid(self.webhook);
        let Some(event) = work.services.jobs_database.webhook(id).await? else {
            // Deleted with its age, or never there: nothing is left to do.
            tracing::warn!(webhook = %id, "the event is not in the inbox");
            return Ok(());
        };
        if ["done", "ignored", "parked"].contains(&event.state.as_str()) {
            return Ok(());
        }
        let applied = apply(work, &event).await;
        let (state, why) = match &applied {
            Ok(Applied::Done) => ("done", None),
            Ok(Applied::Ignored(why)) => ("ignored", Some(*why)),
            Ok(Applied::Parked(why)) => ("parked", Some(*why)),
            // A suspended site's event waits like its other jobs.
            Err(JobError::Suspended) => ("received", Some("site_suspended")),
            Err(error @ JobError::Refused { .. }) => ("dead", Some(error.code())),
            Err(error) if work.last_try => ("dead", Some(error.code())),
            Err(error) => ("received", Some(error.code())),
        };
        let now = work.services.clock.now();
        work.services
            .jobs_database
            .finish_webhook(id, state, why, now)
            .await?;
        if let Ok(Applied::Parked(why)) = applied {
            tracing::error!(webhook = %id, provider = event.provider, why, "an event is parked: a person must look");
        }
        metrics::counter!("posx_webhooks_applied_total", "provider" => event.provider, "outcome" => state)
            .increment(1);
        applied.map(|_| ())
    }
}

async fn apply(work: &Work<'_>, event: &InboxRow) -> Result<Applied, JobError> {
    let site = event.site.ok_or(WebhookError::NobodysObject)?;
    let scope = scope::open(work.services, site, false).await?;
    tracing::info!(webhook = %event.id, site = %site, provider = event.provider, kind = event.event_type, "applying an event");
    match event.provider.as_str() {
        "stripe" => apply_stripe(work, &scope, event).await,
        "fireblocks" => apply_fireblocks(work, &scope, &event.body).await,
        _ => Err(WebhookError::UnknownProvider.into()),
    }
}

/// The event only says *which* intent, refund or dispute changed; where it stands is asked of the provider, so the order of
/// events is no matter.
async fn apply_stripe(work: &Work<'_>, scope: &SiteScope, stored: &InboxRow) -> Result<Applied, JobError> {
    let event = StripeEvent::parse(&stored.body).map_err(WebhookError::Stripe)?;
    if let Some(why) = why_not_ours(work, scope, stored, &event).await? {
        return Ok(Applied::Parked(why));
    }
    let payouts = &work.services.payouts;
    if let Some(notice) = event.of_connected_account() {
        let ours = match notice {
            AccountNotice::Changed { account } => payouts.account_changed(scope, account).await?,
            AccountNotice::BankPayout {
                account,
                payout,
                arrived,
            } => payouts.bank_payout(scope, account, payout, arrived).await?,
        };
        tracing::info!(ours, "word of an agent's account applied");
        return Ok(Applied::Done);
    }
    if let Some(transfer) = event.transfer() {
        let ours = payouts.transfer_changed(scope, transfer).await?;
        tracing::info!(ours, "transfer to an agent applied");
        return Ok(Applied::Done);
    }
    let orders = &work.services.orders;
    let intent = |id: &str| IntentId(id.to_owned());
    match event.notice() {
        Some(Notice::Intent(id)) => {
            let applied = orders.apply_intent(scope, &intent(id)).await?;
            tracing::info!(?applied, "payment intent applied");
        }
        Some(Notice::Refund { intent: Some(id), .. }) => orders.apply_refunds(scope, &intent(id)).await?,
        Some(Notice::Refund { id, intent: None }) => orders.apply_refund_by_id(scope, id).await?,
        Some(Notice::Dispute { id, .. }) => {
            let applied = orders.apply_dispute(scope, id).await?;
            tracing::info!(?applied, "dispute applied");
        }
        None => return Ok(Applied::Ignored("type_not_acted_on")),
    }
    Ok(Applied::Done)
}

/// What makes a signed event of our object none that we may act on (S10, S23).
async fn why_not_ours(
    work: &Work<'_>,
    scope: &SiteScope,
    stored: &InboxRow,
    event: &StripeEvent,
) -> Result<Option<&'static str>, JobError> {
    let services = work.services;
    let live = services.environment == Environment::Production;
    let owner = services.directory.site(scope.site()).await?;
    let connected = event.of_connected_account().is_some();
    let expected = match &owner {
        _ if connected => WebhookEndpoint::CONNECT,
        Some(site) if !services.stripe_endpoint_of(site).await?.is_empty() => site.code.as_str(),
        _ => WebhookEndpoint::SHARED,
    };
    let other_version = event
        .api_version
        .as_deref()
        .is_some_and(|version| version != posx_stripe::API_VERSION);
    Ok(if event.livemode != live {
        Some("livemode_mismatch")
    } else if event.account.is_some() && !connected {
        Some("connected_account")
    } else if stored.endpoint != expected && stored.endpoint != WebhookEndpoint::RECOVERED {
        Some("wrong_endpoint")
    } else if other_version {
        Some("api_version")
    } else {
        None
    })
}

/// The event carries the transfer's state; an allocation only moves forward, so the order of events is no matter.
async fn apply_fireblocks(work: &Work<'_>, scope: &SiteScope, body: &[u8]) -> Result<Applied, JobError> {
    let event = FireblocksEvent::parse(body).map_err(WebhookError::Fireblocks)?;
    let Some(transaction) = event.transaction else {
        return Ok(Applied::Ignored("type_not_acted_on"));
    };
    let (transfer, allocations) = (Transfer::from(transaction), &work.services.allocations);
    match retry_busy(|| allocations.apply_report(scope, &transfer)).await {
        Ok(applied) => {
            tracing::info!(?applied, "transfer applied");
            Ok(Applied::Done)
        }
        Err(error @ ReportError::NoSuchTransfer) => Err(JobError::worth_a_retry(error)),
        Err(error) => Err(error.into()),
    }
}
