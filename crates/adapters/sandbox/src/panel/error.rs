use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::keys::KeyError;
use crate::payments::ApiError;

/// Why the panel did nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum PanelError {
    #[error("the panel's key goes into the header `Authorization: Bearer …`")]
    Unauthorized,
    #[error("the body is no JSON object: {0}")]
    Malformed(String),
    #[error("{message}")]
    Field { field: String, message: String },
    #[error("there is no such {what}")]
    NotFound { what: &'static str },
    /// Not in the state that things are in.
    #[error("{0}")]
    Conflict(String),
    #[error("no key could be made")]
    Key(#[from] KeyError),
}

impl PanelError {
    pub(super) fn field(field: &str, message: impl Into<String>) -> Self {
        Self::Field {
            field: field.to_owned(),
            message: message.into(),
        }
    }

    fn words(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "json_malformed"),
            Self::Field { .. } => (StatusCode::BAD_REQUEST, "field_invalid"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict"),
            Self::Key(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// A provider's refusal is the panel's, less what it says of the object: that bears a secret.
impl From<ApiError> for PanelError {
    fn from(error: ApiError) -> Self {
        Self::Conflict(error.message)
    }
}

impl IntoResponse for PanelError {
    fn into_response(self) -> Response {
        let (status, code) = self.words();
        let mut body = json!({ "code": code, "message": self.to_string() });
        if let Self::Field { field, .. } = &self {
            body["field"] = field.as_str().into();
        }
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
