//! A transaction of the plane.

use async_trait::async_trait;
use posx_kernel::{Actor, GrantId, IdentityId, SiteId, StoreError, StoreFault, Timestamp, Transaction};
use posx_tenancy::{Act, Grant, NewMember, Origin, PlatformError, PlatformTx, Site, SiteCode, Staff};
use sqlx::{PgPool, Postgres, Row};

use super::{state_name, views};
use crate::directory::{module_name, site_of};
use crate::error::{StoreResult, store};
use crate::members::KEEP_AN_OWNER;
use crate::site_tx::ActorSetting;

#[derive(Debug)]
pub(super) struct PgPlatformTx {
    tx: sqlx::Transaction<'static, Postgres>,
}

impl PgPlatformTx {
    /// In one message, as a site's transaction: ids and hexadecimal digits are all that is printed into it.
    pub(super) async fn begin(
        pool: &PgPool,
        actor: &Actor,
        site: Option<SiteId>,
    ) -> Result<Self, StoreError> {
        let mut text = format!("BEGIN; SET LOCAL app.actor = '{}'", ActorSetting(actor));
        if let Some(site) = site {
            text = format!("{text}; SET LOCAL app.current_site_id = '{}'", site.as_uuid());
        }
        let tx = crate::connection::begin(pool, sqlx::AssertSqlSafe(text)).await?;
        Ok(Self { tx })
    }
}

#[async_trait]
impl Transaction for PgPlatformTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.tx.commit().await.store()
    }
}

#[async_trait]
impl PlatformTx for PgPlatformTx {
    async fn record(&mut self, act: &Act) -> Result<(), StoreError> {
        sqlx::query(
            "insert into platform_audit (id, at, action, site_id_of_subject, subject_id, changes)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(act.id)
        .bind(act.at)
        .bind(act.action)
        .bind(act.site.map(SiteId::as_uuid))
        .bind(act.subject)
        .bind(&act.changes)
        .execute(&mut *self.tx)
        .await
        .store()?;
        Ok(())
    }

    async fn insert_site(&mut self, site: &Site) -> Result<(), PlatformError> {
        let modules: Vec<_> = site.modules.iter().map(|module| module_name(*module)).collect();
        let done = sqlx::query(
            "insert into sites (id, code, name, currency, time_zone, state, modules, order_expiry_minutes, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict on constraint sites_code_key do nothing",
        )
        .bind(site.id.as_uuid())
        .bind(site.code.as_str())
        .bind(&site.name)
        .bind(site.currency.code())
        .bind(site.time_zone.name())
        .bind(state_name(site.state))
        .bind(modules)
        .bind(i32::from(site.order_expiry_minutes))
        .bind(site.created_at)
        .execute(&mut *self.tx)
        .await
        .store()?;
        if done.rows_affected() == 0 {
            return Err(PlatformError::CodeTaken);
        }
        Ok(())
    }

    async fn site_for_update(&mut self, code: &SiteCode) -> Result<Option<Site>, StoreError> {
        let row = sqlx::query("select * from sites where code = $1 for update")
            .bind(code.as_str())
            .fetch_optional(&mut *self.tx)
            .await
            .store()?;
        row.as_ref().map(site_of).transpose()
    }

    async fn save_site(&mut self, site: &Site) -> Result<(), StoreError> {
        let origins: Vec<_> = site.cors_origins.iter().map(Origin::as_str).collect();
        let modules: Vec<_> = site.modules.iter().map(|module| module_name(*module)).collect();
        sqlx::query("update sites set state = $2, cors_origins = $3, modules = $4 where id = $1")
            .bind(site.id.as_uuid())
            .bind(state_name(site.state))
            .bind(origins)
            .bind(modules)
            .execute(&mut *self.tx)
            .await
            .store()?;
        Ok(())
    }

    async fn change_hosts(
        &mut self,
        site: SiteId,
        added: &[String],
        removed: &[String],
    ) -> Result<(), PlatformError> {
        let row = sqlx::query("select app.change_host_names($1, $2, $3)")
            .bind(site.as_uuid())
            .bind(added)
            .bind(removed)
            .fetch_one(&mut *self.tx)
            .await
            .store()?;
        match row.try_get(0).store()? {
            Some(taken) => Err(PlatformError::HostTaken(taken)),
            None => Ok(()),
        }
    }

    async fn vaults(&mut self, site: SiteId) -> Result<Vec<String>, StoreError> {
        super::vaults::of(&mut *self.tx, site).await
    }

    async fn change_vaults(
        &mut self,
        site: SiteId,
        added: &[String],
        removed: &[String],
    ) -> Result<(), PlatformError> {
        super::vaults::change(&mut self.tx, site, added, removed).await
    }

    async fn appoint_member(&mut self, site: SiteId, member: &NewMember) -> Result<(), PlatformError> {
        let row = sqlx::query("select app.appoint_member($1, $2, $3, $4, $5, $6)")
            .bind(site.as_uuid())
            .bind(member.identity.as_uuid())
            .bind(member.party.as_uuid())
            .bind(member.referral_code.as_str())
            .bind(member.role.as_str())
            .bind(member.at)
            .fetch_one(&mut *self.tx)
            .await
            .map_err(store);
        let row = match row {
            Err(error) if error.constraint_name() == Some(KEEP_AN_OWNER) => {
                return Err(PlatformError::LastOwner);
            }
            row => row?,
        };
        if row.try_get(0).store()? {
            return Ok(());
        }
        let taken = StoreError::new(StoreFault::Retry, "the random referral code is taken");
        Err(taken.into())
    }

    async fn admins_for_update(&mut self) -> Result<Vec<IdentityId>, StoreError> {
        let rows = sqlx::query(
            "select identity_id from platform_staff where role = 'admin' and state = 'active'
             order by identity_id for update",
        )
        .fetch_all(&mut *self.tx)
        .await
        .store()?;
        rows.iter()
            .map(|row| Ok(IdentityId::from_uuid(row.try_get(0).store()?)))
            .collect()
    }

    async fn staff_for_update(&mut self, identity: IdentityId) -> Result<Option<Staff>, StoreError> {
        let row = sqlx::query("select * from platform_staff where identity_id = $1 for update")
            .bind(identity.as_uuid())
            .fetch_optional(&mut *self.tx)
            .await
            .store()?;
        row.as_ref().map(views::staff_of).transpose()
    }

    async fn save_staff(&mut self, staff: &Staff) -> Result<(), StoreError> {
        sqlx::query(
            "insert into platform_staff
               (identity_id, name, role, state, appointed_at, open_grant_id, site_id_of_grant, open_until)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (identity_id) do update set name = $2, role = $3, state = $4,
               open_grant_id = $6, site_id_of_grant = $7, open_until = $8",
        )
        .bind(staff.identity.as_uuid())
        .bind(&staff.name)
        .bind(staff.role.as_str())
        .bind(staff.state.as_str())
        .bind(staff.appointed_at)
        .bind(staff.visit.map(|visit| visit.grant.as_uuid()))
        .bind(staff.visit.map(|visit| visit.site.as_uuid()))
        .bind(staff.visit.map(|visit| visit.until))
        .execute(&mut *self.tx)
        .await
        .store()?;
        Ok(())
    }

    async fn insert_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        sqlx::query(
            "insert into platform_grants (id, staff_id, staff_name, reason, opened_at, until)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(grant.id.as_uuid())
        .bind(grant.staff.as_uuid())
        .bind(&grant.staff_name)
        .bind(&grant.reason)
        .bind(grant.opened_at)
        .bind(grant.until)
        .execute(&mut *self.tx)
        .await
        .store()?;
        Ok(())
    }

    async fn end_grant(&mut self, grant: GrantId, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "update platform_grants set ended_at = $2, ended_by = app.actor_part(2)::uuid
             where id = $1 and ended_at is null",
        )
        .bind(grant.as_uuid())
        .bind(at)
        .execute(&mut *self.tx)
        .await
        .store()?;
        Ok(())
    }
}
