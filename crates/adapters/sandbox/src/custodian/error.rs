use serde_json::{Value, json};

/// A refusal of the custodian, as its API words it: a status, a number and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CustodianError {
    pub status: u16,
    pub code: i64,
    pub message: String,
}

/// The documented refusal of an external id that was used before.
pub(super) const DUPLICATE: i64 = 1438;

impl CustodianError {
    pub(super) fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, 4000, message)
    }

    pub(super) fn duplicate() -> Self {
        Self::new(
            400,
            DUPLICATE,
            "The external tx id that was provided in the request, already exists",
        )
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, 1404, "The transaction was not found")
    }

    pub(super) fn no_wallet() -> Self {
        Self::new(404, 1006, "The asset was not found in the vault account")
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, -7, "Unauthorized: the API key is not known")
    }

    pub(super) fn spent_key() -> Self {
        Self::new(
            400,
            4001,
            "This operation doesn't support the usage of the same idempotency key after an internal error",
        )
    }

    pub(super) fn server(status: u16) -> Self {
        Self::new(status, -1, "Internal error")
    }

    pub(super) fn body(&self) -> Value {
        json!({ "message": self.message, "code": self.code })
    }
}
