use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use posx_kernel::{IdentityId, SessionId, StoreError, Timestamp};
use posx_tenancy::{NewSession, Rotation, SessionStore, SessionView, SignInFacts, TokenUse};

/// An access token of a session that another process ended is refused within this time.
pub const SESSION_AGE_MAX: Duration = Duration::from_mins(1);
const SESSIONS_MAX: u64 = 100_000;

/// Sessions whose sign-ins are kept for a short time in this process. What this process ends is over in it at once.
#[derive(Clone)]
pub struct CachedSessions {
    inner: Arc<dyn SessionStore>,
    sign_ins: Cache<SessionId, SignInFacts>,
    /// A look-up that began before the end may still come back and be kept: this is asked first, for as long as that lasts.
    ended: Cache<SessionId, ()>,
}

impl std::fmt::Debug for CachedSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedSessions").finish_non_exhaustive()
    }
}

impl CachedSessions {
    pub fn new(inner: Arc<dyn SessionStore>) -> Self {
        let (sign_ins, ended) = (Cache::builder(), Cache::builder());
        Self {
            inner,
            sign_ins: sign_ins
                .max_capacity(SESSIONS_MAX)
                .time_to_live(SESSION_AGE_MAX)
                .build(),
            ended: ended
                .max_capacity(SESSIONS_MAX)
                .time_to_live(2 * SESSION_AGE_MAX)
                .build(),
        }
    }

    async fn note_ended(&self, ids: &[SessionId]) {
        for id in ids {
            self.ended.insert(*id, ()).await;
            self.sign_ins.invalidate(id).await;
        }
    }
}

#[async_trait]
impl SessionStore for CachedSessions {
    async fn open(&self, new: &NewSession, max: usize) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.inner.open(new, max).await?;
        self.note_ended(&ended).await;
        Ok(ended)
    }

    async fn refresh(&self, shown: &TokenUse) -> Result<Rotation, StoreError> {
        let rotation = self.inner.refresh(shown).await?;
        if let Rotation::Reused(id) = &rotation {
            self.note_ended(&[*id]).await;
        }
        Ok(rotation)
    }

    async fn sign_in(&self, id: SessionId, now: Timestamp) -> Result<Option<SignInFacts>, StoreError> {
        let mut sign_in = self.sign_ins.get(&id).await;
        if sign_in.is_none() {
            sign_in = self.inner.sign_in(id, now).await?;
            if let Some(found) = &sign_in {
                self.sign_ins.insert(id, found.clone()).await;
            }
        }
        // Last, so that an end is seen that came meanwhile.
        Ok(sign_in.filter(|_| !self.ended.contains_key(&id)))
    }

    async fn of_identity(
        &self,
        identity: IdentityId,
        now: Timestamp,
    ) -> Result<Vec<SessionView>, StoreError> {
        self.inner.of_identity(identity, now).await
    }

    async fn end(&self, id: SessionId, identity: IdentityId, now: Timestamp) -> Result<bool, StoreError> {
        let ended = self.inner.end(id, identity, now).await?;
        if ended {
            self.note_ended(&[id]).await;
        }
        Ok(ended)
    }

    async fn end_all(&self, identity: IdentityId, now: Timestamp) -> Result<Vec<SessionId>, StoreError> {
        let ended = self.inner.end_all(identity, now).await?;
        self.note_ended(&ended).await;
        Ok(ended)
    }
}
