//! What can come of a call, sorted by what may be done about it.

use std::fmt;

use posx_kernel::{SecretError, SiteId};

use crate::key::Mode;

/// Why a call gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// Stripe understood and said no; nothing happened, and the same request will not be accepted.
    #[error("Stripe refused: {0}")]
    Refused(Refusal),
    #[error("no Stripe key is configured for {0}")]
    NoKey(SiteId),
    /// The site gave one, and it cannot be read now.
    #[error("the site's Stripe key cannot be had")]
    KeyUnavailable(#[source] SecretError),
    #[error("the site's Stripe key is of {found} mode, and here only {wanted} keys are used")]
    KeyOfMode { found: Mode, wanted: Mode },
    #[error("Stripe does not know the configured key")]
    KeyWrong,
    #[error("the configured Stripe key was revoked, rolled or has expired")]
    KeyRevoked,
    #[error("the configured Stripe key may not do this: {code}")]
    NotPermitted { code: String },
    #[error("the configured Stripe key is of {ours} mode and the object is not")]
    WrongMode { ours: Mode },
    /// Another request was sent with this key before. What became of that one is not known here.
    #[error("the idempotency key was used before with other parameters")]
    KeyReused,
    /// Rate limit, lock, or the first request with this key still runs: later, with the same key.
    #[error("Stripe asks to come back later (status {status})")]
    Busy { status: u16 },
    /// Nobody knows what happened. `replayed`: it is the stored answer of an earlier request, and will be for a day.
    #[error("Stripe is in trouble (status {status}{})", if *.replayed { ", stored" } else { "" })]
    Server { status: u16, replayed: bool },
    #[error("there was no whole answer")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    /// Without the parser's words: they may quote the answer.
    #[error("the answer cannot be read (line {line}, column {column})")]
    Undecodable { line: usize, column: usize },
    #[error("the answer's `{0}` cannot be used")]
    Field(&'static str),
    /// Whether there is such an object is not known.
    #[error("Stripe refused to be searched: {0}")]
    LookupRefused(Refusal),
    #[error("more than {pages_max} pages: what is not on them may still exist")]
    TooManyPages { pages_max: usize },
}

/// Stripe's own word for its refusal. Never its message, which may quote what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// `amount_too_small`, `resource_missing`, …; the error's type if it has no code.
    pub code: String,
    /// The parameter that it is about.
    pub param: Option<String>,
    /// Stripe's id of the request, for its support.
    pub request: Option<String>,
}

impl Refusal {
    /// Refused here, before anything was sent.
    pub(crate) fn unsent(code: &str) -> StripeError {
        StripeError::Refused(Self {
            status: 0,
            code: code.to_owned(),
            param: None,
            request: None,
        })
    }

    pub(crate) fn is_missing(&self) -> bool {
        self.code == "resource_missing"
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        if let Some(param) = &self.param {
            write!(f, " ({param})")?;
        }
        if let Some(request) = &self.request {
            write!(f, ", {request}")?;
        }
        Ok(())
    }
}

impl StripeError {
    /// It will not heal by itself: a key is wrong, or we sent what we never should.
    pub const fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::NoKey(_)
                | Self::KeyOfMode { .. }
                | Self::KeyUnavailable(SecretError::Refused | SecretError::NoMasterKey(_))
                | Self::KeyWrong
                | Self::KeyRevoked
                | Self::NotPermitted { .. }
                | Self::WrongMode { .. }
                | Self::KeyReused
                | Self::Server { replayed: true, .. }
                | Self::LookupRefused(_)
                | Self::TooManyPages { .. }
        )
    }

    /// A look-up that is refused says nothing about what was looked for.
    pub(crate) fn of_lookup(self) -> Self {
        match self {
            Self::Refused(refusal) => Self::LookupRefused(refusal),
            error => error,
        }
    }

    /// `None` for what is not there.
    pub(crate) fn unless_missing<T>(self) -> Result<Option<T>, Self> {
        match self {
            Self::Refused(refusal) if refusal.is_missing() => Ok(None),
            error => Err(error),
        }
    }
}
