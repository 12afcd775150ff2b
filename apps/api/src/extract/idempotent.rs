//! Requests that may be repeated: the Idempotency-Key header, and what makes two requests the same.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder};
use aws_lc_rs::digest::{Context, SHA256};
use posx_kernel::{IdempotentCall, Made, Timestamp, Who};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Extracting, json};
use crate::problem::{ApiError, EdgeError};

pub const KEY_HEADER: &str = "idempotency-key";
/// On an answer that was given before.
pub const REPLAYED: (&str, &str) = ("idempotent-replayed", "true");

/// The answer to a call that creates one thing, now or when it was sent before.
pub fn created<Id>(made: &Made<Id>) -> HttpResponseBuilder {
    let mut response = HttpResponse::Created();
    if made.replayed {
        response.insert_header(REPLAYED);
    }
    response
}

/// A JSON body under a key.
#[derive(Debug)]
pub struct Idempotent<T> {
    pub body: T,
    labelled: Labelled,
}

/// A request under a key that has no body.
#[derive(Debug)]
pub struct IdempotentPath(Labelled);

#[derive(Debug)]
struct Labelled {
    key: String,
    fingerprint: [u8; 32],
}

impl<T> Idempotent<T> {
    pub fn call(&self, actor: Who, operation: &'static str, at: Timestamp) -> IdempotentCall {
        self.labelled.call(actor, operation, at)
    }
}

impl IdempotentPath {
    pub fn call(&self, actor: Who, operation: &'static str, at: Timestamp) -> IdempotentCall {
        self.0.call(actor, operation, at)
    }
}

impl Labelled {
    fn call(&self, actor: Who, operation: &'static str, at: Timestamp) -> IdempotentCall {
        let (actor, key) = (actor.to_string(), self.key.clone());
        IdempotentCall {
            actor,
            operation,
            key,
            fingerprint: self.fingerprint,
            at,
        }
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Idempotent<T> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let key = key(&req)?;
            let bytes = json::read(&req, payload).await?;
            let body = json::parse(&bytes)?;
            let fingerprint = fingerprint(&req, &json::parse(&bytes)?);
            Ok(Self {
                body,
                labelled: Labelled { key, fingerprint },
            })
        })
    }
}

impl FromRequest for IdempotentPath {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let fingerprint = fingerprint(req, &Value::Null);
        let labelled = key(req).map(|key| Self(Labelled { key, fingerprint }));
        Box::pin(async move { Ok(labelled?) })
    }
}

fn key(req: &HttpRequest) -> Result<String, EdgeError> {
    let mut sent = req.headers().get_all(KEY_HEADER);
    let key = sent.next().ok_or(EdgeError::IdempotencyKeyMissing)?;
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
    match (key, sent.next()) {
        (Some(key), None) => Ok(key.to_owned()),
        _ => Err(EdgeError::IdempotencyKeyInvalid),
    }
}

/// Method, path and body; the order of members and white space do not make another request.
fn fingerprint(req: &HttpRequest, body: &Value) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in [req.method().as_str(), req.path(), &body.to_string()] {
        context.update(part.as_bytes());
        context.update(b"\n");
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_the_same_whatever_the_order_of_its_members() {
        let req = TestRequest::post().uri("/api/v1/orders").to_http_request();
        let of = |text: &str| fingerprint(&req, &serde_json::from_str(text).expect("JSON"));
        assert_eq!(of(r#"{"a":1,"b":2}"#), of(r#"{ "b": 2, "a": 1 }"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        let other = TestRequest::post().uri("/api/v1/orders/x").to_http_request();
        assert_ne!(fingerprint(&other, &json!({})), fingerprint(&req, &json!({})));
    }

    #[test]
    fn a_key_is_visible_ascii_and_comes_once() {
        let of = |keys: &[&str]| {
            let req = keys.iter().fold(TestRequest::post(), |req, one| {
                req.append_header((KEY_HEADER, *one))
            });
            key(&req.to_http_request()).map_err(|error| error.code())
        };
        assert_eq!(of(&[]), Err("idempotency_key_missing"));
        assert_eq!(of(&["a-1"]), Ok("a-1".to_owned()));
        for bad in [&["a", "b"][..], &[""], &["a b"], &[&"x".repeat(256)]] {
            assert_eq!(of(bad), Err("idempotency_key_invalid"), "{bad:?}");
        }
    }
}
