//! Nonces of messages that wallets sign.

use async_trait::async_trait;
use posx_kernel::{Begin, IdentityId, SiteScope, StoreError, Timestamp};
use posx_tenancy::{NewChallenge, WalletChallenges, WalletProofsTx};

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn WalletProofsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn WalletProofsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl WalletProofsTx for SiteTx {
    fn wallet_challenges(&mut self) -> &mut dyn WalletChallenges {
        self
    }
}

#[async_trait]
impl WalletChallenges for SiteTx {
    async fn issue(&mut self, challenge: &NewChallenge) -> Result<(), StoreError> {
        sqlx::query(
            "insert into wallet_challenges (nonce, holder_id, issued_at, expires_at) values ($1, $2, $3, $4)",
        )
        .bind(&challenge.nonce)
        .bind(challenge.holder.map(IdentityId::as_uuid))
        .bind(challenge.issued_at)
        .bind(challenge.expires_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn is_open(
        &mut self,
        nonce: &str,
        holder: Option<IdentityId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let found = sqlx::query(
            "select from wallet_challenges
             where nonce = $1 and holder_id is not distinct from $2 and used_at is null and expires_at > $3",
        )
        .bind(nonce)
        .bind(holder.map(IdentityId::as_uuid))
        .bind(now)
        .fetch_optional(self.connection())
        .await
        .store()?;
        Ok(found.is_some())
    }

    async fn consume(
        &mut self,
        nonce: &str,
        holder: Option<IdentityId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update wallet_challenges set used_at = $3
             where nonce = $1 and holder_id is not distinct from $2 and used_at is null and expires_at > $3",
        )
        .bind(nonce)
        .bind(holder.map(IdentityId::as_uuid))
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }
}

impl Database {
    /// Deletes the site's challenges that expired before `before`, 10,000 at most a call; returns how many.
    pub async fn purge_wallet_challenges(
        &self,
        scope: &SiteScope,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let done = sqlx::query(
            "delete from wallet_challenges where nonce in (
               select nonce from wallet_challenges where expires_at < $1 limit 10000)",
        )
        .bind(before)
        .execute(tx.connection())
        .await
        .store()?;
        posx_kernel::Transaction::commit(Box::new(tx)).await?;
        Ok(done.rows_affected())
    }
}
