//! Is this delivery Fireblocks'? The second version of webhooks is signed with a detached JWS (RFC 7515 appendix F),
//! <https://developers.fireblocks.com/reference/validating-webhooks>.
//!
//! The first version (`Fireblocks-Signature`) is not supported, by no setting: Fireblocks ended it in June 2026 and signed
//! every delivery in both ways until then, so nothing is lost; and it names no key: its one key for a region could be
//! replaced only by a release of ours, while deliveries signed with the old one would still be taken.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use posx_kernel::Clock;
use posx_keyset::{Algorithm, FetchKeys, KeyError, KeySet, KeySetHealth};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::event::{EventError, FireblocksEvent};

/// The header that carries the signature, in lower case as HTTP libraries look it up.
pub const SIGNATURE_HEADER: &str = "fireblocks-webhook-signature";

/// A header with a 4096-bit signature has some 800 bytes.
const HEADER_BYTES_MAX: usize = 4_096;

/// Knows the keys of one Fireblocks region.
#[derive(Debug, Clone)]
pub struct WebhookVerifier {
    keys: KeySet,
}

/// What a caller of the verifier acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// 400. Fireblocks does not send such a delivery again.
    #[error("the delivery is not signed by Fireblocks")]
    Invalid(#[source] Reason),
    /// 503, so that it is sent again: the keys cannot be had, or not asked for so soon, and the delivery may well be good.
    #[error("the delivery cannot be checked now")]
    KeysUnavailable(#[source] KeyError),
}

/// Why a delivery was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the signature header is larger than allowed")]
    TooLarge,
    #[error("the signature header is no detached JWS")]
    NotDetached,
    #[error("the signature's own header is malformed")]
    MalformedHeader,
    #[error("the signature's own header brings a key, an address or an extension")]
    ForbiddenHeader,
    #[error("the signature is not RS512")]
    WrongAlgorithm,
    #[error("the signature names no key")]
    NoKeyId,
    #[error("Fireblocks has no such key")]
    UnknownKey,
    #[error("the signature does not hold")]
    BadSignature,
}

impl WebhookError {
    /// Stable, for logs and counters.
    pub const fn reason(&self) -> &'static str {
        match self {
            // Anybody can send a key id that is not known: it is no sign of an outage.
            Self::KeysUnavailable(KeyError::Unasked) => "key_unasked",
            Self::KeysUnavailable(_) => "keys_unavailable",
            Self::Invalid(reason) => match reason {
                Reason::TooLarge => "header_too_large",
                Reason::NotDetached => "not_detached",
                Reason::MalformedHeader => "malformed_header",
                Reason::ForbiddenHeader => "forbidden_header",
                Reason::WrongAlgorithm => "wrong_algorithm",
                Reason::NoKeyId => "no_key_id",
                Reason::UnknownKey => "unknown_key",
                Reason::BadSignature => "bad_signature",
            },
        }
    }
}

impl From<KeyError> for WebhookError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unknown => Self::Invalid(Reason::UnknownKey),
            KeyError::Unasked | KeyError::Unavailable => Self::KeysUnavailable(error),
        }
    }
}

impl From<Reason> for WebhookError {
    fn from(reason: Reason) -> Self {
        Self::Invalid(reason)
    }
}

/// A body that Fireblocks signed. Only [`WebhookVerifier::verify`] makes one. The signature has no time in it: that an
/// old delivery has no effect is for whoever keeps the event ids.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// The bytes as they came: what is stored, and what the job reads again with [`FireblocksEvent::parse`].
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    pub fn event(&self) -> Result<FireblocksEvent, EventError> {
        FireblocksEvent::parse(self.body)
    }
}

impl WebhookVerifier {
    /// Fetches nothing yet.
    pub fn new(keys: Arc<dyn FetchKeys>, clock: Arc<dyn Clock>) -> Self {
        Self {
            keys: KeySet::new("fireblocks-webhooks", keys, clock),
        }
    }

    /// `signature_header` is the value of [`SIGNATURE_HEADER`].
    pub async fn verify<'a>(
        &self,
        body: &'a [u8],
        signature_header: &str,
    ) -> Result<Delivery<'a>, WebhookError> {
        let signature = DetachedSignature::parse(signature_header)?;
        let key = self.keys.key(&signature.kid).await?;
        let message = signature.signed_message(body);
        key.verify(Algorithm::Rs512, message.as_bytes(), &signature.bytes)
            .map_err(|_| Reason::BadSignature)?;
        Ok(Delivery { body })
    }

    /// For readiness: fetches the keys if they are missing or old, then tells how they are.
    pub async fn health(&self) -> KeySetHealth {
        self.keys.refresh_if_due().await;
        self.keys.health()
    }
}

/// `header..signature`: the payload between the dots is the body, which travels beside it.
struct DetachedSignature<'a> {
    header: &'a str,
    kid: String,
    bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Members that would change where the key comes from or what is signed.
const FORBIDDEN_MEMBERS: [&str; 6] = ["jku", "jwk", "x5u", "x5c", "crit", "b64"];

impl<'a> DetachedSignature<'a> {
    fn parse(text: &'a str) -> Result<Self, Reason> {
        if text.len() > HEADER_BYTES_MAX {
            return Err(Reason::TooLarge);
        }
        let segments: Vec<&str> = text.split('.').take(4).collect();
        let [header, "", signature] = segments[..] else {
            return Err(Reason::NotDetached);
        };
        let decoded = URL_SAFE_NO_PAD.decode(header).map_err(|_| Reason::NotDetached)?;
        let bytes = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| Reason::NotDetached)?;
        let Header { alg, kid, others } =
            serde_json::from_slice(&decoded).map_err(|_| Reason::MalformedHeader)?;
        if FORBIDDEN_MEMBERS
            .into_iter()
            .any(|name| others.contains_key(name))
        {
            return Err(Reason::ForbiddenHeader);
        }
        if alg != Algorithm::Rs512.name() {
            return Err(Reason::WrongAlgorithm);
        }
        Ok(Self {
            header,
            kid: kid.ok_or(Reason::NoKeyId)?,
            bytes,
        })
    }

    fn signed_message(&self, body: &[u8]) -> String {
        format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(body))
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector;
