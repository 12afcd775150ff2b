//! What an answer means: <https://developers.fireblocks.com/reference/api-error-codes>.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::FireblocksError;

/// "The external tx id that was provided in the request, already exists"
const DUPLICATE: &str = "1438";
/// The documents give this refusal no code.
const KEY_SPENT: &str = "same idempotency key after an internal error";
/// Longer words are not codes.
const CODE_BYTES_MAX: usize = 80;

pub(super) struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// A refusal in Fireblocks' own words. Without a code it came from something between us.
#[derive(Deserialize)]
struct Refusal {
    code: Code,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    Number(i64),
    Word(String),
}

impl Answer {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Self {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Self {
            status,
            retry_after: seconds
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs),
            body,
        }
    }

    pub(super) const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    pub(super) fn is_busy(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
    }

    /// Itself if it is a success; else what kind of failure it is.
    pub(super) fn accepted(self) -> Result<Self, FireblocksError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let status = self.status.as_u16();
        // 408, 409 and 425 say that something on the way was late or at odds: not what became of the request.
        let settled = matches!(status, 400..=407 | 410..=424 | 426..=428 | 430..=499);
        match serde_json::from_slice(&self.body) {
            Ok(refusal) if settled => Err(refused(status, &refusal)),
            _ => Err(FireblocksError::Status { status }),
        }
    }

    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, FireblocksError> {
        serde_json::from_slice(&self.body).map_err(|error| (&error).into())
    }
}

fn refused(status: u16, refusal: &Refusal) -> FireblocksError {
    let code = refusal.code.text();
    match status {
        401 | 403 => FireblocksError::NotAuthorized { status, code },
        _ if code == DUPLICATE => FireblocksError::Duplicate,
        _ if refusal.message.contains(KEY_SPENT) => FireblocksError::KeySpent,
        _ => FireblocksError::Refused { status, code },
    }
}

impl Code {
    /// Codes go into rows and logs: one word, not without end.
    fn text(&self) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        match self {
            Self::Number(number) => number.to_string(),
            Self::Word(word) if (1..=CODE_BYTES_MAX).contains(&word.len()) && word.bytes().all(plain) => {
                word.clone()
            }
            Self::Word(_) => "unnamed".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(status: u16, body: &str) -> Result<Answer, FireblocksError> {
        let status = StatusCode::from_u16(status).unwrap();
        Answer::new(status, &HeaderMap::new(), body.as_bytes().to_vec()).accepted()
    }

    fn code(status: u16, body: &str) -> String {
        match accepted(status, body) {
            Err(FireblocksError::Refused { status: told, code }) if told == status => code,
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("accepted"),
        }
    }

    #[test]
    fn f06_a_refusal_says_nothing_happened_only_in_fireblocks_own_words() {
        assert_eq!(code(400, r#"{"message": "no", "code": 1427}"#), "1427");
        assert_eq!(code(404, r#"{"code": 1004}"#), "1004");
        assert_eq!(code(422, r#"{"message": "no", "code": "INVALID"}"#), "INVALID");
        for (status, body) in [
            (400, "<html>"),
            (404, ""),
            (404, r#"{"message": "Not Found"}"#),
            (400, r#"{"code": null}"#),
            (403, r#"{"message": "Forbidden"}"#),
            (301, r#"{"code": 1}"#),
            (408, r#"{"code": 1}"#),
            (409, r#"{"code": 1}"#),
            (425, r#"{"code": 1}"#),
            (429, r#"{"code": 1}"#),
            (500, r#"{"message": "Internal error", "code": -1}"#),
            (503, r#"{"code": 1438}"#),
        ] {
            let outcome = accepted(status, body).map(|_| ());
            let unknown = matches!(outcome, Err(FireblocksError::Status { status: told }) if told == status);
            assert!(unknown, "{status} {body}: {outcome:?}");
        }
    }

    #[test]
    fn f01_a_signature_that_is_not_taken_is_told_apart_from_a_refusal() {
        // -1 the signature, -7 the token, -10 too late, -12 from the future.
        for (status, code) in [(401, -1), (401, -7), (401, -10), (401, -12), (403, -8)] {
            let body = format!(r#"{{"message": "Unauthorized", "code": {code}}}"#);
            let outcome = accepted(status, &body).map(|_| ());
            let expected = code.to_string();
            let told =
                matches!(&outcome, Err(FireblocksError::NotAuthorized { code, .. }) if *code == expected);
            assert!(told, "{outcome:?}");
        }
    }

    #[test]
    fn f04_f06_a_taken_external_id_and_a_spent_key_are_known() {
        let taken = r#"{"message": "The external tx id that was provided in the request, already exists", "code": 1438}"#;
        assert!(matches!(accepted(400, taken), Err(FireblocksError::Duplicate)));
        let spent =
            "This operation doesn't support the usage of the same idempotency key after an internal error";
        let spent = format!(r#"{{"message": "{spent}", "code": 4001}}"#);
        assert!(matches!(accepted(400, &spent), Err(FireblocksError::KeySpent)));
    }

    #[test]
    fn what_is_no_code_does_not_reach_the_log() {
        let long = "x".repeat(81);
        for word in ["", "two words", "<b>", long.as_str()] {
            assert_eq!(code(400, &format!(r#"{{"code": "{word}"}}"#)), "unnamed");
        }
        let quoting = r#"{"message": "wallet 0xSECRET", "code": 1}"#;
        let error = accepted(400, quoting).map(|_| ()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"));
    }
}
