use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use posx_kernel::{Clock, Timestamp};
use tokio::sync::OwnedMutexGuard;

use crate::cache::{Answer, Cache, KeyError, Limits, Pick};
use crate::fetch::{FetchError, FetchKeys};
use crate::jwk::{self, DocumentError, KID_BYTES_MAX};
use crate::key::VerifyingKey;

/// The keys of one issuer. Cheap to clone; clones share everything. Lookups need a tokio runtime.
#[derive(Clone)]
pub struct KeySet {
    inner: Arc<Inner>,
}

struct Inner {
    /// For logs and readiness.
    name: String,
    source: Arc<dyn FetchKeys>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// Held for moments only, never across an await.
    cache: Mutex<Cache>,
    /// Held by the one fetch that is under way.
    gate: Arc<tokio::sync::Mutex<()>>,
}

/// For readiness. A set is fetched by the first lookup or by [`KeySet::refresh_if_due`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySetHealth {
    pub name: String,
    /// Since the last fetch that succeeded; `None` before the first.
    pub age: Option<TimeDelta>,
    pub keys: usize,
    /// Whether a token with a known key would be taken now.
    pub usable: bool,
}

#[derive(Debug, thiserror::Error)]
enum RefreshError {
    #[error("the fetch failed")]
    Fetch(#[from] FetchError),
    #[error("the document cannot be used")]
    Document(#[from] DocumentError),
}

impl KeySet {
    pub fn new(name: impl Into<String>, source: Arc<dyn FetchKeys>, clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(name, source, clock, Limits::default())
    }

    pub fn with_limits(
        name: impl Into<String>,
        source: Arc<dyn FetchKeys>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        let inner = Inner {
            name: name.into(),
            source,
            clock,
            limits,
            cache: Mutex::default(),
            gate: Arc::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub async fn key(&self, kid: &str) -> Result<Arc<VerifyingKey>, KeyError> {
        if kid.len() > KID_BYTES_MAX {
            return Err(KeyError::Unknown);
        }
        self.pick(Pick::Kid(kid)).await
    }

    /// For a signature that names no kid: the set's key if it has exactly one.
    pub async fn only_key(&self) -> Result<Arc<VerifyingKey>, KeyError> {
        self.pick(Pick::Only).await
    }

    /// Fetches the set if it is missing or old, within the cool-down. Readiness calls this before [`Self::health`]:
    /// without traffic nothing else would keep the set fresh.
    pub async fn refresh_if_due(&self) {
        let inner = &self.inner;
        if !inner.cache().is_fetch_due(inner.now(), &inner.limits) {
            return;
        }
        let gate = Arc::clone(&inner.gate).lock_owned().await;
        if inner.cache().is_fetch_due(inner.now(), &inner.limits) {
            inner.fetch_unless_cooling(gate).await;
        }
    }

    pub fn health(&self) -> KeySetHealth {
        let now = self.inner.now();
        let cache = self.inner.cache();
        KeySetHealth {
            name: self.inner.name.clone(),
            age: cache.age(now),
            keys: cache.key_count(now, &self.inner.limits),
            usable: cache.is_usable(now, &self.inner.limits),
        }
    }

    async fn pick(&self, pick: Pick<'_>) -> Result<Arc<VerifyingKey>, KeyError> {
        let inner = &self.inner;
        let (known, begun_before) = {
            let cache = inner.cache();
            (
                cache.answer(pick, inner.now(), &inner.limits),
                cache.fetches_begun(),
            )
        };
        match known {
            Answer::Current(key) => return Ok(key),
            Answer::Missing(why) => return Err(why),
            Answer::Ageing(key) => match Arc::clone(&inner.gate).try_lock_owned() {
                Ok(gate) => inner.fetch_unless_cooling(gate).await,
                // Somebody is fetching; a key that may still be used waits for nobody.
                Err(_) => return Ok(key),
            },
            Answer::Ask => {
                let gate = Arc::clone(&inner.gate).lock_owned().await;
                inner.fetch_unless_cooling(gate).await;
            }
        }
        let now = inner.now();
        inner.cache().settle(pick, begun_before, now, &inner.limits)
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waited for the gate finds the fetch of the one before, and the cool-down begun.
    async fn fetch_unless_cooling(self: &Arc<Self>, gate: OwnedMutexGuard<()>) {
        let begun_at = self.now();
        {
            let mut cache = self.cache();
            if !cache.may_fetch(begun_at, &self.limits) {
                return;
            }
            cache.begin_fetch(begun_at);
        }
        let inner = Arc::clone(self);
        // A task of its own: a caller that hangs up must not end the fetch that others wait for.
        let fetch = tokio::spawn(async move {
            if let Err(error) = inner.fetch(begun_at).await {
                let error = &error as &(dyn Error + 'static);
                tracing::warn!(key_set = %inner.name, error, "a key set could not be refreshed");
            }
            drop(gate);
        });
        if let Err(error) = fetch.await {
            let error = &error as &(dyn Error + 'static);
            tracing::error!(key_set = %self.name, error, "the refresh of a key set broke off");
        }
    }

    async fn fetch(&self, begun_at: Timestamp) -> Result<(), RefreshError> {
        let keys = jwk::parse(&self.source.fetch().await?)?;
        tracing::debug!(key_set = %self.name, keys = keys.len(), "refreshed a key set");
        self.cache().finish_fetch(keys, begun_at);
        Ok(())
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeySet").field(&self.health()).finish()
    }
}

#[cfg(test)]
mod tests;
