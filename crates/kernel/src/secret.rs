//! Secrets that are kept: sealed for one place in the store, and of no use in any other.

use std::fmt;

use async_trait::async_trait;
use secrecy::{SecretBox, SecretSlice};

use crate::{Kind, Refusal, SiteId, StoreError, Timestamp};

/// Where a secret is kept. It is bound to all four: copied to another row or site, it does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretPlace {
    pub site: SiteId,
    pub table: &'static str,
    /// What tells the row from the others of its table at this site, as text.
    pub row: String,
    pub column: &'static str,
}

/// What a column named `…_sealed` holds: opaque bytes that only a [`SecretKeeper`] reads.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// As they come from the store: whether they are whole shows when they are opened.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Seals and opens. It may ask the store for a site's key, on a connection of its own: so not while a transaction is open.
#[async_trait]
pub trait SecretKeeper: Send + Sync + fmt::Debug {
    async fn seal(&self, place: &SecretPlace, secret: &[u8]) -> Result<Sealed, SecretError>;
    /// What was sealed for exactly this place.
    async fn open(&self, place: &SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SecretError>;
}

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Altered, moved here from elsewhere, or under a key that is gone: which, is not told.
    #[error("the secret cannot be opened here")]
    Refused,
    #[error("the master key {0} is not in the settings")]
    NoMasterKey(String),
    #[error("the keys of the site cannot be read or kept")]
    Store(#[from] StoreError),
}

impl Refusal for SecretError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused | Self::NoMasterKey(_) => "internal",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Refused | Self::NoMasterKey(_) => Kind::Internal,
            Self::Store(error) => error.kind(),
        }
    }
}

/// A site's own key: AES-256.
pub type DataKey = SecretBox<[u8; 32]>;

/// A data key as it is kept: of use only to who has the master key.
#[derive(Clone, PartialEq, Eq)]
pub struct WrappedKey {
    pub site: SiteId,
    /// Counts from 1 within the site.
    pub version: u32,
    /// The master key that it is wrapped with.
    pub master: String,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedKey")
            .field("site", &self.site)
            .field("version", &self.version)
            .field("master", &self.master)
            .finish_non_exhaustive()
    }
}

/// Wraps data keys with master keys, which never leave it: the place for a key management service. What is wrapped is bound
/// to its site and version.
#[async_trait]
pub trait KeyWrapper: Send + Sync + fmt::Debug {
    /// The id of the master key that wraps from now on.
    fn wraps_with(&self) -> &str;
    async fn wrap(&self, site: SiteId, version: u32, key: &DataKey) -> Result<WrappedKey, SecretError>;
    async fn unwrap(&self, wrapped: &WrappedKey) -> Result<DataKey, SecretError>;
}

/// Where the wrapped keys of sites are kept.
#[async_trait]
pub trait DataKeys: Send + Sync + fmt::Debug {
    /// The highest version, which seals; `None` before the site's first secret.
    async fn current(&self, site: SiteId) -> Result<Option<WrappedKey>, StoreError>;
    async fn version(&self, site: SiteId, version: u32) -> Result<Option<WrappedKey>, StoreError>;
    /// Keeps it as the site's next version. False if somebody else's has that version: then that one counts.
    async fn add(&self, key: &WrappedKey, at: Timestamp) -> Result<bool, StoreError>;
}
