//! AES-256-GCM, and what is bound to a ciphertext.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use posx_kernel::{DataKey, Randomness, SecretError};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretSlice};

pub const TAG_BYTES: usize = 16;

/// What must be the same when it is opened, in one encoding that no two lists share: each part stands behind its length.
#[derive(Debug, Default)]
pub struct Bound(Vec<u8>);

impl Bound {
    /// `what` keeps the uses of a key apart.
    pub fn to(what: &str) -> Self {
        Self::default().and(what.as_bytes())
    }

    #[must_use]
    pub fn and(mut self, part: &[u8]) -> Self {
        let length = u64::try_from(part.len()).expect("a length has 64 bits");
        self.0.extend(length.to_be_bytes());
        self.0.extend(part);
        self
    }
}

/// Nonce, ciphertext and tag. Random nonces of 96 bits are good for 2³² secrets under one key (NIST SP 800-38D, 8.3).
pub fn seal(key: &DataKey, bound: &Bound, secret: &[u8], randomness: &dyn Randomness) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    randomness.fill(&mut nonce);
    let mut bytes = Vec::with_capacity(NONCE_LEN + secret.len() + TAG_BYTES);
    bytes.extend(nonce);
    bytes.extend(secret);
    let tag = cipher(key)
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(&bound.0),
            &mut bytes[NONCE_LEN..],
        )
        .expect("no secret is as long as what one nonce is good for");
    bytes.extend(tag.as_ref());
    bytes
}

pub fn open(key: &DataKey, bound: &Bound, sealed: &[u8]) -> Result<SecretSlice<u8>, SecretError> {
    let (nonce, ciphertext) = sealed.split_first_chunk().ok_or(SecretError::Refused)?;
    let secret_bytes = ciphertext.len().checked_sub(TAG_BYTES);
    let (ciphertext, tag) = ciphertext.split_at(secret_bytes.ok_or(SecretError::Refused)?);
    let mut opened = SecretSlice::from(vec![0; ciphertext.len()]);
    cipher(key)
        .open_separate_gather(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(&bound.0),
            ciphertext,
            tag,
            opened.expose_secret_mut(),
        )
        .map_err(|_| SecretError::Refused)?;
    Ok(opened)
}

pub fn random_key(randomness: &dyn Randomness) -> DataKey {
    DataKey::init_with_mut(|bytes| randomness.fill(bytes))
}

fn cipher(key: &DataKey) -> LessSafeKey {
    let unbound = UnboundKey::new(&AES_256_GCM, key.expose_secret());
    LessSafeKey::new(unbound.expect("the key has the length that the cipher asks for"))
}
