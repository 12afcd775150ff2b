//! Which pages of other origins may read the answers: those that the site lists, compared exactly.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use posx_tenancy::Origin;

use super::headers::Headers;
use crate::named_site::{self, knows_origin};
use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";
const HEADERS: &str =
    "authorization, content-type, idempotency-key, if-match, x-device-token, x-request-id, x-site-code";
const EXPOSED: &str =
    "etag, idempotent-replayed, location, ratelimit, ratelimit-policy, retry-after, x-request-id";
/// Seconds; an origin that is taken off the list is asked about again within this time.
const MAX_AGE: &str = "600";

/// For any answer: whether the page that asked may read it. A refusal too, so it is decided before anything else.
pub async fn headers(req: &HttpRequest, api: &ApiState) -> Headers {
    let mut headers = vec![(header::VARY, HeaderValue::from_static("Origin"))];
    let Some(origin) = origin(req) else {
        return headers;
    };
    // A site that cannot be told lists nobody.
    if let Ok(Some(site)) = named_site::of(req, api).await
        && site.cors_origins.contains(&origin)
    {
        headers.extend(allow(&origin));
        headers.push(fixed(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED));
    }
    headers
}

/// The answer to a browser that asks whether it may ask; `None` for any other request. Nobody is signed in here, and the site
/// may be named only by the request that follows: then any site's origin may go on, and is looked at again with the site.
pub async fn preflight(req: &HttpRequest, api: &ApiState) -> Result<Option<HttpResponse>, ApiError> {
    let asks = req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if req.method() != Method::OPTIONS || !asks {
        return Ok(None);
    }
    let origin = origin(req).ok_or(EdgeError::OriginNotAllowed)?;
    let listed = match named_site::of(req, api).await? {
        Some(site) => site.cors_origins.contains(&origin),
        None => knows_origin(req, api, &origin).await?,
    };
    if !listed {
        return Err(EdgeError::OriginNotAllowed.into());
    }
    let mut answer = HttpResponse::NoContent();
    let more = [
        fixed(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        fixed(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        fixed(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        fixed(
            header::VARY,
            "Access-Control-Request-Method, Access-Control-Request-Headers",
        ),
    ];
    for (name, value) in allow(&origin).into_iter().chain(more) {
        answer.insert_header((name, value));
    }
    Ok(Some(answer.finish()))
}

/// With credentials, because the cookie of a session may come along; it authorises nothing but its own renewal.
fn allow(origin: &Origin) -> Headers {
    HeaderValue::from_str(origin.as_str())
        .map(|origin| (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin))
        .into_iter()
        .chain([fixed(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true")])
        .collect()
}

fn fixed(name: HeaderName, value: &'static str) -> (HeaderName, HeaderValue) {
    (name, HeaderValue::from_static(value))
}

fn origin(req: &HttpRequest) -> Option<Origin> {
    let mut sent = req.headers().get_all(header::ORIGIN);
    let first = sent.next()?.to_str().ok()?;
    if sent.next().is_some() {
        return None;
    }
    Origin::parse(first)
}
