use serde_json::{Value, json};

/// A refusal of the payment provider, as its API words it: <https://docs.stripe.com/api/errors>.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub status: u16,
    /// `invalid_request_error`, `card_error`, `idempotency_error` or `api_error`.
    pub kind: &'static str,
    pub code: Option<String>,
    pub decline_code: Option<&'static str>,
    pub param: Option<&'static str>,
    pub message: String,
    /// The intent as it is, when that is why.
    pub(super) intent: Option<Box<Value>>,
}

impl ApiError {
    fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            kind,
            code: None,
            decline_code: None,
            param: None,
            message: message.into(),
            intent: None,
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    pub(super) fn parameter(param: &'static str, code: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            ..Self::invalid(message).code(code)
        }
    }

    pub(super) fn missing(param: &'static str) -> Self {
        Self::parameter(
            param,
            "parameter_missing",
            format!("Missing required param: {param}."),
        )
    }

    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self {
            status: 404,
            ..Self::parameter("id", "resource_missing", format!("No such {what}: '{id}'"))
        }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "invalid_request_error", "Invalid API Key provided.")
    }

    pub(super) fn idempotency(message: &str) -> Self {
        Self::new(400, "idempotency_error", message)
    }

    pub(super) fn key_in_use() -> Self {
        Self {
            status: 409,
            ..Self::idempotency("There is currently another in-progress request using this Idempotency Key.")
                .code("idempotency_key_in_use")
        }
    }

    pub(super) fn rate_limited() -> Self {
        Self {
            status: 429,
            ..Self::invalid("Too many requests in too short a time.").code("rate_limit")
        }
    }

    pub(super) fn server(status: u16) -> Self {
        Self::new(
            status,
            "api_error",
            "An unknown error occurred. Check its state before you try again.",
        )
    }

    pub(super) fn unexpected_state(intent: Value) -> Self {
        let status = intent["status"].as_str().unwrap_or_default().to_owned();
        Self {
            intent: Some(Box::new(intent)),
            ..Self::invalid(format!(
                "The PaymentIntent's status of {status} does not allow this."
            ))
            .code("payment_intent_unexpected_state")
        }
    }

    pub(super) fn declined(decline_code: &'static str, intent: Value) -> Self {
        Self {
            decline_code: Some(decline_code),
            intent: Some(Box::new(intent)),
            ..Self::new(402, "card_error", "Your card was declined.").code("card_declined")
        }
    }

    pub(super) fn code(self, code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            ..self
        }
    }

    pub(super) fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        let texts = [
            ("code", self.code.as_deref()),
            ("decline_code", self.decline_code),
            ("param", self.param),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                error[name] = text.into();
            }
        }
        if let Some(intent) = &self.intent {
            error["payment_intent"] = (**intent).clone();
        }
        json!({ "error": error })
    }
}
