//! The secret of one webhook endpoint, and what is refused before the server starts.

use std::fmt;

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};

/// Stripe's have `whsec_` and 32 characters; anything much shorter is a placeholder.
const CHARACTERS_MIN: usize = 16;
const CHARACTERS_MAX: usize = 256;

/// A webhook endpoint's signing secret (`whsec_…`). Platform and connected accounts have endpoints, and so secrets, of
/// their own; during a rotation one endpoint has two.
#[derive(Clone)]
pub struct SigningSecret {
    key: hmac::Key,
}

/// What is wrong with a configured secret; never the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error(
        "the webhook secret has white space or control characters in it: it was probably pasted with a line end"
    )]
    Whitespace,
    #[error("the webhook secret is shorter than {CHARACTERS_MIN} characters")]
    TooShort,
    #[error("the webhook secret is longer than {CHARACTERS_MAX} characters")]
    TooLong,
}

impl SigningSecret {
    pub fn new(secret: &SecretString) -> Result<Self, SecretError> {
        let text = secret.expose_secret();
        if text
            .chars()
            .any(|character| character.is_whitespace() || character.is_control())
        {
            return Err(SecretError::Whitespace);
        }
        match text.chars().count() {
            ..CHARACTERS_MIN => Err(SecretError::TooShort),
            CHARACTERS_MIN..=CHARACTERS_MAX => Ok(Self {
                key: hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()),
            }),
            _ => Err(SecretError::TooLong),
        }
    }

    /// In constant time.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        hmac::verify(&self.key, message, signature).is_ok()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([redacted])")
    }
}
