//! What an event is about, as far as POSX acts on it.

use super::StripeEvent;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice<'a> {
    Intent(&'a str),
    /// Something of a payment was refunded, or a refund moved. The intent is missing in a thin event.
    Refund {
        id: &'a str,
        intent: Option<&'a str>,
    },
    /// The intent is missing in a thin event, and for a charge that was made without one.
    Dispute {
        id: &'a str,
        intent: Option<&'a str>,
    },
}

impl<'a> Notice<'a> {
    /// By what the event finds its site: the payment, if it is said, else the object, which is ours once it was seen.
    pub const fn external_id(self) -> &'a str {
        match self {
            Self::Intent(intent)
            | Self::Refund {
                intent: Some(intent), ..
            }
            | Self::Dispute {
                intent: Some(intent), ..
            } => intent,
            Self::Refund { id, intent: None } | Self::Dispute { id, intent: None } => id,
        }
    }
}

impl StripeEvent {
    /// `None` if it is about something else.
    pub fn notice(&self) -> Option<Notice<'_>> {
        if let Some(notice) = self.payment_intent() {
            return Some(Notice::Intent(notice.intent_id));
        }
        let id = self.object.id.as_deref()?;
        let intent = self.object.payment_intent.as_deref();
        let kind = self.kind.strip_prefix("v1.").unwrap_or(&self.kind);
        let is = |prefixes: &[&str]| prefixes.iter().any(|prefix| kind.starts_with(prefix));
        match self.object.kind.as_str() {
            "refund" if is(&["refund.", "charge.refund."]) => Some(Notice::Refund { id, intent }),
            // A charge says what was refunded in all; its refunds are asked for by its intent.
            "charge" if kind == "charge.refunded" && intent.is_some() => Some(Notice::Refund { id, intent }),
            "dispute" if is(&["charge.dispute."]) => Some(Notice::Dispute { id, intent }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(kind: &str, object: &Value) -> StripeEvent {
        let event = json!({
            "id": "evt_1", "object": "event", "type": kind, "created": 1_767_225_600, "livemode": false,
            "data": { "object": object },
        });
        StripeEvent::parse(event.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn every_event_about_money_that_goes_back_names_its_object_and_its_payment() {
        let object =
            |kind: &str| json!({ "id": "x_1", "object": kind, "payment_intent": "pi_1", "amount": 7 });
        let intent = Some("pi_1");
        for kind in [
            "refund.created",
            "refund.updated",
            "refund.failed",
            "charge.refund.updated",
        ] {
            let event = event(kind, &object("refund"));
            assert_eq!(
                event.notice(),
                Some(Notice::Refund { id: "x_1", intent }),
                "{kind}"
            );
        }
        let refunded = event("charge.refunded", &object("charge"));
        assert_eq!(refunded.notice(), Some(Notice::Refund { id: "x_1", intent }));
        for kind in [
            "created",
            "updated",
            "closed",
            "funds_withdrawn",
            "funds_reinstated",
        ] {
            let event = event(&format!("charge.dispute.{kind}"), &object("dispute"));
            let notice = event.notice().unwrap();
            assert_eq!(notice, Notice::Dispute { id: "x_1", intent }, "{kind}");
            assert_eq!(notice.external_id(), "pi_1");
        }
        let paid = event(
            "payment_intent.succeeded",
            &json!({ "id": "pi_2", "object": "payment_intent" }),
        );
        assert_eq!(paid.notice(), Some(Notice::Intent("pi_2")));
    }

    #[test]
    fn s30_a_thin_event_names_the_object_alone() {
        let thin = json!({
            "id": "evt_1", "object": "v2.core.event", "type": "v1.charge.dispute.created",
            "created": "2026-06-01T12:00:00.000Z", "livemode": false, "context": null,
            "related_object": { "id": "du_1", "type": "dispute", "url": "/v1/disputes/du_1" },
        });
        let event = StripeEvent::parse(thin.to_string().as_bytes()).unwrap();
        let notice = event.notice().unwrap();
        assert_eq!(
            notice,
            Notice::Dispute {
                id: "du_1",
                intent: None
            }
        );
        assert_eq!(notice.external_id(), "du_1");
    }

    #[test]
    fn what_is_about_something_else_is_no_notice() {
        for (kind, object) in [
            (
                "charge.updated",
                json!({ "id": "ch_1", "object": "charge", "payment_intent": "pi_1" }),
            ),
            (
                "charge.refunded",
                json!({ "id": "ch_1", "object": "charge", "payment_intent": null }),
            ),
            (
                "charge.dispute.created",
                json!({ "id": "ch_1", "object": "charge", "payment_intent": "pi_1" }),
            ),
            ("refund.updated", json!({ "object": "refund" })),
        ] {
            assert_eq!(event(kind, &object).notice(), None, "{kind}");
        }
        // An expanded payment is no id.
        let expanded = json!({ "id": "re_1", "object": "refund", "payment_intent": { "id": "pi_1" } });
        let event = event("refund.updated", &expanded);
        assert_eq!(
            event.notice(),
            Some(Notice::Refund {
                id: "re_1",
                intent: None
            })
        );
    }
}
