//! The wrapped data keys of sites, and every column that holds something sealed with one.

use async_trait::async_trait;
use posx_kernel::{DataKeys, Sealed, SiteId, StoreError, Timestamp, Transaction as _, WrappedKey};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};

use crate::connection::Database;
use crate::error::StoreResult;
use crate::platform::PlatformDatabase;
use crate::site_tx::SiteTx;

/// One column of sealed secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// In SQL: the row's text in the [`SecretPlace`](posx_kernel::SecretPlace) that its secrets are sealed for.
    row: &'static str,
}

/// All of them: what `posx keys rotate --data-keys` seals anew. A test compares the list with the catalogue.
pub const SEALED_COLUMNS: &[SealedColumn] = &[
    SealedColumn {
        table: "provider_accounts",
        column: "secret_key_sealed",
        row: "provider",
    },
    SealedColumn {
        table: "provider_accounts",
        column: "webhook_secrets_sealed",
        row: "provider",
    },
    SealedColumn {
        table: "second_factors",
        column: "secret_sealed",
        row: "'fac_' || replace(id::text, '-', '')",
    },
    SealedColumn {
        table: "payout_accounts",
        column: "details_sealed",
        row: "'pty_' || replace(party_id::text, '-', '') || ':' || version",
    },
    SealedColumn {
        table: "model_accounts",
        column: "key_sealed",
        row: "purpose",
    },
];

/// A version of a site's key that is still kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyVersion {
    pub version: u32,
    pub created_at: Timestamp,
}

#[async_trait]
impl DataKeys for Database {
    async fn current(&self, site: SiteId) -> Result<Option<WrappedKey>, StoreError> {
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
        let row =
            sqlx::query("select version, master, wrapped from site_data_keys order by version desc limit 1")
                .fetch_optional(tx.connection())
                .await
                .store()?;
        row.map(|row| key(site, &row)).transpose()
    }

    async fn version(&self, site: SiteId, version: u32) -> Result<Option<WrappedKey>, StoreError> {
        // A version that no column holds stands in altered bytes only.
        let Ok(version) = i32::try_from(version) else {
            return Ok(None);
        };
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
        let row = sqlx::query(
            "select version, master, wrapped from site_data_keys where version = $1 and retired_at is null",
        )
        .bind(version)
        .fetch_optional(tx.connection())
        .await
        .store()?;
        row.map(|row| key(site, &row)).transpose()
    }

    async fn add(&self, key: &WrappedKey, at: Timestamp) -> Result<bool, StoreError> {
        let mut tx = SiteTx::begin(&self.pool, key.site, "BEGIN").await?;
        let done = sqlx::query(
            "insert into site_data_keys (version, master, wrapped, created_at) values ($1, $2, $3, $4)
             on conflict do nothing",
        )
        .bind(number(key.version)?)
        .bind(&key.master)
        .bind(&key.bytes)
        .bind(at)
        .execute(tx.connection())
        .await
        .store()?;
        Box::new(tx).commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

/// For `posx keys`: the sealed rows of one site after the other. Bytes 2 to 5 of what is sealed are the version of its key.
impl Database {
    /// Oldest first; the last one seals.
    pub async fn key_versions(&self, site: SiteId) -> Result<Vec<KeyVersion>, StoreError> {
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
        let rows =
            sqlx::query("select version, created_at from site_data_keys where retired_at is null order by 1")
                .fetch_all(tx.connection())
                .await
                .store()?;
        let version = |row: &PgRow| {
            Ok(KeyVersion {
                version: counted(row.try_get(0).store()?)?,
                created_at: row.try_get(1).store()?,
            })
        };
        rows.iter().map(version).collect()
    }

    /// Some rows behind the row `after` whose secret is not sealed with this version: row and secret.
    pub async fn sealed_otherwise(
        &self,
        site: SiteId,
        column: &SealedColumn,
        version: u32,
        after: Option<&str>,
    ) -> Result<Vec<(String, Sealed)>, StoreError> {
        let SealedColumn { table, column, row } = column;
        let text = format!(
            "select r.key, r.sealed from (select {row} as key, {column} as sealed from {table}) r
             where r.sealed is not null and substring(r.sealed from 2 for 4) <> $1 and ($2::text is null or r.key > $2)
             order by r.key limit 100"
        );
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(version.to_be_bytes())
            .bind(after)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let sealed = |row: &PgRow| {
            Ok((
                row.try_get(0).store()?,
                Sealed::from_bytes(row.try_get(1).store()?),
            ))
        };
        rows.iter().map(sealed).collect()
    }

    /// How many secrets of the site this version opens.
    pub async fn sealed_with(&self, site: SiteId, version: u32) -> Result<u64, StoreError> {
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
        let mut all = 0;
        for SealedColumn { table, column, .. } in SEALED_COLUMNS {
            let text = format!("select count(*) from {table} where substring({column} from 2 for 4) = $1");
            let row = sqlx::query(AssertSqlSafe(text))
                .bind(version.to_be_bytes())
                .fetch_one(tx.connection())
                .await
                .store()?;
            let count: i64 = row.try_get(0).store()?;
            all += u64::try_from(count).map_err(|_| StoreError::broken("a negative count"))?;
        }
        Ok(all)
    }

    /// False: the row holds something else meanwhile.
    pub async fn replace_sealed(
        &self,
        site: SiteId,
        column: &SealedColumn,
        key: &str,
        (before, after): (&Sealed, &Sealed),
    ) -> Result<bool, StoreError> {
        let SealedColumn { table, column, row } = column;
        let text = format!("update {table} set {column} = $3 where {row} = $1 and {column} = $2");
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN").await?;
        let done = sqlx::query(AssertSqlSafe(text))
            .bind(key)
            .bind(before.as_bytes())
            .bind(after.as_bytes())
            .execute(tx.connection())
            .await
            .store()?;
        Box::new(tx).commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

/// The keys of some sites, and the last of those sites.
#[derive(Debug)]
pub struct KeysOfSites {
    pub keys: Vec<WrappedKey>,
    /// Where to go on; `None` behind the last site.
    pub last: Option<SiteId>,
}

impl PlatformDatabase {
    /// Of the next `sites_max` sites, in the order of their ids.
    pub async fn data_keys(&self, after: Option<SiteId>, sites_max: u16) -> Result<KeysOfSites, StoreError> {
        let rows = sqlx::query("select of_site, version, master, wrapped from app.data_keys_after($1, $2)")
            .bind(after.map(SiteId::as_uuid))
            .bind(i32::from(sites_max))
            .fetch_all(self.pool())
            .await
            .store()?;
        let (mut keys, mut last) = (Vec::with_capacity(rows.len()), None);
        for row in rows {
            let site = SiteId::from_uuid(row.try_get("of_site").store()?);
            last = Some(site);
            if row.try_get::<Option<i32>, _>("version").store()?.is_some() {
                keys.push(key(site, &row)?);
            }
        }
        Ok(KeysOfSites { keys, last })
    }

    /// The same key, wrapped anew. False: it is not as it was any more.
    pub async fn rewrap(&self, before: &WrappedKey, after: &WrappedKey) -> Result<bool, StoreError> {
        let row = sqlx::query("select app.rewrap_data_key($1, $2, $3, $4, $5)")
            .bind(before.site.as_uuid())
            .bind(number(before.version)?)
            .bind(&before.bytes)
            .bind(&after.master)
            .bind(&after.bytes)
            .fetch_one(self.pool())
            .await
            .store()?;
        row.try_get(0).store()
    }

    /// Forgets a key that nothing is sealed with: what [`Database::sealed_with`] told. False: another may still seal with it.
    pub async fn retire_key(&self, site: SiteId, version: u32, at: Timestamp) -> Result<bool, StoreError> {
        let row = sqlx::query("select app.retire_data_key($1, $2, $3)")
            .bind(site.as_uuid())
            .bind(number(version)?)
            .bind(at)
            .fetch_one(self.pool())
            .await
            .store()?;
        row.try_get(0).store()
    }
}

fn key(site: SiteId, row: &PgRow) -> Result<WrappedKey, StoreError> {
    Ok(WrappedKey {
        site,
        version: counted(row.try_get("version").store()?)?,
        master: row.try_get("master").store()?,
        bytes: row.try_get("wrapped").store()?,
    })
}

fn number(version: u32) -> Result<i32, StoreError> {
    i32::try_from(version).map_err(|_| StoreError::broken("a version that no column holds"))
}

fn counted(version: i32) -> Result<u32, StoreError> {
    u32::try_from(version).map_err(|_| StoreError::broken("a negative version"))
}
