use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::{Kind, Refusal, WebhookId};
use posx_postgres::{NewWebhook, WebhookEndpoint};
use posx_stripe::{MissedEvent, Notice, StripeError, Window};
use serde::Deserialize;

use crate::error::JobError;
use crate::task::{Lane, Task, Work};

/// As long as Stripe keeps events; what is older is found by comparing its reports with the ledger.
const KEPT_FOR: TimeDelta = TimeDelta::days(30);
/// Of a hundred events: what is not on them comes with the next run, for stored ones are skipped by their ids.
const PAGES_MAX: usize = 20;

/// By the clock: asks Stripe for the events of the site's account that it could not deliver, and puts them into the inbox
/// (S29).
#[derive(Debug, Deserialize)]
pub(crate) struct RecoverEvents {}

#[derive(Debug, thiserror::Error)]
#[error("Stripe did not tell which events it could not deliver")]
struct NotTold(#[source] StripeError);

impl Refusal for NotTold {
    fn code(&self) -> &'static str {
        "undelivered_events_unknown"
    }

    fn kind(&self) -> Kind {
        if self.0.needs_a_person() {
            Kind::Internal
        } else {
            Kind::Unavailable
        }
    }
}

#[async_trait]
impl Task for RecoverEvents {
    const NAME: &'static str = "recover_events";
    const LANE: Lane = Lane::Sweeps;

    async fn run(self, work: &Work<'_>) -> Result<(), JobError> {
        // The sandbox, or a site that takes no payments: nothing is missed.
        let Some(accounts) = &work.services.stripe else {
            return Ok(());
        };
        let client = match accounts.of(work.scope()?.site()).await {
            Ok(client) => client,
            Err(StripeError::NoKey(_)) => return Ok(()),
            Err(error) => return Err(NotTold(error).into()),
        };
        let created = Window {
            from: work.services.clock.now() - KEPT_FOR,
            to: None,
        };
        let (mut after, mut recovered) = (None, 0);
        for _ in 0..PAGES_MAX {
            let page = client.undelivered_events(created, after.as_deref()).await;
            let page = page.map_err(NotTold)?;
            for missed in &page.items {
                recovered += usize::from(store(work, missed).await?);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if recovered > 0 {
            metrics::counter!("posx_webhooks_recovered_total", "provider" => "stripe")
                .increment(u64::try_from(recovered).unwrap_or(u64::MAX));
            tracing::warn!(
                events = recovered,
                "events that Stripe could not deliver were fetched: look at the endpoint"
            );
        }
        Ok(())
    }
}

/// True: it was not in the inbox.
async fn store(work: &Work<'_>, missed: &MissedEvent) -> Result<bool, JobError> {
    let services = work.services;
    let now = services.clock.now();
    let money = missed.event.notice().map(Notice::external_id);
    let ours = money.or(missed.event.transfer());
    let new = NewWebhook {
        id: WebhookId::from_uuid(services.ids.uuid(now)),
        provider: "stripe",
        event_id: &missed.event.id,
        event_type: &missed.event.kind,
        external_id: ours.or(missed.event.object.id.as_deref()),
        known: ours.is_some(),
        endpoint: WebhookEndpoint::RECOVERED,
        body: &missed.body,
        headers: serde_json::json!({}),
        received_at: now,
    };
    Ok(services.database.store_webhook(&new).await?)
}
