//! API keys and their secrets' hashes.

use async_trait::async_trait;
use posx_kernel::{ApiKeyId, Begin, IdentityId, Outbox, Page, PageRequest, SiteScope, StoreError, Timestamp};
use posx_tenancy::{
    ApiKey, ApiKeyQueries, ApiKeyRepository, ApiKeysTx, Capability, CredentialHash, KeySecret,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const KEY: &str =
    "k.id, k.name, k.scopes, k.made_by, k.created_at, k.expires_at, k.last_used_at, k.revoked_at";

#[async_trait]
impl Begin<dyn ApiKeysTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ApiKeysTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl ApiKeysTx for SiteTx {
    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

/// A scope whose capability is gone allows nothing any more.
fn key_of(row: &PgRow) -> Result<ApiKey, StoreError> {
    let scopes: Vec<String> = row.try_get("scopes").store()?;
    let known = Capability::ALL.iter().copied();
    Ok(ApiKey {
        id: ApiKeyId::from_uuid(row.try_get("id").store()?),
        name: row.try_get("name").store()?,
        scopes: known
            .filter(|one| scopes.iter().any(|name| name == one.as_str()))
            .collect(),
        made_by: IdentityId::from_uuid(row.try_get("made_by").store()?),
        created_at: row.try_get("created_at").store()?,
        expires_at: row.try_get("expires_at").store()?,
        last_used_at: row.try_get("last_used_at").store()?,
        revoked_at: row.try_get("revoked_at").store()?,
    })
}

pub(crate) fn hash_of(row: &PgRow) -> Result<CredentialHash, StoreError> {
    let bytes: Vec<u8> = row.try_get("hash").store()?;
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| StoreError::broken("a credential's hash"))?;
    Ok(CredentialHash::from_bytes(bytes))
}

pub(crate) fn count_of(row: &PgRow) -> Result<u32, StoreError> {
    let count: i64 = row.try_get(0).store()?;
    u32::try_from(count).map_err(|_| StoreError::broken("a count"))
}

impl SiteTx {
    /// Of the transactions of the site that ask for the same, one goes on at a time.
    pub(crate) async fn one_at_a_time(&mut self, what: &str) -> Result<(), StoreError> {
        let name = format!("{what}:{}", self.site());
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(name)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }
}

#[async_trait]
impl ApiKeyRepository for SiteTx {
    async fn count_live(&mut self, now: Timestamp) -> Result<u32, StoreError> {
        self.one_at_a_time("api_keys").await?;
        let row = sqlx::query("select count(*) from api_keys where revoked_at is null and expires_at > $1")
            .bind(now)
            .fetch_one(self.connection())
            .await
            .store()?;
        count_of(&row)
    }

    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        sqlx::query(
            "insert into api_keys (id, name, scopes, made_by, created_at, expires_at) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(key.id.as_uuid())
        .bind(&key.name)
        .bind(scopes)
        .bind(key.made_by.as_uuid())
        .bind(key.created_at)
        .bind(key.expires_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn for_update(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let sql = format!("select {KEY} from api_keys k where k.id = $1 for update");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(key_of).transpose()
    }

    async fn save(&mut self, key: &ApiKey) -> Result<(), StoreError> {
        sqlx::query("update api_keys set expires_at = $2, revoked_at = $3 where id = $1")
            .bind(key.id.as_uuid())
            .bind(key.expires_at)
            .bind(key.revoked_at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }

    async fn insert_secret(&mut self, key: ApiKeyId, secret: &KeySecret) -> Result<(), StoreError> {
        sqlx::query(
            "insert into api_key_secrets (public_part, key_id, hash, created_at, expires_at)
             values ($1, $2, $3, $4, $5)",
        )
        .bind(&secret.public_part)
        .bind(key.as_uuid())
        .bind(secret.hash.as_bytes().as_slice())
        .bind(secret.created_at)
        .bind(secret.expires_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn end_secrets(&mut self, key: ApiKeyId, until: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update api_key_secrets set expires_at = $2 where key_id = $1 and expires_at > $2")
            .bind(key.as_uuid())
            .bind(until)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }

    async fn count_secrets(&mut self, key: ApiKeyId, now: Timestamp) -> Result<u32, StoreError> {
        let row = sqlx::query("select count(*) from api_key_secrets where key_id = $1 and expires_at > $2")
            .bind(key.as_uuid())
            .bind(now)
            .fetch_one(self.connection())
            .await
            .store()?;
        count_of(&row)
    }

    async fn note_use(
        &mut self,
        key: ApiKeyId,
        at: Timestamp,
        unless_since: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update api_keys set last_used_at = $2
             where id = $1 and (last_used_at is null or last_used_at <= $3)",
        )
        .bind(key.as_uuid())
        .bind(at)
        .bind(unless_since)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }
}

#[async_trait]
impl ApiKeyQueries for Database {
    async fn api_keys(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<ApiKey>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!(
            "select {KEY} from api_keys k where $1::uuid is null or k.id < $1 order by k.id desc limit $2"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(page.after_id())
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let keys = rows.iter().map(key_of).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(keys, page, |key| key.id.as_uuid()))
    }

    async fn api_key(&self, scope: &SiteScope, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!("select {KEY} from api_keys k where k.id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(key_of).transpose()
    }

    async fn api_key_by_public_part(
        &self,
        scope: &SiteScope,
        public_part: &str,
    ) -> Result<Option<(ApiKey, KeySecret)>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = format!(
            "select {KEY}, s.hash, s.public_part, s.created_at as secret_created_at, s.expires_at as secret_expires_at
             from api_key_secrets s join api_keys k on k.site_id = s.site_id and k.id = s.key_id
             where s.public_part = $1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(public_part)
            .fetch_optional(tx.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let secret = KeySecret {
            public_part: row.try_get("public_part").store()?,
            hash: hash_of(&row)?,
            created_at: row.try_get("secret_created_at").store()?,
            expires_at: row.try_get("secret_expires_at").store()?,
        };
        Ok(Some((key_of(&row)?, secret)))
    }
}
