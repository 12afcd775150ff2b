//! A secret API key, and what is refused before the server starts.

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// Stripe's are longer than 30; anything much shorter is a placeholder.
const CHARACTERS_MIN: usize = 16;
const CHARACTERS_MAX: usize = 255;

/// Test and live are two worlds: an object of one cannot be seen with a key of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Test,
    Live,
}

impl Mode {
    pub const fn of_livemode(livemode: bool) -> Self {
        if livemode { Self::Live } else { Self::Test }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Test => "test",
            Self::Live => "live",
        })
    }
}

/// One account's secret key (`sk_…`) or restricted key (`rk_…`). Its prefix says which mode it is of.
#[derive(Clone)]
pub struct StripeKey {
    header: HeaderValue,
    mode: Mode,
}

/// What is wrong with a configured key; never the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the Stripe key has characters that no key has: it was probably pasted with a line end")]
    Characters,
    #[error("the Stripe key is not {CHARACTERS_MIN} to {CHARACTERS_MAX} characters long")]
    Length,
    #[error("the Stripe key is a publishable one (pk_…): the server needs a secret or a restricted key")]
    Publishable,
    #[error("a Stripe key begins with sk_test_, sk_live_, rk_test_ or rk_live_")]
    Prefix,
}

impl StripeKey {
    pub fn new(key: &SecretString) -> Result<Self, KeyError> {
        let text = key.expose_secret();
        if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Err(KeyError::Characters);
        }
        let starts = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| text.starts_with(prefix));
        let mode = if starts(["sk_test_", "rk_test_"]) {
            Mode::Test
        } else if starts(["sk_live_", "rk_live_"]) {
            Mode::Live
        } else if text.starts_with("pk_") {
            return Err(KeyError::Publishable);
        } else {
            return Err(KeyError::Prefix);
        };
        if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&text.len()) {
            return Err(KeyError::Length);
        }
        let mut header =
            HeaderValue::from_str(&format!("Bearer {text}")).map_err(|_| KeyError::Characters)?;
        header.set_sensitive(true);
        Ok(Self { header, mode })
    }

    pub const fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

impl fmt::Debug for StripeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StripeKey({} [redacted])", self.mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Result<StripeKey, KeyError> {
        StripeKey::new(&SecretString::from(text))
    }

    #[test]
    fn a_key_says_its_mode_by_its_prefix_and_does_not_print() {
        for (text, mode) in [
            ("sk_test_0123456789abcdef", Mode::Test),
            ("rk_test_0123456789abcdef", Mode::Test),
            ("sk_live_0123456789abcdef", Mode::Live),
            ("rk_live_0123456789abcdef", Mode::Live),
        ] {
            let key = key(text).unwrap();
            assert_eq!(key.mode(), mode);
            let shown = format!("{key:?} {:?}", key.header());
            assert!(!shown.contains("0123"), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_a_secret_key_stops_the_start() {
        for (text, error) in [
            ("pk_live_0123456789abcdef", KeyError::Publishable),
            ("whsec_0123456789abcdef", KeyError::Prefix),
            ("", KeyError::Prefix),
            ("sk_test_", KeyError::Length),
            ("sk_live_0123456789abcdef\n", KeyError::Characters),
            ("sk_live_0123456789 abcdef", KeyError::Characters),
            ("sk_live_0123456789-абв", KeyError::Characters),
        ] {
            assert_eq!(key(text).unwrap_err(), error, "{text:?}");
            assert!(!error.to_string().contains("0123"));
        }
    }
}
