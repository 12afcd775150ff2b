//! Which site has which of the custodian's vaults.

use posx_kernel::{SiteId, StoreError};
use posx_tenancy::PlatformError;
use sqlx::{PgConnection, PgExecutor, Postgres, Row, Transaction};

use crate::error::StoreResult;

pub(super) async fn of(executor: impl PgExecutor<'_>, site: SiteId) -> Result<Vec<String>, StoreError> {
    sqlx::query_scalar(
        "select vault from site_vaults where site_id_of_owner = $1 order by vault collate \"C\"",
    )
    .bind(site.as_uuid())
    .fetch_all(executor)
    .await
    .store()
}

pub(super) async fn change(
    tx: &mut Transaction<'static, Postgres>,
    site: SiteId,
    added: &[String],
    removed: &[String],
) -> Result<(), PlatformError> {
    let connection: &mut PgConnection = tx;
    let row = sqlx::query("select app.change_vaults($1, $2, $3)")
        .bind(site.as_uuid())
        .bind(added)
        .bind(removed)
        .fetch_one(connection)
        .await
        .store()?;
    match row.try_get(0).store()? {
        Some(taken) => Err(PlatformError::VaultTaken(taken)),
        None => Ok(()),
    }
}
