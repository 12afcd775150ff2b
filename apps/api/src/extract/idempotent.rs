//! Requests that may be repeated: the Idempotency-Key header, and what makes two requests the same.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, HttpResponseBuilder};
use aws_lc_rs::digest::{Context, SHA256};
use posx_kernel::{ApprovalId, IdempotentCall, Made, Review, Timestamp, Who};
use posx_tenancy::ReviewedRequest;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Extracting, json};
use crate::problem::{ApiError, EdgeError};

pub const KEY_HEADER: &str = "idempotency-key";
/// Names the approval of a second person.
pub const APPROVAL_HEADER: &str = "approval";
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

/// A request that has no body and may need a second person. It can be repeated anyway; with an approval, that is its key.
#[derive(Debug)]
pub struct ReviewedPath(Labelled);

/// What makes two requests the same, and what a second person agrees to.
#[derive(Debug)]
pub struct Labelled {
    key: String,
    pub request: ReviewedRequest,
    pub approval: Option<ApprovalId>,
}

impl<T> Idempotent<T> {
    pub const fn labelled(&self) -> &Labelled {
        &self.labelled
    }

    pub fn call(&self, actor: Who, operation: &'static str, at: Timestamp) -> IdempotentCall {
        self.labelled.call(actor, operation, at)
    }
}

impl IdempotentPath {
    pub const fn labelled(&self) -> &Labelled {
        &self.0
    }

    pub fn call(&self, actor: Who, operation: &'static str, at: Timestamp) -> IdempotentCall {
        self.0.call(actor, operation, at)
    }
}

impl ReviewedPath {
    pub const fn labelled(&self) -> &Labelled {
        &self.0
    }
}

impl Labelled {
    fn of(req: &HttpRequest, key: String, body: &Value) -> Result<Self, EdgeError> {
        Ok(Self {
            key,
            request: reviewed_request(req, body),
            approval: approval(req)?,
        })
    }

    pub fn call(&self, actor: Who, operation: &'static str, at: Timestamp) -> IdempotentCall {
        let (actor, key) = (actor.to_string(), self.key.clone());
        IdempotentCall {
            actor,
            operation,
            key,
            fingerprint: self.request.hash,
            review: Review::NotNeeded,
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
            let labelled = Labelled::of(&req, key, &json::parse(&bytes)?)?;
            Ok(Self { body, labelled })
        })
    }
}

impl FromRequest for IdempotentPath {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let labelled = key(req).and_then(|key| Labelled::of(req, key, &Value::Null));
        Box::pin(async move { Ok(Self(labelled?)) })
    }
}

impl FromRequest for ReviewedPath {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let labelled = approval(req).and_then(|approval| {
            let key = approval.map_or_else(String::new, |approval| approval.to_string());
            Labelled::of(req, key, &Value::Null)
        });
        Box::pin(async move { Ok(Self(labelled?)) })
    }
}

/// What is no id names nothing.
fn approval(req: &HttpRequest) -> Result<Option<ApprovalId>, EdgeError> {
    let mut sent = req.headers().get_all(APPROVAL_HEADER);
    let Some(first) = sent.next() else {
        return Ok(None);
    };
    let named = first.to_str().ok().and_then(|text| text.parse().ok());
    match (named, sent.next()) {
        (Some(id), None) => Ok(Some(id)),
        _ => Err(EdgeError::NotFound {
            code: "approval_not_found",
            what: "approval",
        }),
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
fn reviewed_request(req: &HttpRequest, body: &Value) -> ReviewedRequest {
    let (method, path, body) = (req.method().as_str(), req.path(), body.to_string());
    let mut context = Context::new(&SHA256);
    for part in [method, path, &body] {
        context.update(part.as_bytes());
        context.update(b"\n");
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    ReviewedRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        body,
        hash,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_the_same_whatever_the_order_of_its_members() {
        let req = TestRequest::post().uri("/api/v1/orders").to_http_request();
        let of = |text: &str| reviewed_request(&req, &serde_json::from_str(text).expect("JSON")).hash;
        assert_eq!(of(r#"{"a":1,"b":2}"#), of(r#"{ "b": 2, "a": 1 }"#));
        assert_ne!(of(r#"{"a":1}"#), of(r#"{"a":2}"#));
        let other = TestRequest::post().uri("/api/v1/orders/x").to_http_request();
        let hash = |req| reviewed_request(req, &json!({})).hash;
        assert_ne!(hash(&other), hash(&req));
        let put = TestRequest::put().uri("/api/v1/orders").to_http_request();
        assert_ne!(hash(&put), hash(&req));
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

    #[test]
    fn an_approval_is_named_once_by_its_id() {
        let of = |named: &[&str]| {
            let req = named.iter().fold(TestRequest::post(), |req, one| {
                req.append_header((APPROVAL_HEADER, *one))
            });
            approval(&req.to_http_request()).map_err(|error| error.code())
        };
        let id = ApprovalId::from_uuid(uuid::Uuid::from_u128(7));
        let text = id.to_string();
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[&text]), Ok(Some(id)));
        for bad in [&[text.as_str(), &text][..], &["ord_1"], &[""]] {
            assert_eq!(of(bad), Err("approval_not_found"), "{bad:?}");
        }
    }
}
