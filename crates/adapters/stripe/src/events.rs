//! Events whose delivery failed, for recovery (S29): <https://docs.stripe.com/webhooks/process-undelivered-events>.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::client::{Listed, Page, StripeClient};
use crate::error::StripeError;
use crate::event::StripeEvent;
use crate::payments::Window;

/// An event that was asked for, and so is as true as a signed one.
#[derive(Clone, PartialEq, Eq)]
pub struct MissedEvent {
    pub event: StripeEvent,
    /// For the inbox, which keeps what a delivery would have brought. Not the same bytes: the names may be in another order.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for MissedEvent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MissedEvent")
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for MissedEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Value::deserialize(deserializer)?.to_string().into_bytes();
        let event = StripeEvent::parse(&body).map_err(serde::de::Error::custom)?;
        Ok(Self { event, body })
    }
}

impl Listed for MissedEvent {
    fn id(&self) -> &str {
        &self.event.id
    }
}

impl StripeClient {
    /// Stripe keeps them for 30 days; what is older is found by comparing the balance.
    pub async fn undelivered_events(
        &self,
        created: Window,
        after: Option<&str>,
    ) -> Result<Page<MissedEvent>, StripeError> {
        let filter = created.filter().with("delivery_success", false);
        self.page("/events", &filter, after).await
    }
}
