//! What happens around every request: its id, its place, its time limit, its log line, its headers, and its problem document.

pub mod connection;
mod cors;
mod gate;
mod headers;

use std::any::Any;
use std::ops::Deref;
use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse};
use futures::FutureExt as _;
use posx_kernel::Severity;
use tracing::Instrument as _;

use self::headers::Headers;
use crate::actor::RequestId;
use crate::limit::Counted;
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;

/// Without the state, which only tests leave out.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The outermost middleware.
pub async fn around<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let _busy = connection::busy(&request);
    let id = request_id(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = known_method(request.method());
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let span = tracing::info_span!("request", request_id = %id, site = tracing::field::Empty, method, route);
    let answer = answer(request, next, &id).instrument(span.clone()).await;
    let status = answer
        .as_ref()
        .map_or_else(ApiError::status, ServiceResponse::status);
    span.in_scope(|| note(status, method, &route, began.elapsed()));
    Ok(answer?)
}

/// actix lends the request to the routes alone, so a panic or a timeout loses it: those answers are made of the error.
async fn answer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    id: &str,
) -> Result<ServiceResponse<BoxBody>, ApiError> {
    let api = request.app_data::<Api>().cloned();
    let mut headers = headers::of(request.request(), api.as_deref().map(Deref::deref));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.push((REQUEST_ID, id));
    }
    let within = api.as_ref().map_or(ANSWER_WITHIN, |api| {
        Duration::from_secs(u64::from(api.settings.request_timeout_s))
    });
    let handled = AssertUnwindSafe(handle(request, next, api.as_ref(), &mut headers)).catch_unwind();
    let result = match tokio::time::timeout(within, handled).await {
        Ok(Ok(result)) => result.map_err(|error| EdgeError::Render(error.to_string().into())),
        Ok(Err(panic)) => Err(EdgeError::Panic(panic_text(panic.as_ref()).into())),
        Err(_) => Err(EdgeError::TimedOut),
    };
    let mut answer = match result {
        Ok(answer) => answer,
        Err(error) => {
            let refusal = ApiError::from(error);
            log(&refusal);
            return Err(refusal.sent_alone(id, headers));
        }
    };
    let refusal = answer
        .response()
        .error()
        .and_then(|error| error.as_error::<ApiError>());
    let problem = refusal.map(|refusal| {
        log(refusal);
        refusal.answer(Some(id))
    });
    if let Some(problem) = problem {
        answer = answer.into_response(problem);
    }
    set_headers(&mut answer, headers);
    Ok(answer)
}

/// The gate, then the route. `headers` get what only the site can say of the answer, which stays when the route panics.
async fn handle<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
    api: Option<&Api>,
    headers: &mut Headers,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(api) = api else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    let _place = match gate::place(request.request(), api) {
        Ok(place) => place,
        Err(busy) => return Ok(request.error_response(ApiError::from(busy))),
    };
    match admit(request.request(), api, headers).await {
        Ok(None) => next.call(request).await.map(ServiceResponse::map_into_boxed_body),
        Ok(Some(preflight)) => Ok(request.into_response(preflight)),
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

async fn admit(
    req: &HttpRequest,
    api: &Api,
    headers: &mut Headers,
) -> Result<Option<HttpResponse>, ApiError> {
    gate::head_is_small(req)?;
    gate::host_is_ours(req, api).await?;
    headers.extend(cors::headers(req, api).await);
    cors::preflight(req, api).await
}

/// The one place where a refusal is logged, with everything that led to it.
fn log(refusal: &ApiError) {
    let (code, chain) = (refusal.code(), refusal.chain());
    match refusal.severity() {
        Severity::Refusal => tracing::debug!(code, chain, "refused"),
        Severity::Warning => tracing::warn!(code, chain, "not possible now"),
        Severity::Error => tracing::error!(code, chain, "failed"),
    }
    metrics::counter!("posx_http_refusals_total", "code" => code).increment(1);
}

fn set_headers(answer: &mut ServiceResponse<BoxBody>, headers: Headers) {
    let counted = answer
        .request()
        .extensions()
        .get::<Counted>()
        .map(Counted::headers);
    let to = answer.headers_mut();
    headers::add(to, headers);
    headers::add(to, counted.unwrap_or_default());
}

fn note(status: StatusCode, method: &'static str, route: &str, took: Duration) {
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

#[cfg(test)]
mod tests {
    use actix_web::http::header;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service};
    use actix_web::{App, web};

    use super::*;

    async fn boom() -> &'static str {
        panic!("a bug")
    }

    #[actix_web::test]
    async fn a_panic_is_a_problem_document_without_its_text() {
        let app = App::new()
            .route("/boom", web::get().to(boom))
            .wrap(from_fn(around));
        let app = init_service(app).await;
        let request = TestRequest::get()
            .uri("/boom")
            .insert_header((REQUEST_ID, "r-9"))
            .to_request();
        let error = actix_web::dev::Service::call(&app, request)
            .await
            .expect_err("an error that actix answers");
        let answer = error.error_response();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            answer.headers().get(REQUEST_ID).map(HeaderValue::as_bytes),
            Some(&b"r-9"[..])
        );
        assert!(answer.headers().contains_key(header::CONTENT_SECURITY_POLICY));
        let body = actix_web::body::to_bytes(answer.into_body())
            .await
            .expect("a body");
        let body = String::from_utf8_lossy(&body);
        assert!(
            body.contains("urn:request:r-9") && !body.contains("a bug"),
            "{body}"
        );
    }
}
