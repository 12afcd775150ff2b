//! Every answer that says no: RFC 9457 documents, made here and nowhere else.

mod catalogue;
mod edge;
mod hint;

use std::error::Error as StdError;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use posx_kernel::{Kind, Refusal, Severity};
use serde::Serialize;

pub use catalogue::{ErrorRow, error_catalogue, errors_markdown};
pub use edge::EdgeError;
pub use hint::{ApprovalHint, ChatSession, SecondFactorHint, SecondFactorWay};

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
    /// With `second_factor_needed`: how to prove one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<SecondFactorHint>,
    /// With `approval_needed`: what a second person can approve now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalHint>,
    /// Of a visitor whose first question was refused: the session has begun all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<ChatSession>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// A JSON pointer without its first slash (`lines/0/quantity`), or the name of a header or parameter.
    pub field: String,
    pub message: String,
}

/// A refusal on its way out. The cause stays inside, for the log.
#[derive(Debug)]
pub struct ApiError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    fields: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    second_factor: Option<SecondFactorHint>,
    approval: Option<ApprovalHint>,
    session: Option<ChatSession>,
    /// For an error that is answered without the middleware.
    request_id: Option<String>,
    severity: Severity,
    cause: Box<dyn StdError + Send + Sync>,
}

impl ApiError {
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    pub fn severity(&self) -> Severity {
        self.0.severity
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// With what the middleware would add to the answer.
    #[must_use]
    pub fn sent_alone(mut self, request_id: &str, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.0.headers.extend(headers);
        if let Ok(id) = HeaderValue::from_str(request_id) {
            self.0.headers.push((crate::edge::REQUEST_ID, id));
        }
        self.0.request_id = Some(request_id.to_owned());
        self
    }

    /// Everything that led here, for the log only.
    pub fn chain(&self) -> String {
        let mut chain = self.0.cause.to_string();
        let mut next = self.0.cause.source();
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
        for error in self.0.fields.iter_mut().filter(|error| error.field == domain) {
            here.clone_into(&mut error.field);
        }
        self
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    #[must_use]
    pub fn with_second_factor(mut self, hint: SecondFactorHint) -> Self {
        self.0.second_factor = Some(hint);
        self
    }

    #[must_use]
    pub fn with_approval(mut self, hint: ApprovalHint) -> Self {
        self.0.approval = Some(hint);
        self
    }

    #[must_use]
    pub fn with_session(mut self, session: ChatSession) -> Self {
        self.0.session = Some(session);
        self
    }

    /// The answer. `request_id` lets a person find the log lines of it.
    pub fn answer(&self, request_id: Option<&str>) -> HttpResponse {
        debug_assert!(
            catalogue::title(self.0.code, self.0.status).is_some(),
            "{} {} is not in the catalogue",
            self.0.status,
            self.0.code
        );
        let mut answer = HttpResponse::build(self.0.status);
        for (name, value) in &self.0.headers {
            answer.insert_header((name.clone(), value.clone()));
        }
        if self.0.status == StatusCode::SERVICE_UNAVAILABLE {
            answer.insert_header((header::RETRY_AFTER, RETRY_AFTER_S));
        }
        let body = ProblemBody {
            kind: format!("urn:posx:problem:{}", self.0.code),
            title: catalogue::title(self.0.code, self.0.status).unwrap_or("The request was refused."),
            status: self.0.status.as_u16(),
            detail: self.0.detail.clone(),
            code: self.0.code,
            instance: request_id.map(|id| format!("urn:request:{id}")),
            errors: self.0.fields.clone(),
            second_factor: self.0.second_factor.clone(),
            approval: self.0.approval.clone(),
            session: self.0.session.clone(),
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
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UsedUp => StatusCode::TOO_MANY_REQUESTS,
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
        let retry_after = refusal
            .retry_after_s()
            .map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
        Self(Box::new(Parts {
            status: status_of(kind),
            code,
            detail: speaks.then_some(message),
            fields: fields.into_iter().collect(),
            headers: retry_after.into_iter().collect(),
            second_factor: None,
            approval: None,
            session: None,
            request_id: None,
            severity: refusal.severity(),
            cause: Box::new(refusal),
        }))
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
        Self(Box::new(Parts {
            status,
            code: error.code(),
            detail: error.detail(),
            fields: error.fields(),
            headers: error.headers(),
            second_factor: None,
            approval: None,
            session: None,
            request_id: None,
            severity,
            cause: Box::new(error),
        }))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

/// actix asks for this before the middleware of [`crate::edge`] has seen the answer; that one adds the request's id.
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    fn error_response(&self) -> HttpResponse {
        self.answer(self.0.request_id.as_deref())
    }
}

#[cfg(test)]
mod tests;
