use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::future::Cache;
use posx_kernel::{IdentityId, SiteId, StoreError};
use posx_tenancy::{Directory, Member, Origin, Site, SiteCode};

/// A suspended or renamed site is seen by requests within this time.
pub const SITE_AGE_MAX: Duration = Duration::from_secs(30);
/// A member who was removed, or whose role changed, is treated so within this time.
pub const MEMBER_AGE_MAX: Duration = Duration::from_mins(1);
/// An identity never changes.
const IDENTITY_AGE_MAX: Duration = Duration::from_mins(10);

const SITES_MAX: u64 = 10_000;
const PEOPLE_MAX: u64 = 100_000;

/// A directory whose answers are kept for a short time in this process. Only what was found is kept.
#[derive(Clone)]
pub struct CachedDirectory {
    inner: Arc<dyn Directory>,
    by_code: Cache<SiteCode, Site>,
    by_host: Cache<String, Site>,
    origins: Cache<Origin, ()>,
    identities: Cache<(String, String), IdentityId>,
    members: Cache<(SiteId, IdentityId), Member>,
}

impl std::fmt::Debug for CachedDirectory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CachedDirectory").finish_non_exhaustive()
    }
}

impl CachedDirectory {
    pub fn new(inner: Arc<dyn Directory>) -> Self {
        Self {
            inner,
            by_code: cache(SITES_MAX, SITE_AGE_MAX),
            by_host: cache(SITES_MAX, SITE_AGE_MAX),
            origins: cache(SITES_MAX, SITE_AGE_MAX),
            identities: cache(PEOPLE_MAX, IDENTITY_AGE_MAX),
            members: cache(PEOPLE_MAX, MEMBER_AGE_MAX),
        }
    }
}

fn cache<K, V>(entries_max: u64, age_max: Duration) -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(entries_max)
        .time_to_live(age_max)
        .build()
}

#[async_trait]
impl Directory for CachedDirectory {
    async fn site_by_code(&self, code: &SiteCode) -> Result<Option<Site>, StoreError> {
        if let Some(site) = self.by_code.get(code).await {
            return Ok(Some(site));
        }
        let found = self.inner.site_by_code(code).await?;
        if let Some(site) = &found {
            self.by_code.insert(code.clone(), site.clone()).await;
        }
        Ok(found)
    }

    async fn site_by_host(&self, host: &str) -> Result<Option<Site>, StoreError> {
        if let Some(site) = self.by_host.get(host).await {
            return Ok(Some(site));
        }
        let found = self.inner.site_by_host(host).await?;
        if let Some(site) = &found {
            self.by_host.insert(host.to_owned(), site.clone()).await;
        }
        Ok(found)
    }

    /// Not kept: the job runner asks, and a suspended site's jobs must wait from that moment on.
    async fn site(&self, id: SiteId) -> Result<Option<Site>, StoreError> {
        self.inner.site(id).await
    }

    async fn knows_origin(&self, origin: &Origin) -> Result<bool, StoreError> {
        if self.origins.contains_key(origin) {
            return Ok(true);
        }
        let known = self.inner.knows_origin(origin).await?;
        if known {
            self.origins.insert(origin.clone(), ()).await;
        }
        Ok(known)
    }

    async fn identity(&self, issuer: &str, subject: &str) -> Result<IdentityId, StoreError> {
        let key = (issuer.to_owned(), subject.to_owned());
        if let Some(identity) = self.identities.get(&key).await {
            return Ok(identity);
        }
        let identity = self.inner.identity(issuer, subject).await?;
        self.identities.insert(key, identity).await;
        Ok(identity)
    }

    async fn member(&self, site: SiteId, identity: IdentityId) -> Result<Option<Member>, StoreError> {
        let key = (site, identity);
        if let Some(member) = self.members.get(&key).await {
            return Ok(Some(member));
        }
        let found = self.inner.member(site, identity).await?;
        if let Some(member) = &found {
            self.members.insert(key, member.clone()).await;
        }
        Ok(found)
    }

    async fn forget_member(&self, site: SiteId, identity: IdentityId) {
        self.members.invalidate(&(site, identity)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// J13 where nobody tells this process: what it knows of a member dies of age, however often it is asked for.
    #[tokio::test]
    async fn j13_a_member_that_is_asked_for_all_the_time_is_read_anew_within_its_age() {
        assert!(MEMBER_AGE_MAX <= Duration::from_mins(1));
        let age = Duration::from_millis(60);
        let members: Cache<u8, ()> = cache(PEOPLE_MAX, age);
        members.insert(1, ()).await;
        let begun = std::time::Instant::now();
        while members.get(&1).await.is_some() {
            assert!(begun.elapsed() < 100 * age, "reading keeps it alive");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert!(begun.elapsed() >= age);
    }
}
