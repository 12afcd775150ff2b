//! What happens around every request: its id, its time limit, its log line, its headers, and its problem document.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest};
use futures::FutureExt as _;
use posx_kernel::Severity;
use tracing::Instrument as _;

use crate::limit::Counted;
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;

/// Nothing in an answer of the API is to be run, framed or loaded.
const CSP_API: &str = "default-src 'none'; frame-ancestors 'none'";
/// The page brings its own scripts and styles, and talks to this server only.
const CSP_DOCS: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The outermost middleware.
pub async fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let id = request_id(&request);
    let method = known_method(request.method());
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let span = tracing::info_span!("request", request_id = %id, site = tracing::field::Empty, method, route);
    let answer = answer(request, next, &id).instrument(span.clone()).await;
    span.in_scope(|| note(&answer, method, &route, began.elapsed()));
    Ok(answer)
}

async fn answer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    id: &str,
) -> ServiceResponse<BoxBody> {
    let req = request.request().clone();
    let limit = req.app_data::<Api>().map_or(Duration::from_secs(30), |api| {
        Duration::from_secs(u64::from(api.settings.request_timeout_s))
    });
    let handled = AssertUnwindSafe(next.call(request)).catch_unwind();
    let result = match tokio::time::timeout(limit, handled).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(ApiError::from(EdgeError::Panic(panic_text(panic.as_ref()).into())).into()),
        Err(_) => Err(ApiError::from(EdgeError::TimedOut).into()),
    };
    let mut answer = match result {
        Ok(answer) => match answer
            .response()
            .error()
            .and_then(|error| error.as_error::<ApiError>())
        {
            Some(refusal) => {
                let problem = refuse(refusal, id);
                ServiceResponse::new(req.clone(), problem)
            }
            None => answer.map_into_boxed_body(),
        },
        Err(error) => {
            let problem = match error.as_error::<ApiError>() {
                Some(refusal) => refuse(refusal, id),
                None => refuse(&EdgeError::Render(error.to_string().into()).into(), id),
            };
            ServiceResponse::new(req.clone(), problem)
        }
    };
    set_headers(&req, answer.headers_mut(), id);
    answer
}

/// The one place where a refusal is logged, with everything that led to it.
fn refuse(refusal: &ApiError, id: &str) -> actix_web::HttpResponse {
    let (code, chain) = (refusal.code(), refusal.chain());
    match refusal.severity() {
        Severity::Refusal => tracing::debug!(code, chain, "refused"),
        Severity::Warning => tracing::warn!(code, chain, "not possible now"),
        Severity::Error => tracing::error!(code, chain, "failed"),
    }
    metrics::counter!("posx_http_refusals_total", "code" => code).increment(1);
    refusal.answer(Some(id))
}

fn set_headers(req: &HttpRequest, headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = if req.path().starts_with("/docs/") {
        CSP_DOCS
    } else {
        CSP_API
    };
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if let Some(counted) = req.extensions().get::<Counted>() {
        for (name, value) in counted.headers() {
            if !headers.contains_key(&name) {
                headers.insert(name, value);
            }
        }
    }
}

fn note(answer: &ServiceResponse<BoxBody>, method: &'static str, route: &str, took: Duration) {
    let status = answer.status();
    let labels = [
        ("method", method.to_owned()),
        ("route", route.to_owned()),
        ("status", status.as_str().to_owned()),
    ];
    metrics::counter!("posx_http_requests_total", &labels).increment(1);
    metrics::histogram!("posx_http_request_duration_seconds", &labels[..2]).record(took);
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if route == "/health" && status == StatusCode::OK {
        tracing::debug!(status = status.as_u16(), took_ms, "answered");
    } else {
        tracing::info!(status = status.as_u16(), took_ms, "answered");
    }
}

/// The caller's own id if it can stand in a log, else a new one.
fn request_id(request: &ServiceRequest) -> String {
    let sent = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .filter(|id| {
            (1..=REQUEST_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        });
    match (sent, request.app_data::<Api>()) {
        (Some(id), _) => id.to_owned(),
        (None, Some(api)) => api.ids.uuid(api.clock.now()).simple().to_string(),
        (None, None) => "none".to_owned(),
    }
}

/// A method is a label of a metric: a client cannot invent one.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic".to_owned())
}
