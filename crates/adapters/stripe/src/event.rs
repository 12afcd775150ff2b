//! The envelope of an event, and what we take from it: of a classic one, <https://docs.stripe.com/api/events/object>,
//! which brings a snapshot of its object, and of a thin one, <https://docs.stripe.com/api/v2/core/events/object>, which
//! only names it. Of a snapshot we read no more than which payment it is of, by which the event finds its site: so both come
//! to the same.

mod connected;
mod notice;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

pub use self::connected::AccountNotice;
pub use self::notice::Notice;

/// Longest id or type that is stored.
const TEXT_BYTES_MAX: usize = 255;

/// One event. Its order among others is not guaranteed and it may come twice, so it names what changed and leaves the
/// new state to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeEvent {
    /// `evt_…`: the key that makes a second delivery have no effect.
    pub id: String,
    /// Stripe's `type`, as it came: `payment_intent.succeeded`.
    pub kind: String,
    pub created: DateTime<Utc>,
    /// Must agree with the environment; a test event in production is not ours to apply.
    pub livemode: bool,
    /// The connected account, if the event is of one. It decides whose event this is; metadata never does.
    pub account: Option<String>,
    /// An event of a version other than the pinned one is parked. A thin event has none.
    pub api_version: Option<String>,
    pub object: EventObject,
}

/// What `data.object`, or a thin event's `related_object`, is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventObject {
    /// Some objects have none, a balance for one.
    pub id: Option<String>,
    /// Stripe's `object`: `payment_intent`, `charge`, …; `none` for a thin event about no object.
    pub kind: String,
    /// The payment that a refund, a charge or a dispute is of. A thin event does not say it.
    pub payment_intent: Option<String>,
}

/// A PaymentIntent changed: fetch it and compare amount, currency and order before anything is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaymentIntentNotice<'a> {
    pub intent_id: &'a str,
    pub change: PaymentIntentChange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentIntentChange {
    Created,
    Processing,
    RequiresAction,
    AmountCapturableUpdated,
    PartiallyFunded,
    Succeeded,
    /// One attempt failed; the intent is open for another.
    PaymentFailed,
    Canceled,
    /// A type that this version does not know: the intent is still worth fetching.
    Other,
}

/// A signed body that is no event. An unknown *type* is none of these: it parses.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("the event is not JSON of the expected shape")]
    Shape(#[source] serde_json::Error),
    #[error("the event's `{0}` cannot be used")]
    Field(&'static str),
}

impl StripeEvent {
    /// Reads a body that has been verified, now or before it was stored.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let Kind { object } = serde_json::from_slice(body).map_err(EventError::Shape)?;
        match object.as_str() {
            "event" => Self::classic(serde_json::from_slice(body).map_err(EventError::Shape)?),
            "v2.core.event" => Self::thin(serde_json::from_slice(body).map_err(EventError::Shape)?),
            _ => Err(EventError::Field("object")),
        }
    }

    fn classic(envelope: Envelope) -> Result<Self, EventError> {
        Ok(Self {
            id: usable(envelope.id, "id")?,
            kind: usable(envelope.kind, "type")?,
            created: DateTime::from_timestamp(envelope.created, 0).ok_or(EventError::Field("created"))?,
            livemode: envelope.livemode,
            account: envelope.account.map(|id| usable(id, "account")).transpose()?,
            api_version: envelope
                .api_version
                .map(|version| usable(version, "api_version"))
                .transpose()?,
            object: EventObject {
                id: envelope
                    .data
                    .object
                    .id
                    .map(|id| usable(id, "data.object.id"))
                    .transpose()?,
                kind: usable(envelope.data.object.kind, "data.object.object")?,
                payment_intent: match envelope.data.object.payment_intent {
                    Some(Value::String(id)) => Some(usable(id, "data.object.payment_intent")?),
                    _ => None,
                },
            },
        })
    }

    fn thin(envelope: ThinEnvelope) -> Result<Self, EventError> {
        let object = match envelope.related_object {
            Some(related) => EventObject {
                id: Some(usable(related.id, "related_object.id")?),
                kind: usable(related.kind, "related_object.type")?,
                payment_intent: None,
            },
            None => EventObject {
                id: None,
                kind: "none".to_owned(),
                payment_intent: None,
            },
        };
        Ok(Self {
            id: usable(envelope.id, "id")?,
            kind: usable(envelope.kind, "type")?,
            created: envelope.created,
            livemode: envelope.livemode,
            account: envelope.context.map(|id| usable(id, "context")).transpose()?,
            api_version: None,
            object,
        })
    }

    /// The id of the transfer that it is about.
    pub fn transfer(&self) -> Option<&str> {
        let kind = self.kind.strip_prefix("v1.").unwrap_or(&self.kind);
        if !kind.starts_with("transfer.") || self.object.kind != "transfer" {
            return None;
        }
        self.object.id.as_deref()
    }

    /// `None` if the event is about something else.
    pub fn payment_intent(&self) -> Option<PaymentIntentNotice<'_>> {
        // Thin events about objects of v1 have its types behind this prefix.
        let kind = self.kind.strip_prefix("v1.").unwrap_or(&self.kind);
        let change = kind
            .strip_prefix("payment_intent.")
            .map(PaymentIntentChange::of)?;
        if self.object.kind != "payment_intent" {
            return None;
        }
        Some(PaymentIntentNotice {
            intent_id: self.object.id.as_deref()?,
            change,
        })
    }
}

impl PaymentIntentChange {
    fn of(suffix: &str) -> Self {
        match suffix {
            "created" => Self::Created,
            "processing" => Self::Processing,
            "requires_action" => Self::RequiresAction,
            "amount_capturable_updated" => Self::AmountCapturableUpdated,
            "partially_funded" => Self::PartiallyFunded,
            "succeeded" => Self::Succeeded,
            "payment_failed" => Self::PaymentFailed,
            "canceled" => Self::Canceled,
            _ => Self::Other,
        }
    }
}

/// Ids and types go into keys and logs: visible ASCII, and not without end.
fn usable(text: String, field: &'static str) -> Result<String, EventError> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(text)
    } else {
        Err(EventError::Field(field))
    }
}

#[derive(Deserialize)]
struct Kind {
    object: String,
}

#[derive(Deserialize)]
struct Envelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: i64,
    livemode: bool,
    account: Option<String>,
    api_version: Option<String>,
    data: Data,
}

#[derive(Deserialize)]
struct ThinEnvelope {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    created: DateTime<Utc>,
    livemode: bool,
    context: Option<String>,
    related_object: Option<RelatedObject>,
}

#[derive(Deserialize)]
struct RelatedObject {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Data {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    id: Option<String>,
    #[serde(rename = "object")]
    kind: String,
    payment_intent: Option<Value>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn succeeded() -> Value {
        json!({
            "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": 1_767_225_600,
            "livemode": false, "api_version": "2026-04-22.dahlia", "request": {"id": null},
            "data": {"object": {"id": "pi_1", "object": "payment_intent", "metadata": {"order": "ord_of_somebody"}}},
        })
    }

    fn with(path: &str, value: Value) -> Result<StripeEvent, EventError> {
        let mut event = succeeded();
        match path.rsplit_once('/') {
            Some((parent, name)) => event.pointer_mut(parent).unwrap()[name] = value,
            None => event = value,
        }
        StripeEvent::parse(event.to_string().as_bytes())
    }

    #[test]
    fn a_payment_intent_event_names_the_intent_and_the_change() {
        let event = with("/account", json!("acct_1")).unwrap();
        assert_eq!(event.account.as_deref(), Some("acct_1"));
        assert_eq!(event.created.timestamp(), 1_767_225_600);
        let notice = event.payment_intent().unwrap();
        assert_eq!(
            notice,
            PaymentIntentNotice {
                intent_id: "pi_1",
                change: PaymentIntentChange::Succeeded
            }
        );
    }

    #[test]
    fn s23_metadata_is_not_part_of_an_event() {
        let other = with("/data/object/metadata", json!({"site": "ASIA"})).unwrap();
        assert_eq!(
            other,
            StripeEvent::parse(succeeded().to_string().as_bytes()).unwrap()
        );
    }

    #[test]
    fn s31_an_unknown_type_parses() {
        let event = with("/type", json!("treasury.rocket_launched")).unwrap();
        assert_eq!(
            (event.kind.as_str(), event.payment_intent()),
            ("treasury.rocket_launched", None)
        );
        let event = with("/type", json!("payment_intent.teleported")).unwrap();
        assert_eq!(event.payment_intent().unwrap().change, PaymentIntentChange::Other);
    }

    #[test]
    fn s31_an_object_without_an_id_parses() {
        let event = with("/data/object", json!({"object": "balance"})).unwrap();
        assert_eq!(
            event.object,
            EventObject {
                id: None,
                kind: "balance".into(),
                payment_intent: None,
            }
        );
    }

    #[test]
    fn an_intent_event_about_another_object_is_no_notice() {
        assert_eq!(
            with("/data/object/object", json!("charge"))
                .unwrap()
                .payment_intent(),
            None
        );
        assert_eq!(
            with("/data/object/id", json!(null)).unwrap().payment_intent(),
            None
        );
    }

    #[test]
    fn s30_a_thin_event_names_its_object_and_its_account() {
        let thin = |change: Value| {
            let mut event = json!({
                "id": "evt_test_65R", "object": "v2.core.event", "type": "v1.payment_intent.succeeded",
                "created": "2026-06-01T12:00:00.000Z", "livemode": false, "context": null,
                "related_object": {"id": "pi_1", "type": "payment_intent", "url": "/v1/payment_intents/pi_1"},
            });
            let changes = change.as_object().unwrap().clone();
            event.as_object_mut().unwrap().extend(changes);
            StripeEvent::parse(event.to_string().as_bytes())
        };
        let event = thin(json!({"context": "acct_1"})).unwrap();
        assert_eq!(
            (
                event.account.as_deref(),
                event.api_version.as_deref(),
                event.livemode
            ),
            (Some("acct_1"), None, false)
        );
        let notice = event.payment_intent().unwrap();
        assert_eq!(
            (notice.intent_id, notice.change),
            ("pi_1", PaymentIntentChange::Succeeded)
        );
        let nothing =
            thin(json!({"related_object": null, "type": "v1.billing.meter.no_meter_found"})).unwrap();
        assert_eq!(
            (nothing.object.id.as_deref(), nothing.payment_intent()),
            (None, None)
        );
        for change in [
            json!({"livemode": "no"}),
            json!({"created": 1}),
            json!({"related_object": {}}),
        ] {
            assert!(matches!(thin(change), Err(EventError::Shape(_))));
        }
    }

    #[test]
    fn an_id_that_could_not_be_a_key_is_refused() {
        for id in ["", "evt 1", "evt_\u{0}", "évt_1", &"e".repeat(256)] {
            assert!(
                matches!(with("/id", json!(id)), Err(EventError::Field("id"))),
                "{id:?}"
            );
        }
        assert!(matches!(
            with("/object", json!("charge")),
            Err(EventError::Field("object"))
        ));
        assert!(matches!(
            with("/created", json!(i64::MAX)),
            Err(EventError::Field("created"))
        ));
        assert!(matches!(
            with("/livemode", json!("yes")),
            Err(EventError::Shape(_))
        ));
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused() {
        let body = br#"{"object":"event","id":"evt_1","id":"evt_2","type":"x","created":1,"livemode":false,"data":{"object":{"object":"x"}}}"#;
        assert!(matches!(StripeEvent::parse(body), Err(EventError::Shape(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(body in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(StripeEvent::parse(&body).is_err());
        }
    }
}
