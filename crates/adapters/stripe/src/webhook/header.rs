//! `t=1492774577,v1=5257a8…,v1=…,v0=…`: one timestamp, several signatures, schemes that we do not know.

use chrono::{DateTime, Utc};

use super::SignatureError;

/// A header that Stripe sends has some 80 bytes for each secret.
const BYTES_MAX: usize = 2_048;
const SIGNATURES_MAX: usize = 16;
const SIGNATURE_BYTES: usize = 32;
/// Enough for the year 33,658; keeps the number far from overflow.
const TIMESTAMP_DIGITS_MAX: usize = 12;

pub(super) struct SignatureHeader<'a> {
    /// As it was written: these bytes are what is signed.
    timestamp: &'a str,
    signed_at: DateTime<Utc>,
    signatures: Vec<[u8; SIGNATURE_BYTES]>,
}

impl<'a> SignatureHeader<'a> {
    pub(super) fn parse(header: &'a str) -> Result<Self, SignatureError> {
        if header.len() > BYTES_MAX {
            return Err(SignatureError::HeaderTooLarge);
        }
        let mut timestamps = Vec::new();
        let mut signatures = Vec::new();
        for part in header.split(',') {
            match part.split_once('=') {
                Some(("t", value)) => timestamps.push(value),
                Some(("v1", value)) => signatures.push(value),
                // v0 is Stripe's scheme for test events and proves nothing; others may come.
                _ => {}
            }
        }
        if signatures.len() > SIGNATURES_MAX {
            return Err(SignatureError::HeaderTooLarge);
        }
        if signatures.is_empty() {
            return Err(SignatureError::NoSignature);
        }
        let [timestamp] = timestamps[..] else {
            return Err(SignatureError::NoTimestamp);
        };
        let signed_at = instant(timestamp).ok_or(SignatureError::NoTimestamp)?;
        Ok(Self {
            timestamp,
            signed_at,
            signatures: signatures.into_iter().filter_map(from_lower_hex).collect(),
        })
    }

    pub(super) fn signed_message(&self, body: &[u8]) -> Vec<u8> {
        [self.timestamp.as_bytes(), b".", body].concat()
    }

    pub(super) const fn signed_at(&self) -> DateTime<Utc> {
        self.signed_at
    }

    pub(super) fn signatures(&self) -> impl Iterator<Item = &[u8; SIGNATURE_BYTES]> {
        self.signatures.iter()
    }
}

fn instant(digits: &str) -> Option<DateTime<Utc>> {
    let canonical = digits == "0" || !digits.starts_with('0');
    let decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !canonical || !decimal || digits.len() > TIMESTAMP_DIGITS_MAX {
        return None;
    }
    DateTime::from_timestamp(digits.parse().ok()?, 0)
}

/// Lower case only, as Stripe writes it: one signature has one spelling.
fn from_lower_hex(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; SIGNATURE_BYTES];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
