//! What a provider's refusal means. Its message may quote the prompt: it is looked at, and never kept.

use chrono::TimeDelta;
use posx_assistant::ModelError;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
const CODE_CHARACTERS_MAX: usize = 64;

/// OpenAI's and Anthropic's error, in a body or in a stream.
#[derive(Deserialize, Default)]
pub(crate) struct ErrorBody {
    #[serde(default)]
    code: Option<serde_json::Value>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
struct Wrapped {
    error: ErrorBody,
}

pub(crate) fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ModelError {
    let body =
        serde_json::from_slice::<Wrapped>(body).map_or_else(|_| ErrorBody::default(), |body| body.error);
    if body.says_out_of_credit() {
        return ModelError::OutOfCredit;
    }
    match status.as_u16() {
        401 | 403 => ModelError::NotAuthorized,
        402 => ModelError::OutOfCredit,
        404 => ModelError::UnknownModel,
        413 => ModelError::TooLong,
        429 => ModelError::RateLimited {
            retry_after: retry_after(headers),
        },
        400 | 422 if body.says_too_long() => ModelError::TooLong,
        code @ 500.. => match retry_after(headers) {
            Some(retry_after) if matches!(code, 503 | 529) => ModelError::Overloaded { retry_after },
            _ => {
                let said = format!("{status} {}", body.shown_code().unwrap_or_default());
                ModelError::Unavailable(said.trim_end().to_owned().into())
            }
        },
        _ => ModelError::Refused {
            code: body
                .shown_code()
                .unwrap_or_else(|| format!("http_{}", status.as_u16())),
        },
    }
}

impl ErrorBody {
    /// Of an error that came in a stream that had begun with 200. A refusal that names itself has made nothing; whatever else breaks
    /// there may have.
    pub(crate) fn in_stream(&self) -> ModelError {
        let (code, kind) = (self.code(), self.kind.as_deref().unwrap_or_default());
        if self.says_out_of_credit() {
            ModelError::OutOfCredit
        } else if code == "rate_limit_exceeded" || kind == "rate_limit_error" {
            ModelError::RateLimited { retry_after: None }
        } else if self.says_too_long() {
            ModelError::TooLong
        } else if kind == "invalid_request_error" {
            ModelError::Refused {
                code: self.shown_code().unwrap_or_else(|| kind.to_owned()),
            }
        } else {
            let said = self.shown_code();
            ModelError::Broken(said.unwrap_or_else(|| "an error in the stream".to_owned()).into())
        }
    }

    fn code(&self) -> &str {
        self.code
            .as_ref()
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    }

    /// A 429 of OpenAI and a 400 of Anthropic mean it as well, so not by the status.
    fn says_out_of_credit(&self) -> bool {
        let (code, kind) = (self.code(), self.kind.as_deref().unwrap_or_default());
        [code, kind].iter().any(|name| {
            matches!(
                *name,
                "insufficient_quota"
                    | "billing_hard_limit_reached"
                    | "credit_balance_exhausted"
                    | "billing_error"
            )
        }) || self.message_has(&["credit balance is too low"])
    }

    /// OpenAI has a code for it; Anthropic and local servers have words.
    fn says_too_long(&self) -> bool {
        matches!(self.code(), "context_length_exceeded" | "string_above_max_length")
            || self.kind.as_deref() == Some("request_too_large")
            || self.message_has(&["prompt is too long", "maximum context length", "context window"])
    }

    fn message_has(&self, words: &[&str]) -> bool {
        let message = self.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        words.iter().any(|words| message.contains(words))
    }

    /// A name, and not a sentence that quotes somebody.
    fn shown_code(&self) -> Option<String> {
        let name = |text: &str| {
            let short = (1..=CODE_CHARACTERS_MAX).contains(&text.len());
            let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            (short && plain).then(|| text.to_owned())
        };
        name(self.code()).or_else(|| name(self.kind.as_deref()?))
    }
}

/// In seconds, or in milliseconds where OpenAI says it more exactly. A date is not read: nobody sends one.
fn retry_after(headers: &HeaderMap) -> Option<TimeDelta> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|millis| millis / 1_000.0)
        .or_else(|| number(RETRY_AFTER.as_str()))?;
    if !(0.0..=86_400.0).contains(&seconds) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a day has 86,400,000 milliseconds at most"
    )]
    let millis = (seconds * 1_000.0).ceil() as i64;
    Some(TimeDelta::milliseconds(millis))
}
