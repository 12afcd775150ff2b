//! The platform plane, on the role `posx_platform` and a pool of its own. That role reads no row of a site but its own grants.

mod grants;
mod tx;
mod vaults;
mod views;

use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{Actor, Clock, IdentityId, Ids, Page, PageRequest, SiteId, StoreError, Transaction as _};
use posx_tenancy::{
    ActFilter, ActView, GrantView, PlatformDirectory, PlatformTx, Site, SiteCode, SiteFigures, SiteState,
    Span, Staff,
};
use sqlx::{PgPool, Row};

use self::tx::PgPlatformTx;
use crate::Posture;
use crate::connection::{DatabaseOptions, connect};
use crate::directory::site_of;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[derive(Debug, Clone)]
pub struct PlatformDatabase {
    pool: PgPool,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl PlatformDatabase {
    pub async fn connect(url: &str, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Result<Self, StoreError> {
        let options = DatabaseOptions {
            pool_size: 2,
            ..DatabaseOptions::default()
        };
        Ok(Self {
            pool: connect(url, "posx-platform", options).await?,
            clock,
            ids,
        })
    }

    /// As the app role's: what row-level security protects, it protects from this role too.
    pub async fn posture(&self) -> Result<Posture, StoreError> {
        crate::posture::posture_of(&self.pool).await
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }
}

const fn state_name(state: SiteState) -> &'static str {
    match state {
        SiteState::Active => "active",
        SiteState::Suspended => "suspended",
    }
}

#[async_trait]
impl PlatformDirectory for PlatformDatabase {
    async fn begin(&self, actor: &Actor, site: Option<SiteId>) -> Result<Box<dyn PlatformTx>, StoreError> {
        Ok(Box::new(PgPlatformTx::begin(&self.pool, actor, site).await?))
    }

    async fn identity(&self, issuer: &str, subject: &str) -> Result<IdentityId, StoreError> {
        let now = self.clock.now();
        let row = sqlx::query("select app.identity_of($1, $2, $3, $4)")
            .bind(issuer)
            .bind(subject)
            .bind(self.ids.uuid(now))
            .bind(now)
            .fetch_one(&self.pool)
            .await
            .store()?;
        Ok(IdentityId::from_uuid(row.try_get(0).store()?))
    }

    async fn list(&self) -> Result<Vec<Site>, StoreError> {
        let rows = sqlx::query("select * from sites order by code")
            .fetch_all(&self.pool)
            .await
            .store()?;
        rows.iter().map(site_of).collect()
    }

    async fn sites(&self, page: PageRequest) -> Result<Page<Site>, StoreError> {
        let rows =
            sqlx::query("select * from sites where $1::uuid is null or id < $1 order by id desc limit $2")
                .bind(page.after_id())
                .bind(i64::from(page.limit()) + 1)
                .fetch_all(&self.pool)
                .await
                .store()?;
        let sites = rows.iter().map(site_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(sites, page, |site| site.id.as_uuid()))
    }

    async fn find(&self, code: &SiteCode) -> Result<Option<Site>, StoreError> {
        let row = sqlx::query("select * from sites where code = $1")
            .bind(code.as_str())
            .fetch_optional(&self.pool)
            .await
            .store()?;
        row.as_ref().map(site_of).transpose()
    }

    async fn vaults(&self, site: SiteId) -> Result<Vec<String>, StoreError> {
        vaults::of(&self.pool, site).await
    }

    async fn staff(&self) -> Result<Vec<Staff>, StoreError> {
        let rows = sqlx::query("select * from platform_staff order by name, identity_id")
            .fetch_all(&self.pool)
            .await
            .store()?;
        rows.iter().map(views::staff_of).collect()
    }

    async fn staff_member(&self, identity: IdentityId) -> Result<Option<Staff>, StoreError> {
        let row = sqlx::query("select * from platform_staff where identity_id = $1")
            .bind(identity.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .store()?;
        row.as_ref().map(views::staff_of).transpose()
    }

    async fn grants(&self, site: SiteId, page: PageRequest) -> Result<Page<GrantView>, StoreError> {
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
        let page = grants::page(&mut tx, page).await?;
        Box::new(tx).commit().await?;
        Ok(page)
    }

    async fn audit(&self, filter: &ActFilter, page: PageRequest) -> Result<Page<ActView>, StoreError> {
        let rows = sqlx::query(
            "select *, encode(address_hash, 'hex') as address from platform_audit
             where ($1::uuid is null or site_id_of_subject = $1) and ($2::uuid is null or actor_id = $2)
               and ($3::uuid is null or id < $3)
             order by id desc limit $4",
        )
        .bind(filter.site.map(SiteId::as_uuid))
        .bind(filter.actor.map(IdentityId::as_uuid))
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(&self.pool)
        .await
        .store()?;
        let acts = rows.iter().map(views::act_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(acts, page, |act| act.id))
    }

    async fn figures(&self, span: Span, page: PageRequest) -> Result<Page<SiteFigures>, StoreError> {
        let rows = sqlx::query("select * from app.site_figures($1, $2, $3, $4)")
            .bind(span.since)
            .bind(span.before)
            .bind(page.after_id())
            .bind(i32::from(page.limit()) + 1)
            .fetch_all(&self.pool)
            .await
            .store()?;
        let sites = views::figures_of(&rows)?;
        Ok(Page::from_rows(sites, page, |site| site.site_id.as_uuid()))
    }
}
