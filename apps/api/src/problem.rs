//! Every answer that says no: RFC 9457 documents, made here and nowhere else.

mod catalogue;
mod edge;

use std::error::Error as StdError;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use posx_kernel::{Kind, Refusal, Severity};
use serde::Serialize;

pub use catalogue::{ErrorRow, error_catalogue, errors_markdown};
pub use edge::EdgeError;

pub const CONTENT_TYPE: &str = "application/problem+json";
/// For what may heal by itself within moments.
const RETRY_AFTER_S: u32 = 2;

/// What the body of a refusal looks like.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:posx:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: &'static str,
    pub status: u16,
    /// What was wrong this time; never there when the fault is ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Stable: what a client branches on. `docs/errors.md` lists all of them.
    pub code: &'static str,
    /// `urn:request:` and the id that the logs carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Which fields of the input are at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// A JSON pointer without its first slash (`lines/0/quantity`), or the name of a header or parameter.
    pub field: String,
    pub message: String,
}

/// A refusal on its way out. The cause stays inside, for the log.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    fields: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    severity: Severity,
    cause: Box<dyn StdError + Send + Sync>,
}

impl ApiError {
    pub const fn code(&self) -> &'static str {
        self.code
    }

    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Everything that led here, for the log only.
    pub fn chain(&self) -> String {
        let mut chain = self.cause.to_string();
        let mut next = self.cause.source();
        while let Some(cause) = next {
            chain.push_str(": ");
            chain.push_str(&cause.to_string());
            next = cause.source();
        }
        chain
    }

    /// The same refusal under the name that the field has in this route's body.
    #[must_use]
    pub fn on_field(mut self, domain: &str, here: &str) -> Self {
        for error in self.fields.iter_mut().filter(|error| error.field == domain) {
            here.clone_into(&mut error.field);
        }
        self
    }

    /// The answer. `request_id` lets a person find the log lines of it.
    pub fn answer(&self, request_id: Option<&str>) -> HttpResponse {
        debug_assert!(
            catalogue::title(self.code, self.status).is_some(),
            "{} {} is not in the catalogue",
            self.status,
            self.code
        );
        let mut answer = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            answer.insert_header((name.clone(), value.clone()));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE && self.headers.is_empty() {
            answer.insert_header((header::RETRY_AFTER, RETRY_AFTER_S));
        }
        let body = ProblemBody {
            kind: format!("urn:posx:problem:{}", self.code),
            title: catalogue::title(self.code, self.status).unwrap_or("The request was refused."),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code,
            instance: request_id.map(|id| format!("urn:request:{id}")),
            errors: self.fields.clone(),
        };
        answer
            .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
            .json(body)
    }
}

/// The one table from a kind of refusal to a status.
const fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl<R: Refusal> From<R> for ApiError {
    fn from(refusal: R) -> Self {
        let (code, kind) = (refusal.code(), refusal.kind());
        let message = refusal.to_string();
        let fields = refusal.field().map(|field| FieldError {
            field: field.into_owned(),
            message: message.clone(),
        });
        // What a store or our own bug says is for the log.
        let speaks = kind != Kind::Internal && !code.starts_with("store_");
        Self {
            status: status_of(kind),
            code,
            detail: speaks.then_some(message),
            fields: fields.into_iter().collect(),
            headers: Vec::new(),
            severity: refusal.severity(),
            cause: Box::new(refusal),
        }
    }
}

impl From<EdgeError> for ApiError {
    fn from(error: EdgeError) -> Self {
        let status = error.status();
        let severity = match status.as_u16() {
            500 => Severity::Error,
            501.. => Severity::Warning,
            _ => Severity::Refusal,
        };
        Self {
            status,
            code: error.code(),
            detail: error.detail(),
            fields: error.fields(),
            headers: error.headers(),
            severity,
            cause: Box::new(error),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

/// actix asks for this before the middleware of [`crate::edge`] has seen the answer; that one adds the request's id.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        self.answer(None)
    }
}

#[cfg(test)]
mod tests;
