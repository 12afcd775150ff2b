//! What an answer means. The table is Stripe's: <https://docs.stripe.com/error-low-level> and
//! <https://docs.stripe.com/error-codes>.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::error::{Refusal, StripeError};
use crate::key::Mode;

/// Longer words are not codes.
const CODE_BYTES_MAX: usize = 80;

pub(super) struct Answer {
    status: StatusCode,
    should_retry: Option<bool>,
    retry_after: Option<Duration>,
    /// It is the stored answer of an earlier request with the same key.
    replayed: bool,
    request: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Self {
            status,
            should_retry: text("stripe-should-retry").and_then(|value| value.parse().ok()),
            retry_after: text("retry-after")
                .and_then(|value| value.parse().ok())
                .map(Duration::from_secs),
            replayed: text("idempotent-replayed") == Some("true"),
            request: text("request-id").and_then(word),
            body,
        }
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(super) fn may_be_tried_again(&self) -> bool {
        let busy = matches!(self.status.as_u16(), 409 | 429);
        !self.status.is_success() && self.should_retry.unwrap_or(busy)
    }

    /// Itself if it is a success; else what kind of failure it is.
    pub(super) fn accepted(self, ours: Mode) -> Result<Self, StripeError> {
        let status = self.status.as_u16();
        match status {
            200..=299 => Ok(self),
            409 | 429 => Err(StripeError::Busy { status }),
            400..=499 if !matches!(status, 408 | 424) => Err(self.refusal(ours)),
            // Like a 5xx, these two say that something on the way took too long or failed: not what became of the request.
            _ => Err(StripeError::Server {
                status,
                replayed: self.replayed,
            }),
        }
    }

    fn refusal(&self, ours: Mode) -> StripeError {
        // A refusal that is not worded as Stripe's came from something between us.
        let error = match serde_json::from_slice::<Body>(&self.body) {
            Ok(body) => body.error,
            Err(error) => return undecodable(&error),
        };
        let status = self.status.as_u16();
        let code = error.code.as_deref().or(error.kind.as_deref()).and_then(word);
        let code = code.unwrap_or_else(|| "unnamed".to_owned());
        match (status, code.as_str()) {
            (401, "api_key_expired" | "platform_api_key_expired") => StripeError::KeyRevoked,
            (401, _) => StripeError::KeyWrong,
            (_, "livemode_mismatch") => StripeError::WrongMode { ours },
            (403, _) | (_, "testmode_charges_only" | "secret_key_required") => {
                StripeError::NotPermitted { code }
            }
            _ if error.kind.as_deref() == Some("idempotency_error") => StripeError::KeyReused,
            // The one thing that only the message says, and that would else pass for "there is no such object".
            (404, _) if error.says("a similar object exists in") => StripeError::WrongMode { ours },
            _ => StripeError::Refused(Refusal {
                status,
                code,
                param: error.param.as_deref().and_then(word),
                request: self.request.clone(),
            }),
        }
    }

    /// Reads a success, after its mode was compared with the key's.
    pub(super) fn json_of<T: DeserializeOwned>(&self, ours: Mode) -> Result<T, StripeError> {
        let marked: Marked = serde_json::from_slice(&self.body).map_err(|error| undecodable(&error))?;
        if marked
            .livemodes()
            .any(|livemode| Mode::of_livemode(livemode) != ours)
        {
            return Err(StripeError::WrongMode { ours });
        }
        serde_json::from_slice(&self.body).map_err(|error| undecodable(&error))
    }
}

pub(super) fn undecodable(error: &serde_json::Error) -> StripeError {
    StripeError::Undecodable {
        line: error.line(),
        column: error.column(),
    }
}

/// Codes, parameter names and request ids go into logs: one word, not without end.
fn word(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    ((1..=CODE_BYTES_MAX).contains(&text.len()) && text.bytes().all(plain)).then(|| text.to_owned())
}

#[derive(Deserialize)]
struct Body {
    error: ErrorBody,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    /// Read for one phrase, and never shown.
    message: Option<String>,
}

impl ErrorBody {
    fn says(&self, phrase: &str) -> bool {
        self.message
            .as_ref()
            .is_some_and(|message| message.contains(phrase))
    }
}

/// Some objects say which mode they are of; a list's objects each do.
#[derive(Deserialize)]
struct Marked {
    livemode: Option<bool>,
    data: Option<Listed>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Listed {
    Items(Vec<Item>),
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Item {
    livemode: Option<bool>,
}

impl Marked {
    fn livemodes(&self) -> impl Iterator<Item = bool> {
        let items = match &self.data {
            Some(Listed::Items(items)) => items.as_slice(),
            _ => &[],
        };
        self.livemode
            .into_iter()
            .chain(items.iter().filter_map(|item| item.livemode))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(status: u16, body: &str) -> StripeError {
        let answer = Answer::new(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes().to_vec(),
        );
        answer.accepted(Mode::Test).err().expect("no success")
    }

    fn named(status: u16, body: &str) -> String {
        format!("{:?}", refused(status, body))
    }

    #[test]
    fn s07_what_does_not_say_whether_it_happened_is_no_refusal() {
        for status in [100, 301, 408, 424, 500, 502, 503, 504] {
            assert!(
                matches!(refused(status, "{}"), StripeError::Server { replayed: false, .. }),
                "{status}"
            );
        }
        for status in [409, 429] {
            assert!(
                matches!(refused(status, "{}"), StripeError::Busy { .. }),
                "{status}"
            );
        }
        for body in ["", "<html>blocked</html>", "{}", r#"{"error":"no"}"#, "[]"] {
            assert!(
                matches!(refused(400, body), StripeError::Undecodable { .. }),
                "{body}"
            );
            assert!(
                matches!(refused(404, body), StripeError::Undecodable { .. }),
                "{body}"
            );
        }
    }

    #[test]
    fn each_fault_of_a_key_is_told_apart() {
        let wrong = r#"{"error":{"type":"invalid_request_error","message":"Invalid API Key provided: sk_test_*1234"}}"#;
        assert!(matches!(refused(401, wrong), StripeError::KeyWrong));
        let expired = r#"{"error":{"type":"invalid_request_error","code":"api_key_expired","message":"Expired API Key provided: sk_test_*1234"}}"#;
        assert!(matches!(refused(401, expired), StripeError::KeyRevoked));
        let narrow = r#"{"error":{"type":"invalid_request_error","code":"more_permissions_required","message":"The provided key 'rk_live_*1234' does not have…"}}"#;
        assert!(matches!(refused(403, narrow), StripeError::NotPermitted { .. }));
        let other = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such payment_intent: 'pi_1'; a similar object exists in live mode, but a test mode key was used to make this request."}}"#;
        assert!(matches!(
            refused(404, other),
            StripeError::WrongMode { ours: Mode::Test }
        ));
        for (status, body) in [(401, wrong), (401, expired), (403, narrow), (404, other)] {
            let error = refused(status, body);
            assert!(error.needs_a_person());
            assert!(!format!("{error} {error:?}").contains("1234"), "{error:?}");
        }
    }

    #[test]
    fn a_refusal_shows_code_parameter_and_request_and_nothing_else_of_the_answer() {
        let body = r#"{"error":{"type":"card_error","code":"card_declined","param":"payment_method","message":"Card 4242 4242 was declined","payment_method":{"card":{"last4":"4242"}}}}"#;
        let shown = named(402, body);
        assert!(
            shown.contains("card_declined") && shown.contains("payment_method"),
            "{shown}"
        );
        assert!(!shown.contains("4242"), "{shown}");
        assert!(
            named(400, r#"{"error":{"type":"invalid_request_error"}}"#).contains("invalid_request_error")
        );
        assert!(named(400, r#"{"error":{"code":"a b\nc"}}"#).contains("unnamed"));
    }

    #[test]
    fn an_answer_of_the_other_mode_is_not_read() {
        let answer = |body: &str| Answer::new(StatusCode::OK, &HeaderMap::new(), body.as_bytes().to_vec());
        for (body, taken) in [
            (r#"{"livemode":false}"#, true),
            (r#"{"livemode":true}"#, false),
            (r#"{"data":[{"livemode":false},{"id":"x"}]}"#, true),
            (r#"{"data":[{"livemode":false},{"livemode":true}]}"#, false),
            (r#"{"data":{"object":{"livemode":true}},"livemode":false}"#, true),
            (r#"{"id":"re_1"}"#, true),
        ] {
            let read = answer(body).json_of::<serde_json::Value>(Mode::Test);
            assert_eq!(read.is_ok(), taken, "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_sorted(status in 100_u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let answer = Answer::new(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body);
            prop_assert_eq!(answer.accepted(Mode::Live).is_ok(), (200..300).contains(&status));
        }
    }
}
