//! The secret that a session goes on with.

use std::fmt;

use aws_lc_rs::hmac;
use posx_kernel::Randomness;

use crate::CredentialHash;

const TOKEN_BYTES: usize = 32;

/// 256 random bits, as 64 hexadecimal digits. It is in one cookie, and nowhere else: its hash is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(String);

/// What makes a token's successor together with the token itself: whoever has only one of both, knows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

impl RefreshToken {
    pub(super) fn random(randomness: &dyn Randomness) -> Self {
        Self(hex::encode(random_bytes(randomness)))
    }

    /// `None`: no token of ours looks like that.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 2 * TOKEN_BYTES && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    pub fn hash(&self) -> CredentialHash {
        CredentialHash::of(&self.0)
    }

    /// Always the same for the same salt: tabs that refresh one token together get one successor, though only hashes are
    /// kept.
    pub(super) fn successor(&self, salt: Salt) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.as_bytes());
        Self(hex::encode(hmac::sign(&key, &salt.0).as_ref()))
    }

    /// For the cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Salt {
    pub(super) fn random(randomness: &dyn Randomness) -> Self {
        Self(random_bytes(randomness))
    }
}

fn random_bytes(randomness: &dyn Randomness) -> [u8; TOKEN_BYTES] {
    let mut bytes = [0; TOKEN_BYTES];
    randomness.fill(&mut bytes);
    bytes
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}
