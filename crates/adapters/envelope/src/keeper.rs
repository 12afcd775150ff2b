//! The keeper: finds the site's key, makes the first one, and keeps what it unwrapped for a while.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use posx_kernel::{
    Clock, DataKey, DataKeys, KeyWrapper, Randomness, Sealed, SecretError, SecretKeeper, SecretPlace, SiteId,
    StoreError, StoreFault, WrappedKey,
};
use secrecy::SecretSlice;

use crate::{cipher, sealed};

/// How long a process goes on sealing with a version after there is a newer one.
pub const CURRENT_KEY_LIFE: Duration = Duration::from_mins(1);
/// How long a key stands unwrapped in memory.
const KEY_LIFE: Duration = Duration::from_mins(5);
const KEYS_MAX: u64 = 10_000;

/// Seals and opens with keys that each site has of its own.
#[derive(Clone)]
pub struct Envelope {
    store: Arc<dyn DataKeys>,
    wrapper: Arc<dyn KeyWrapper>,
    randomness: Arc<dyn Randomness>,
    clock: Arc<dyn Clock>,
    keys: Cache<(SiteId, u32), Arc<DataKey>>,
    current: Cache<SiteId, u32>,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Envelope")
            .field("wrapper", &self.wrapper)
            .finish_non_exhaustive()
    }
}

impl Envelope {
    pub fn new(
        store: Arc<dyn DataKeys>,
        wrapper: Arc<dyn KeyWrapper>,
        randomness: Arc<dyn Randomness>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let keys = Cache::builder()
            .max_capacity(KEYS_MAX)
            .time_to_live(KEY_LIFE)
            .build();
        let current = Cache::builder()
            .max_capacity(KEYS_MAX)
            .time_to_live(CURRENT_KEY_LIFE)
            .build();
        Self {
            store,
            wrapper,
            randomness,
            clock,
            keys,
            current,
        }
    }

    /// Gives the site a new key, which seals from now on; other processes notice within [`CURRENT_KEY_LIFE`]. Returns its
    /// version.
    pub async fn renew_key(&self, site: SiteId) -> Result<u32, SecretError> {
        let last = self.store.current(site).await?;
        let next = last.map_or(Some(1), |key| key.version.checked_add(1));
        let next = next.ok_or(StoreError::broken("a site has no more versions of its key"))?;
        self.add_key(site, next).await?;
        self.current.insert(site, next).await;
        Ok(next)
    }

    pub(crate) async fn add_key(&self, site: SiteId, version: u32) -> Result<Arc<DataKey>, SecretError> {
        let key = cipher::random_key(self.randomness.as_ref());
        let wrapped = self.wrapper.wrap(site, version, &key).await?;
        if self.store.add(&wrapped, self.clock.now()).await? {
            return Ok(self.remember(site, version, key).await);
        }
        // Someone else was faster. What they made is the site's key.
        let theirs = self.store.version(site, version).await?;
        let theirs = theirs.ok_or_else(|| StoreError::new(StoreFault::Retry, "a key came and went"))?;
        self.unwrapped(&theirs).await
    }

    async fn unwrapped(&self, wrapped: &WrappedKey) -> Result<Arc<DataKey>, SecretError> {
        let key = self.wrapper.unwrap(wrapped).await?;
        Ok(self.remember(wrapped.site, wrapped.version, key).await)
    }

    async fn remember(&self, site: SiteId, version: u32, key: DataKey) -> Arc<DataKey> {
        let key = Arc::new(key);
        self.keys.insert((site, version), key.clone()).await;
        key
    }

    async fn sealing_key(&self, site: SiteId) -> Result<(u32, Arc<DataKey>), SecretError> {
        if let Some(version) = self.current.get(&site).await {
            return Ok((version, self.key(site, version).await?));
        }
        let (version, key) = match self.store.current(site).await? {
            Some(wrapped) => (wrapped.version, self.unwrapped(&wrapped).await?),
            None => (1, self.add_key(site, 1).await?),
        };
        self.current.insert(site, version).await;
        Ok((version, key))
    }

    async fn key(&self, site: SiteId, version: u32) -> Result<Arc<DataKey>, SecretError> {
        if let Some(key) = self.keys.get(&(site, version)).await {
            return Ok(key);
        }
        let wrapped = self.store.version(site, version).await?;
        self.unwrapped(&wrapped.ok_or(SecretError::Refused)?).await
    }
}

#[async_trait]
impl SecretKeeper for Envelope {
    async fn seal(&self, place: &SecretPlace, secret: &[u8]) -> Result<Sealed, SecretError> {
        let (version, key) = self.sealing_key(place.site).await?;
        Ok(sealed::seal(
            &key,
            version,
            place,
            secret,
            self.randomness.as_ref(),
        ))
    }

    async fn open(&self, place: &SecretPlace, sealed: &Sealed) -> Result<SecretSlice<u8>, SecretError> {
        let key = self.key(place.site, sealed::key_version(sealed)?).await?;
        sealed::open(&key, place, sealed)
    }
}
