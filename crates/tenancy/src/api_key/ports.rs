//! What keys ask of storage.

use async_trait::async_trait;
use posx_kernel::{ApiKeyId, IdempotentTx, Outbox, Page, PageRequest, SiteScope, StoreError, Timestamp};

use super::ApiKey;
use crate::CredentialHash;

/// One text that opens a key, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    pub public_part: String,
    pub hash: CredentialHash,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[async_trait]
pub trait ApiKeyRepository: Send {
    /// Keys that are neither revoked nor expired. Holds a lock of the site until the transaction ends: of two makers one counts
    /// after the other.
    async fn count_live(&mut self, now: Timestamp) -> Result<u32, StoreError>;
    async fn insert(&mut self, key: &ApiKey) -> Result<(), StoreError>;
    async fn for_update(&mut self, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// Stores expiry and revocation; nothing else of a key changes.
    async fn save(&mut self, key: &ApiKey) -> Result<(), StoreError>;
    async fn insert_secret(&mut self, key: ApiKeyId, secret: &KeySecret) -> Result<(), StoreError>;
    /// From then on none of the key's present secrets is good; one that ends earlier stays so.
    async fn end_secrets(&mut self, key: ApiKeyId, until: Timestamp) -> Result<(), StoreError>;
    async fn count_secrets(&mut self, key: ApiKeyId, now: Timestamp) -> Result<u32, StoreError>;
    /// In one guarded statement: not when a use was noted after `unless_since`.
    async fn note_use(
        &mut self,
        key: ApiKeyId,
        at: Timestamp,
        unless_since: Timestamp,
    ) -> Result<(), StoreError>;
}

/// A transaction in which keys can be changed.
pub trait ApiKeysTx: IdempotentTx {
    fn api_keys(&mut self) -> &mut dyn ApiKeyRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

#[async_trait]
pub trait ApiKeyQueries: Send + Sync {
    /// Newest first.
    async fn api_keys(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<ApiKey>, StoreError>;
    async fn api_key(&self, scope: &SiteScope, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// Whatever its state: who asks decides.
    async fn api_key_by_public_part(
        &self,
        scope: &SiteScope,
        public_part: &str,
    ) -> Result<Option<(ApiKey, KeySecret)>, StoreError>;
}
