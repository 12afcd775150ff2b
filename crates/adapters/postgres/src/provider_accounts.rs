//! Sites' own accounts at providers, with their secrets sealed.

use posx_kernel::{
    Event, IdentityId, Outbox as _, Sealed, SiteId, SiteScope, StoreError, Timestamp, Transaction as _,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// What may be shown of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAccountRow {
    pub provider: String,
    /// `test` or `live`.
    pub mode: String,
    pub secret_key_last4: String,
    /// How many there are.
    pub webhook_secrets: u8,
    pub updated_at: Timestamp,
    /// `None`: the command line.
    pub updated_by: Option<IdentityId>,
}

/// What is kept of an account that is given, or given anew.
#[derive(Debug)]
pub struct NewProviderAccount {
    pub provider: &'static str,
    pub mode: String,
    pub secret_key: Sealed,
    pub secret_key_last4: String,
    /// With how many there are.
    pub webhook_secrets: Option<(Sealed, u8)>,
    pub at: Timestamp,
}

/// An account's secrets, as they are kept.
#[derive(Debug)]
pub struct SealedAccount {
    pub secret_key: Sealed,
    pub webhook_secrets: Option<Sealed>,
}

impl Database {
    pub async fn provider_accounts(&self, scope: &SiteScope) -> Result<Vec<ProviderAccountRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select provider, mode, secret_key_last4, webhook_secrets, updated_at, updated_by
             from provider_accounts where removed_at is null order by provider",
        )
        .fetch_all(tx.connection())
        .await
        .store()?;
        rows.iter().map(account).collect()
    }

    /// By the site alone: a gateway and a webhook have no other scope yet.
    pub async fn sealed_account(
        &self,
        site: SiteId,
        provider: &str,
    ) -> Result<Option<SealedAccount>, StoreError> {
        let mut tx = SiteTx::begin(&self.pool, site, "BEGIN READ ONLY").await?;
        let row = sqlx::query(
            "select secret_key_sealed, webhook_secrets_sealed from provider_accounts
             where provider = $1 and removed_at is null",
        )
        .bind(provider)
        .fetch_optional(tx.connection())
        .await
        .store()?;
        let Some(row) = row else { return Ok(None) };
        let webhook_secrets: Option<Vec<u8>> = row.try_get("webhook_secrets_sealed").store()?;
        Ok(Some(SealedAccount {
            secret_key: Sealed::from_bytes(row.try_get("secret_key_sealed").store()?),
            webhook_secrets: webhook_secrets.map(Sealed::from_bytes),
        }))
    }

    pub async fn keep_provider_account(
        &self,
        scope: &SiteScope,
        new: &NewProviderAccount,
        event: Event,
    ) -> Result<ProviderAccountRow, StoreError> {
        let (webhook_secrets, count) = match &new.webhook_secrets {
            Some((sealed, count)) => (Some(sealed.as_bytes()), *count),
            None => (None, 0),
        };
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query(
            "insert into provider_accounts as a (provider, mode, secret_key_sealed, secret_key_last4,
               webhook_secrets_sealed, webhook_secrets, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (site_id, provider) do update
             set mode = excluded.mode, secret_key_sealed = excluded.secret_key_sealed,
                 secret_key_last4 = excluded.secret_key_last4,
                 webhook_secrets_sealed = excluded.webhook_secrets_sealed, webhook_secrets = excluded.webhook_secrets,
                 updated_at = excluded.updated_at, updated_by = excluded.updated_by, removed_at = null
             returning provider, mode, secret_key_last4, webhook_secrets, updated_at, updated_by",
        )
        .bind(new.provider)
        .bind(&new.mode)
        .bind(new.secret_key.as_bytes())
        .bind(&new.secret_key_last4)
        .bind(webhook_secrets)
        .bind(i16::from(count))
        .bind(new.at)
        .fetch_one(tx.connection())
        .await
        .store()?;
        let kept = account(&row)?;
        tx.append(event).await?;
        Box::new(tx).commit().await?;
        Ok(kept)
    }

    /// Forgets the secrets. False: there is no such account.
    pub async fn remove_provider_account(
        &self,
        scope: &SiteScope,
        provider: &str,
        event: Event,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let done = sqlx::query(
            "update provider_accounts
             set secret_key_sealed = null, webhook_secrets_sealed = null, webhook_secrets = 0,
                 removed_at = $2, updated_at = $2, updated_by = app.actor_part(2)::uuid
             where provider = $1 and removed_at is null",
        )
        .bind(provider)
        .bind(event.at)
        .execute(tx.connection())
        .await
        .store()?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        tx.append(event).await?;
        Box::new(tx).commit().await?;
        Ok(true)
    }
}

fn account(row: &PgRow) -> Result<ProviderAccountRow, StoreError> {
    let webhook_secrets: i16 = row.try_get("webhook_secrets").store()?;
    let updated_by: Option<uuid::Uuid> = row.try_get("updated_by").store()?;
    Ok(ProviderAccountRow {
        provider: row.try_get("provider").store()?,
        mode: row.try_get("mode").store()?,
        secret_key_last4: row.try_get("secret_key_last4").store()?,
        webhook_secrets: u8::try_from(webhook_secrets)
            .map_err(|_| StoreError::broken("a count that is none"))?,
        updated_at: row.try_get("updated_at").store()?,
        updated_by: updated_by.map(IdentityId::from_uuid),
    })
}
