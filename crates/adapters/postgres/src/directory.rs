//! What is asked before the site is known: through narrow functions, because the app role cannot read these tables.

use std::sync::Arc;

use async_trait::async_trait;
use posx_kernel::{Clock, IdentityId, Ids, PartyId, SiteId, StoreError};
use posx_tenancy::{Directory, Member, Module, Origin, ReferralCode, Role, Site, SiteCode, SiteState};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::currency;

/// [`Directory`] on the app role's pool. It makes an identity's row on first sight, so it needs time and ids.
#[derive(Debug, Clone)]
pub struct PgDirectory {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl PgDirectory {
    pub fn new(database: Database, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { database, clock, ids }
    }

    async fn one(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Option<Site>, StoreError> {
        let row = query.fetch_optional(&self.database.pool).await.store()?;
        row.as_ref().map(site_of).transpose()
    }
}

pub(crate) fn module_name(module: Module) -> &'static str {
    match module {
        Module::TokenSale => "token_sale",
        Module::Pos => "pos",
        Module::Storefront => "storefront",
        Module::Brokerage => "brokerage",
        Module::Channel => "channel",
        Module::Assistant => "assistant",
    }
}

pub(crate) fn site_of(row: &PgRow) -> Result<Site, StoreError> {
    let code: String = row.try_get("code").store()?;
    let time_zone: String = row.try_get("time_zone").store()?;
    let state: String = row.try_get("state").store()?;
    let expiry: i32 = row.try_get("order_expiry_minutes").store()?;
    let modules: Vec<String> = row.try_get("modules").store()?;
    Ok(Site {
        id: SiteId::from_uuid(row.try_get("id").store()?),
        code: SiteCode::new(&code).ok_or_else(|| StoreError::broken("a site's code"))?,
        name: row.try_get("name").store()?,
        host_names: row.try_get("host_names").store()?,
        cors_origins: origins_of(row)?,
        currency: currency(row.try_get("currency").store()?)?,
        time_zone: time_zone
            .parse()
            .map_err(|_| StoreError::broken("a site's time zone"))?,
        state: if state == "active" {
            SiteState::Active
        } else {
            SiteState::Suspended
        },
        modules: Module::ALL
            .into_iter()
            .filter(|m| modules.iter().any(|name| name == module_name(*m)))
            .collect(),
        order_expiry_minutes: u16::try_from(expiry)
            .map_err(|_| StoreError::broken("a site's order expiry"))?,
        created_at: row.try_get("created_at").store()?,
    })
}

fn origins_of(row: &PgRow) -> Result<Vec<Origin>, StoreError> {
    let texts: Vec<String> = row.try_get("cors_origins").store()?;
    let origin = |text: &String| Origin::parse(text).ok_or_else(|| StoreError::broken("a site's origin"));
    texts.iter().map(origin).collect()
}

pub(crate) fn member_of(row: &PgRow) -> Result<Member, StoreError> {
    let (role, code, site): (String, String, String) = (
        row.try_get("role").store()?,
        row.try_get("referral_code").store()?,
        row.try_get("site_code").store()?,
    );
    let site = SiteCode::new(&site).ok_or_else(|| StoreError::broken("a site's code"))?;
    Ok(Member {
        identity: IdentityId::from_uuid(row.try_get("identity_id").store()?),
        party: PartyId::from_uuid(row.try_get("party_id").store()?),
        role: Role::from_name(&role).ok_or_else(|| StoreError::broken("a member's role"))?,
        places: crate::members::places(row)?,
        referral_code: ReferralCode::parse(&code, &site)
            .map_err(|_| StoreError::broken("a referral code"))?,
    })
}

#[async_trait]
impl Directory for PgDirectory {
    async fn site_by_code(&self, code: &SiteCode) -> Result<Option<Site>, StoreError> {
        self.one(sqlx::query("select * from app.find_site($1, null)").bind(code.as_str()))
            .await
    }

    async fn site_by_host(&self, host: &str) -> Result<Option<Site>, StoreError> {
        self.one(sqlx::query("select * from app.find_site(null, $1)").bind(host))
            .await
    }

    async fn site(&self, id: SiteId) -> Result<Option<Site>, StoreError> {
        self.one(sqlx::query("select * from app.site($1)").bind(id.as_uuid()))
            .await
    }

    async fn knows_origin(&self, origin: &Origin) -> Result<bool, StoreError> {
        let row = sqlx::query("select app.knows_origin($1)")
            .bind(origin.as_str())
            .fetch_one(&self.database.pool)
            .await
            .store()?;
        row.try_get(0).store()
    }

    async fn identity(&self, issuer: &str, subject: &str) -> Result<IdentityId, StoreError> {
        let now = self.clock.now();
        let id = sqlx::query("select app.identity_of($1, $2, $3, $4)")
            .bind(issuer)
            .bind(subject)
            .bind(self.ids.uuid(now))
            .bind(now)
            .fetch_one(&self.database.pool)
            .await
            .store()?;
        Ok(IdentityId::from_uuid(id.try_get(0).store()?))
    }

    async fn member(&self, site: SiteId, identity: IdentityId) -> Result<Option<Member>, StoreError> {
        let mut tx = SiteTx::begin(&self.database.pool, site, "BEGIN READ ONLY").await?;
        crate::tenancy::find_member(&mut tx, identity).await
    }
}
