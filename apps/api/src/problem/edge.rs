//! What the HTTP layer itself refuses, before or beside any use case.

use std::error::Error as StdError;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};

use super::FieldError;
use crate::limit::Quota;

type Cause = Box<dyn StdError + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// No detail: a client that holds a bad token learns that it is bad, an attacker not why.
    #[error("the request has no usable token")]
    Unauthenticated {
        token_sent: bool,
        #[source]
        cause: Option<Cause>,
    },
    /// It has no identity here, and must not get one (J18).
    #[error("the token is a machine's own: people call this API")]
    ServiceCaller,
    #[error("whether the token or signature is good cannot be told now")]
    KeysUnavailable(#[source] Cause),
    #[error("there is no such route")]
    NoRoute,
    #[error("this route does not know the method")]
    MethodNotAllowed { allow: String },
    #[error("there is no such {what}")]
    NotFound { code: &'static str, what: &'static str },
    #[error("the body is not JSON")]
    JsonMalformed { why: String },
    #[error("the body does not fit")]
    FieldInvalid { field: String, message: String },
    #[error("the body has a field that nobody reads")]
    FieldUnknown { field: String, message: String },
    #[error("send the body as application/json, without a content encoding")]
    ContentType,
    #[error("the body has more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the body broke off")]
    BodyIncomplete(#[source] Cause),
    #[error("a parameter of the query is wrong")]
    QueryInvalid { message: String },
    #[error("send an Idempotency-Key header")]
    IdempotencyKeyMissing,
    #[error("an Idempotency-Key is 1 to 255 visible ASCII characters")]
    IdempotencyKeyInvalid,
    #[error("send the ETag that was read as If-Match")]
    IfMatchMissing,
    #[error("If-Match is one ETag such as \"3\"")]
    IfMatchInvalid,
    #[error("too many requests")]
    RateLimited { quota: Quota, retry_after_s: u32 },
    #[error("too many failed sign-ins: wait")]
    SignInDelayed { retry_after_s: u32 },
    #[error("name one host")]
    HostInvalid,
    #[error("this host is not served here")]
    HostUnknown,
    #[error("pages of this origin may not call the API")]
    OriginNotAllowed,
    #[error("the headers have more than {bytes_max} bytes, or are more than {count_max}")]
    HeadersTooLarge { bytes_max: usize, count_max: usize },
    #[error("the body came too slowly")]
    BodyTooSlow,
    #[error("too many requests are being worked on")]
    Busy,
    #[error("the request took longer than allowed")]
    TimedOut,
    #[error("the delivery's signature does not hold")]
    BadSignature(#[source] Cause),
    #[error("the delivery is signed and is no event")]
    BadEvent(#[source] Cause),
    /// Over, or never was.
    #[error("there is no session any more")]
    SessionOver,
    #[error("another tab has a newer refresh token: ask again")]
    SessionSuperseded,
    #[error("a handler panicked")]
    Panic(#[source] Cause),
    #[error("the answer could not be written")]
    Render(#[source] Cause),
}

impl EdgeError {
    pub const WALLET_SIGN_IN_OFF: Self = Self::NotFound {
        code: "wallet_sign_in_off",
        what: "sign-in with a wallet here",
    };

    pub const SESSIONS_OFF: Self = Self::NotFound {
        code: "sessions_off",
        what: "session of browsers here",
    };
    pub const SESSION_NOT_FOUND: Self = Self::NotFound {
        code: "session_not_found",
        what: "session of yours",
    };

    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::ServiceCaller => "service_caller_refused",
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::NoRoute => "route_not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::NotFound { code, .. } => code,
            Self::JsonMalformed { .. } => "json_malformed",
            Self::FieldInvalid { .. } => "field_invalid",
            Self::FieldUnknown { .. } => "field_unknown",
            Self::ContentType => "content_type_unsupported",
            Self::TooLarge { .. } => "body_too_large",
            Self::BodyIncomplete(_) => "body_incomplete",
            Self::QueryInvalid { .. } => "query_invalid",
            Self::IdempotencyKeyMissing => "idempotency_key_missing",
            Self::IdempotencyKeyInvalid => "idempotency_key_invalid",
            Self::IfMatchMissing => "if_match_missing",
            Self::IfMatchInvalid => "if_match_invalid",
            Self::RateLimited { .. } => "rate_limited",
            Self::SignInDelayed { .. } => "sign_in_delayed",
            Self::HostInvalid => "host_invalid",
            Self::HostUnknown => "host_unknown",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::HeadersTooLarge { .. } => "headers_too_large",
            Self::BodyTooSlow => "body_too_slow",
            Self::Busy => "server_busy",
            Self::TimedOut => "request_timed_out",
            Self::BadSignature(_) => "webhook_signature_invalid",
            Self::BadEvent(_) => "webhook_event_invalid",
            Self::SessionOver => "session_over",
            Self::SessionSuperseded => "session_superseded",
            Self::Panic(_) | Self::Render(_) => "internal",
        }
    }

    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } | Self::SessionOver => StatusCode::UNAUTHORIZED,
            Self::SessionSuperseded => StatusCode::CONFLICT,
            Self::ServiceCaller | Self::OriginNotAllowed => StatusCode::FORBIDDEN,
            Self::KeysUnavailable(_) | Self::TimedOut | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoRoute | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::FieldInvalid { .. } | Self::FieldUnknown { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::JsonMalformed { .. }
            | Self::BodyIncomplete(_)
            | Self::QueryInvalid { .. }
            | Self::IdempotencyKeyMissing
            | Self::IdempotencyKeyInvalid
            | Self::IfMatchInvalid
            | Self::HostInvalid
            | Self::BadSignature(_)
            | Self::BadEvent(_) => StatusCode::BAD_REQUEST,
            Self::IfMatchMissing => StatusCode::PRECONDITION_REQUIRED,
            Self::RateLimited { .. } | Self::SignInDelayed { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::HostUnknown => StatusCode::MISDIRECTED_REQUEST,
            Self::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Panic(_) | Self::Render(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn detail(&self) -> Option<String> {
        match self {
            Self::Unauthenticated { .. } | Self::Panic(_) | Self::Render(_) => None,
            Self::JsonMalformed { why: message }
            | Self::QueryInvalid { message }
            | Self::FieldInvalid { message, .. }
            | Self::FieldUnknown { message, .. } => Some(message.clone()),
            other => Some(other.to_string()),
        }
    }

    pub(super) fn fields(&self) -> Vec<FieldError> {
        let (field, message) = match self {
            Self::FieldInvalid { field, message } | Self::FieldUnknown { field, message } => {
                (field.as_str(), message.clone())
            }
            Self::IdempotencyKeyMissing | Self::IdempotencyKeyInvalid => {
                ("Idempotency-Key", self.to_string())
            }
            Self::IfMatchMissing | Self::IfMatchInvalid => ("If-Match", self.to_string()),
            Self::ContentType => ("Content-Type", self.to_string()),
            _ => return Vec::new(),
        };
        let field = field.to_owned();
        vec![FieldError { field, message }]
    }

    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::Unauthenticated { token_sent, .. } => {
                let challenge = if *token_sent {
                    r#"Bearer error="invalid_token""#
                } else {
                    "Bearer"
                };
                vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge))]
            }
            Self::SessionOver => vec![(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))],
            Self::MethodNotAllowed { allow } => HeaderValue::from_str(allow)
                .map(|allow| (header::ALLOW, allow))
                .into_iter()
                .collect(),
            Self::RateLimited { quota, retry_after_s } => {
                crate::limit::headers(*quota, 0, Some(*retry_after_s))
            }
            Self::SignInDelayed { retry_after_s } => {
                vec![(header::RETRY_AFTER, HeaderValue::from(*retry_after_s))]
            }
            _ => Vec::new(),
        }
    }
}
