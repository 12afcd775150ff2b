//! The secret that an invitation is accepted with.

use std::fmt::{self, Write as _};

use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::Randomness;

const TOKEN_BYTES: usize = 32;

/// 256 random bits, as 64 hexadecimal digits. It is in one message, and nowhere else: not stored, not logged.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationToken(String);

/// SHA-256 of a token: what is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

impl InvitationToken {
    pub fn random(randomness: &dyn Randomness) -> Self {
        let mut bytes = [0; TOKEN_BYTES];
        randomness.fill(&mut bytes);
        let mut text = String::with_capacity(2 * TOKEN_BYTES);
        for byte in bytes {
            // Writing to a string does not fail.
            write!(text, "{byte:02x}").ok();
        }
        Self(text)
    }

    /// `None`: no token of ours looks like that.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        (text.len() == 2 * TOKEN_BYTES && text.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    pub fn hash(&self) -> TokenHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        TokenHash(hash)
    }

    /// For the message.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationToken(…)")
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}
