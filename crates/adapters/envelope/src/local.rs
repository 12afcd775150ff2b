//! Master keys from the settings.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posx_kernel::{DataKey, KeyWrapper, Randomness, SecretError, SiteId, WrappedKey};
use secrecy::{ExposeSecret as _, ExposeSecretMut as _, SecretString};

use crate::cipher::{self, Bound};

const KEY_BYTES: usize = 32;
/// Of 32 random bytes about 30 are different, and practically never fewer than 20.
const DIFFERENT_BYTES_MIN: usize = 20;
/// From one byte to the next: a counter has one, a pattern has few.
const DIFFERENT_STEPS_MIN: usize = 16;
const ID_CHARACTERS_MAX: usize = 32;
/// One that wraps, and those that still unwrap until `posx keys rotate` is through.
pub const MASTER_KEYS_MAX: usize = 8;

/// One master key, written `id:base64`.
pub struct MasterKey {
    id: String,
    key: DataKey,
}

/// What is wrong with a master key; never the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    #[error("it is not ID:KEY, with an id of 1 to {ID_CHARACTERS_MAX} of a-z, 0-9, - and _")]
    Id,
    #[error("the key is not base64")]
    Base64,
    #[error("the key is not {KEY_BYTES} bytes: `openssl rand -base64 {KEY_BYTES}` makes one")]
    Length,
    #[error("the key is not random: `openssl rand -base64 {KEY_BYTES}` makes one")]
    NotRandom,
    #[error("an id or a key is there twice")]
    Twice,
    #[error("there are none, or more than {MASTER_KEYS_MAX}")]
    Count,
}

impl MasterKey {
    /// A new one. Its text form is what the settings take.
    pub fn generate(id: &str, randomness: &dyn Randomness) -> SecretString {
        let key = cipher::random_key(randomness);
        format!("{id}:{}", STANDARD.encode(key.expose_secret())).into()
    }

    pub fn parse(text: &SecretString) -> Result<Self, MasterKeyError> {
        let (id, encoded) = text.expose_secret().split_once(':').ok_or(MasterKeyError::Id)?;
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if !(1..=ID_CHARACTERS_MAX).contains(&id.len()) || !id.bytes().all(fine) {
            return Err(MasterKeyError::Id);
        }
        let mut key = DataKey::default();
        let decoded = decode(encoded, key.expose_secret_mut())?;
        if decoded != KEY_BYTES {
            return Err(MasterKeyError::Length);
        }
        if !looks_random(key.expose_secret()) {
            return Err(MasterKeyError::NotRandom);
        }
        Ok(Self {
            id: id.to_owned(),
            key,
        })
    }
}

/// How many bytes there were.
fn decode(encoded: &str, into: &mut [u8; KEY_BYTES]) -> Result<usize, MasterKeyError> {
    use base64::DecodeSliceError;
    match STANDARD.decode_slice(encoded, into) {
        Ok(bytes) => Ok(bytes),
        Err(DecodeSliceError::OutputSliceTooSmall) => Err(MasterKeyError::Length),
        Err(DecodeSliceError::DecodeError(_)) => Err(MasterKeyError::Base64),
    }
}

/// Whether it may have come from a generator: not repeated bytes, not a counter, not words.
fn looks_random(key: &[u8; KEY_BYTES]) -> bool {
    let bytes: HashSet<u8> = key.iter().copied().collect();
    let steps: HashSet<u8> = key.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    bytes.len() >= DIFFERENT_BYTES_MIN
        && steps.len() >= DIFFERENT_STEPS_MIN
        && !key.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({} [redacted])", self.id)
    }
}

/// The first wraps, each unwraps.
#[derive(Debug, Clone)]
pub struct LocalMasterKeys {
    keys: Arc<[MasterKey]>,
    randomness: Arc<dyn Randomness>,
}

impl LocalMasterKeys {
    pub fn new(keys: Vec<MasterKey>, randomness: Arc<dyn Randomness>) -> Result<Self, MasterKeyError> {
        if !(1..=MASTER_KEYS_MAX).contains(&keys.len()) {
            return Err(MasterKeyError::Count);
        }
        let ids: HashSet<_> = keys.iter().map(|key| &key.id).collect();
        let values: HashSet<_> = keys.iter().map(|key| key.key.expose_secret()).collect();
        if ids.len() < keys.len() || values.len() < keys.len() {
            return Err(MasterKeyError::Twice);
        }
        Ok(Self {
            keys: keys.into(),
            randomness,
        })
    }

    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.id.as_str())
    }

    fn first(&self) -> &MasterKey {
        self.keys.first().expect("there is at least one master key")
    }
}

#[async_trait]
impl KeyWrapper for LocalMasterKeys {
    fn wraps_with(&self) -> &str {
        &self.first().id
    }

    async fn wrap(&self, site: SiteId, version: u32, key: &DataKey) -> Result<WrappedKey, SecretError> {
        let master = self.first();
        let bound = bound(site, version, &master.id);
        Ok(WrappedKey {
            site,
            version,
            master: master.id.clone(),
            bytes: cipher::seal(&master.key, &bound, key.expose_secret(), self.randomness.as_ref()),
        })
    }

    async fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey, SecretError> {
        let master = self.keys.iter().find(|key| key.id == wrapped.master);
        let master = master.ok_or_else(|| SecretError::NoMasterKey(wrapped.master.clone()))?;
        let bound = bound(wrapped.site, wrapped.version, &master.id);
        let opened = cipher::open(&master.key, &bound, &wrapped.bytes)?;
        let opened = opened.expose_secret();
        if opened.len() != KEY_BYTES {
            return Err(SecretError::Refused);
        }
        Ok(DataKey::init_with_mut(|bytes| bytes.copy_from_slice(opened)))
    }
}

fn bound(site: SiteId, version: u32, master: &str) -> Bound {
    Bound::to("posx data key")
        .and(site.as_uuid().as_bytes())
        .and(&version.to_be_bytes())
        .and(master.as_bytes())
}
