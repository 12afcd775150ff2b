//! Grants as the site that they are for sees and ends them.

use posx_kernel::{
    GrantId, IdentityId, Page, PageRequest, SiteScope, StoreError, Timestamp, Transaction as _,
};
use posx_tenancy::GrantView;
use sqlx::Row;
use uuid::Uuid;

use super::views::grant_of;
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// Of the transaction's site, newest first.
pub(super) async fn page(tx: &mut SiteTx, page: PageRequest) -> Result<Page<GrantView>, StoreError> {
    let rows = sqlx::query(
        "select * from platform_grants where $1::uuid is null or id < $1 order by id desc limit $2",
    )
    .bind(page.after_id())
    .bind(i64::from(page.limit()) + 1)
    .fetch_all(tx.connection())
    .await
    .store()?;
    let grants = rows.iter().map(grant_of).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::from_rows(grants, page, |grant| grant.id.as_uuid()))
}

impl Database {
    /// Visits of platform staff to the site, newest first.
    pub async fn platform_grants(
        &self,
        scope: &SiteScope,
        request: PageRequest,
    ) -> Result<Page<GrantView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        page(&mut tx, request).await
    }

    /// The grant under which the staff member is in the site now. Asked at each request and kept nowhere: who is shown out is
    /// out.
    pub async fn open_platform_grant(
        &self,
        scope: &SiteScope,
        staff: IdentityId,
        now: Timestamp,
    ) -> Result<Option<GrantId>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(
            "select id from platform_grants where staff_id = $1 and ended_at is null and until > $2 order by id desc limit 1",
        )
        .bind(staff.as_uuid())
        .bind(now)
        .fetch_optional(tx.connection())
        .await
        .store()?;
        row.map(|row| Ok(GrantId::from_uuid(row.try_get(0).store()?)))
            .transpose()
    }

    /// The site shows platform staff out. False: no such grant is open here. `act` is the id of its line in the plane's audit.
    pub async fn end_platform_grant(
        &self,
        scope: &SiteScope,
        grant: GrantId,
        act: Uuid,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query("select app.end_grant($1, $2, $3)")
            .bind(grant.as_uuid())
            .bind(act)
            .bind(at)
            .fetch_one(tx.connection())
            .await
            .store()?;
        let ended = row.try_get(0).store()?;
        Box::new(tx).commit().await?;
        Ok(ended)
    }
}
