//! The platform plane, on the role `posx_platform` and a pool of its own.

use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{Clock, IdentityId, Ids, PartyId, SiteId, StoreError, StoreFault, Transaction};
use posx_tenancy::{NewMember, PlatformDirectory, PlatformError, Site, SiteCode, SiteState};
use sqlx::{PgPool, Row};

use crate::connection::{DatabaseOptions, begin, connect};
use crate::directory::{module_name, site_of};
use crate::error::{StoreResult, store};
use crate::site_tx::SiteTx;
use crate::tenancy::INSERT_MEMBER;

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
}

const fn state_name(state: SiteState) -> &'static str {
    match state {
        SiteState::Active => "active",
        SiteState::Suspended => "suspended",
    }
}

#[async_trait]
impl PlatformDirectory for PlatformDatabase {
    async fn create(&self, site: &Site) -> Result<(), PlatformError> {
        let mut tx = begin(&self.pool, "BEGIN").await?;
        let modules: Vec<_> = site.modules.iter().map(|module| module_name(*module)).collect();
        let done = sqlx::query(
            "insert into sites (id, code, name, host_names, currency, time_zone, state, modules, order_expiry_minutes, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict on constraint sites_code_key do nothing",
        )
        .bind(site.id.as_uuid())
        .bind(site.code.as_str())
        .bind(&site.name)
        .bind(&site.host_names)
        .bind(site.currency.code())
        .bind(site.time_zone.name())
        .bind(state_name(site.state))
        .bind(modules)
        .bind(i32::from(site.order_expiry_minutes))
        .bind(site.created_at)
        .execute(&mut *tx)
        .await
        .store()?;
        if done.rows_affected() == 0 {
            return Err(PlatformError::CodeTaken);
        }
        for host in &site.host_names {
            let taken = sqlx::query(
                "insert into site_hosts (host, site_id) values ($1, $2) on conflict (host) do nothing",
            )
            .bind(host)
            .bind(site.id.as_uuid())
            .execute(&mut *tx)
            .await
            .store()?;
            if taken.rows_affected() == 0 {
                return Err(PlatformError::HostTaken(host.clone()));
            }
        }
        tx.commit().await.map_err(store)?;
        Ok(())
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

    async fn appoint(&self, site: SiteId, member: &NewMember) -> Result<(), StoreError> {
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN").await?;
        let changed =
            sqlx::query("update memberships set role = $2, state = 'active' where identity_id = $1")
                .bind(member.identity.as_uuid())
                .bind(member.role.as_str())
                .execute(tx.connection())
                .await
                .store()?;
        if changed.rows_affected() == 0 {
            let made = sqlx::query(INSERT_MEMBER)
                .bind(member.party.as_uuid())
                .bind(member.identity.as_uuid())
                .bind(member.referral_code.as_str())
                .bind(member.claimed_referrer.map(PartyId::as_uuid))
                .bind(member.at)
                .bind(member.role.as_str())
                .execute(tx.connection())
                .await
                .store()?;
            if made.rows_affected() == 0 {
                return Err(StoreError::new(
                    StoreFault::Retry,
                    "the random referral code is taken",
                ));
            }
        }
        Box::new(tx).commit().await
    }

    async fn list(&self) -> Result<Vec<Site>, StoreError> {
        let rows = sqlx::query("select * from sites order by code")
            .fetch_all(&self.pool)
            .await
            .store()?;
        rows.iter().map(site_of).collect()
    }

    async fn find(&self, code: &SiteCode) -> Result<Option<Site>, StoreError> {
        let row = sqlx::query("select * from sites where code = $1")
            .bind(code.as_str())
            .fetch_optional(&self.pool)
            .await
            .store()?;
        row.as_ref().map(site_of).transpose()
    }

    async fn set_state(&self, site: SiteId, state: SiteState) -> Result<(), StoreError> {
        sqlx::query("update sites set state = $2 where id = $1")
            .bind(site.as_uuid())
            .bind(state_name(state))
            .execute(&self.pool)
            .await
            .store()?;
        Ok(())
    }
}
