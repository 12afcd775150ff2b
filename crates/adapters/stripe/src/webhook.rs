//! Is this delivery Stripe's? The signature scheme is on <https://docs.stripe.com/webhooks#verify-manually>.

mod header;
mod secret;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use chrono::{DateTime, TimeDelta, Utc};

use crate::event::{EventError, StripeEvent};
use header::SignatureHeader;
pub use secret::{SecretError, SigningSecret};

/// The header that carries the signatures, in lower case as HTTP libraries look it up.
pub const SIGNATURE_HEADER: &str = "stripe-signature";

/// How far a delivery's own time may be from ours, before and after. Stripe's libraries read 0 as "any age" and let
/// the future pass; here there is no such value and both sides are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    seconds: u16,
}

/// The tolerance is none that keeps a replay out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a webhook tolerance is 1 to {} seconds", Tolerance::SECONDS_MAX)]
pub struct ToleranceError;

impl Tolerance {
    pub const SECONDS_MAX: u16 = 900;

    pub const fn from_seconds(seconds: u16) -> Result<Self, ToleranceError> {
        if seconds == 0 || seconds > Self::SECONDS_MAX {
            return Err(ToleranceError);
        }
        Ok(Self { seconds })
    }

    fn covers(self, gap: TimeDelta) -> bool {
        gap.abs() <= TimeDelta::seconds(i64::from(self.seconds))
    }
}

impl Default for Tolerance {
    /// 300 seconds, as in Stripe's own libraries.
    fn default() -> Self {
        Self { seconds: 300 }
    }
}

/// Why a delivery is not taken. Each is the sender's fault and answered with a 400; the text is for our log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("the signature header is longer than allowed or has too many parts")]
    HeaderTooLarge,
    #[error("the signature header has no single whole-second timestamp")]
    NoTimestamp,
    #[error("the signature header has no v1 signature")]
    NoSignature,
    #[error("no signature is of one of our secrets")]
    NoMatch,
    #[error("the delivery was signed too long ago")]
    TooOld,
    #[error("the delivery was signed in the future")]
    FromTheFuture,
}

impl SignatureError {
    /// Stable, for logs and counters.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::HeaderTooLarge => "header_too_large",
            Self::NoTimestamp => "no_timestamp",
            Self::NoSignature => "no_signature",
            Self::NoMatch => "no_match",
            Self::TooOld => "too_old",
            Self::FromTheFuture => "from_the_future",
        }
    }
}

/// A body that Stripe signed. Only [`verify`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    body: &'a [u8],
    signed_at: DateTime<Utc>,
}

impl<'a> Delivery<'a> {
    /// The bytes as they came: what is stored, and what the job reads again with [`StripeEvent::parse`].
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// When Stripe sent this delivery; a repeated delivery has a later one than the event's creation.
    pub const fn signed_at(&self) -> DateTime<Utc> {
        self.signed_at
    }

    pub fn event(&self) -> Result<StripeEvent, EventError> {
        StripeEvent::parse(self.body)
    }
}

/// Checks the signature over the raw bytes, then its age. Any `v1` that fits any of the secrets is enough: during a
/// rotation Stripe signs with both and we know both. An empty `secrets` takes nothing.
pub fn verify<'a>(
    body: &'a [u8],
    signature_header: &str,
    secrets: &[SigningSecret],
    tolerance: Tolerance,
    now: DateTime<Utc>,
) -> Result<Delivery<'a>, SignatureError> {
    let header = SignatureHeader::parse(signature_header)?;
    let message = header.signed_message(body);
    let ours = secrets.iter().any(|secret| {
        header
            .signatures()
            .any(|signature| secret.signed(&message, signature))
    });
    if !ours {
        return Err(SignatureError::NoMatch);
    }
    let age = now - header.signed_at();
    if tolerance.covers(age) {
        return Ok(Delivery {
            body,
            signed_at: header.signed_at(),
        });
    }
    Err(if age > TimeDelta::zero() {
        SignatureError::TooOld
    } else {
        SignatureError::FromTheFuture
    })
}
