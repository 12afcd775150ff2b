//! What a machine shows instead of a person's token.

use std::fmt::{self, Write as _};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::Randomness;
use secrecy::SecretString;

const PUBLIC_BYTES: usize = 6;
const SECRET_BYTES: usize = 24;
/// Tells a mistyped text from a wrong one, and lets scanners of leaked secrets be sure.
const CHECK_DIGITS: usize = 8;

/// Whose text it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    ApiKey,
    Device,
    /// Somebody who talks on a storefront.
    Visitor,
}

/// Of the whole text. A slow hash is for what people make up: nobody tries 192 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct CredentialHash([u8; 32]);

/// One that was made just now. Its text is shown once and kept nowhere.
#[derive(Debug)]
pub struct NewCredential {
    /// May be shown and logged; finds the hash.
    pub public_part: String,
    pub hash: CredentialHash,
    pub text: SecretString,
}

/// What a caller showed. Of a text that is no credential the public part is empty, and nothing has that one.
#[derive(Debug)]
pub struct Presented {
    pub public_part: String,
    hash: CredentialHash,
}

impl CredentialKind {
    /// What its texts begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "psk_",
            Self::Device => "psd_",
            Self::Visitor => "psv_",
        }
    }

    /// `psk_`, 12 public digits, `_`, 48 secret digits and 8 of the checksum, all hexadecimal.
    pub fn issue(self, randomness: &dyn Randomness) -> NewCredential {
        let (mut public, mut secret) = ([0; PUBLIC_BYTES], [0; SECRET_BYTES]);
        randomness.fill(&mut public);
        randomness.fill(&mut secret);
        let public_part = hex(&public);
        let body = format!("{}{public_part}_{}", self.prefix(), hex(&secret));
        let text = format!("{body}{}", checksum(&body));
        NewCredential {
            public_part,
            hash: CredentialHash::of(&text),
            text: text.into(),
        }
    }

    pub fn read(self, text: &str) -> Presented {
        Presented {
            public_part: self.public_part(text).unwrap_or_default().to_owned(),
            hash: CredentialHash::of(text),
        }
    }

    fn public_part(self, text: &str) -> Option<&str> {
        let (public, secret) = text.strip_prefix(self.prefix())?.split_once('_')?;
        let is_hex = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let well_formed = public.len() == 2 * PUBLIC_BYTES
            && secret.len() == 2 * SECRET_BYTES + CHECK_DIGITS
            && is_hex(public)
            && is_hex(secret);
        if !well_formed {
            return None;
        }
        let (body, check) = text.split_at(text.len() - CHECK_DIGITS);
        (checksum(body) == check).then_some(public)
    }
}

impl Presented {
    /// Whether it is the stored one. Compares in every case and in constant time, so that an unknown text takes as long as a
    /// wrong one.
    pub fn is(&self, stored: Option<&CredentialHash>) -> bool {
        let nobody = CredentialHash([0; 32]);
        let equal = verify_slices_are_equal(&self.hash.0, &stored.unwrap_or(&nobody).0).is_ok();
        equal && stored.is_some()
    }
}

impl CredentialHash {
    /// One that was read from storage.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn of(text: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
        Self(bytes)
    }
}

impl fmt::Debug for CredentialHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialHash")
    }
}

fn checksum(body: &str) -> String {
    hex(&CredentialHash::of(body).0[..CHECK_DIGITS / 2])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use posx_kernel::SeededIds;
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_text_is_found_by_its_public_part_and_is_itself_only() {
        let randomness = SeededIds::new(1);
        let (one, other) = (
            CredentialKind::ApiKey.issue(&randomness),
            CredentialKind::ApiKey.issue(&randomness),
        );
        let shown = CredentialKind::ApiKey.read(one.text.expose_secret());
        assert_eq!(shown.public_part, one.public_part);
        assert!(shown.is(Some(&one.hash)));
        assert!(!shown.is(Some(&other.hash)) && !shown.is(None));
        assert_ne!(one.public_part, other.public_part);
    }

    #[test]
    fn a_typing_mistake_anywhere_is_told_from_a_wrong_secret() {
        let made = CredentialKind::Device.issue(&SeededIds::new(2));
        let text = made.text.expose_secret();
        assert_eq!(text.len(), 73);
        for at in 0..text.len() {
            let wrong = if &text[at..=at] == "0" { "1" } else { "0" };
            let typed = format!("{}{wrong}{}", &text[..at], &text[at + 1..]);
            let shown = CredentialKind::Device.read(&typed);
            assert_eq!(shown.public_part, "", "{typed}");
            assert!(!shown.is(Some(&made.hash)));
        }
    }

    #[test]
    fn what_is_no_credential_of_the_kind_has_no_public_part() {
        let device = CredentialKind::Device.issue(&SeededIds::new(3));
        let text = device.text.expose_secret();
        for wrong in [
            "",
            "psk_",
            "psk__",
            "psk_é",
            text,
            &text.to_uppercase(),
            &format!("{text}0"),
        ] {
            assert_eq!(CredentialKind::ApiKey.read(wrong).public_part, "", "{wrong}");
        }
    }

    #[test]
    fn neither_a_new_one_nor_a_shown_one_prints_its_secret() {
        let made = CredentialKind::ApiKey.issue(&SeededIds::new(4));
        let text = made.text.expose_secret();
        let secret = &text[17..];
        let shown = CredentialKind::ApiKey.read(text);
        assert!(!format!("{made:?} {shown:?}").contains(secret));
    }
}
