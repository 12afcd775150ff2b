//! Looking at tables from outside the use cases, as the app role: for the demo's attack, the audit and the tests.

use posx_kernel::{SiteId, StoreError, Timestamp};
use sqlx::{AssertSqlSafe, Row};

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

impl Database {
    /// What the server's own clock says, for `posx doctor` to compare: no use case asks it.
    pub async fn server_clock(&self) -> Result<Timestamp, StoreError> {
        let row = sqlx::query("select clock_timestamp()")
            .fetch_one(&self.pool)
            .await
            .store()?;
        row.try_get(0).store()
    }

    /// Every table that has a `site_id`, by the catalogue.
    pub async fn site_tables(&self) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "select c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
             join pg_attribute a on a.attrelid = c.oid and a.attname = 'site_id' and not a.attisdropped
             where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> 'site_hosts' order by 1",
        )
        .fetch_all(&self.pool)
        .await
        .store()?;
        rows.iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()
            .store()
    }

    /// How many rows of `of` the app role sees in a table, working in the site `within` or in none. `table` must be one that
    /// [`site_tables`](Self::site_tables) named.
    pub async fn rows_seen(
        &self,
        table: &str,
        of: SiteId,
        within: Option<SiteId>,
    ) -> Result<i64, StoreError> {
        if !self.site_tables().await?.iter().any(|known| known == table) {
            return Err(StoreError::broken("not a table of sites"));
        }
        let count = AssertSqlSafe(format!("select count(*) from {table} where site_id = $1"));
        let query = sqlx::query(count).bind(of.as_uuid());
        let row = match within {
            Some(site) => {
                let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
                query.fetch_one(tx.connection()).await.store()?
            }
            None => query.fetch_one(&self.pool).await.store()?,
        };
        row.try_get(0).store()
    }
}
