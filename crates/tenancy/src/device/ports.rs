//! What devices ask of storage.

use async_trait::async_trait;
use posx_kernel::{
    DeviceId, IdentityId, Outbox, Page, PageRequest, PlaceId, SiteScope, StoreError, Timestamp, Transaction,
};

use super::Device;
use crate::CredentialHash;

/// A code that waits for its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    pub code_hash: CredentialHash,
    /// A device that is there, or the id of one that will be.
    pub device: DeviceId,
    pub name: String,
    pub place: PlaceId,
    pub started_by: Option<IdentityId>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[async_trait]
pub trait DeviceRepository: Send {
    async fn place_is_open(&mut self, place: PlaceId) -> Result<bool, StoreError>;
    /// Devices that are not revoked. Holds a lock of the site until the transaction ends: of two makers one counts after the other.
    async fn count(&mut self) -> Result<u32, StoreError>;
    /// Codes that can be claimed, under the same lock.
    async fn count_pairings(&mut self, now: Timestamp) -> Result<u32, StoreError>;
    /// False: another pairing has the code, and nothing is stored.
    async fn insert_pairing(&mut self, pairing: &Pairing) -> Result<bool, StoreError>;
    /// From then on no earlier code of the device can be claimed.
    async fn close_pairings(&mut self, device: DeviceId, now: Timestamp) -> Result<(), StoreError>;
    /// Uses the code up, in one guarded statement: of any number of claims at once one gets the pairing.
    async fn claim(&mut self, code: &CredentialHash, now: Timestamp) -> Result<Option<Pairing>, StoreError>;
    async fn insert(&mut self, device: &Device) -> Result<(), StoreError>;
    async fn for_update(&mut self, id: DeviceId) -> Result<Option<Device>, StoreError>;
    /// Stores all but name, place and the time of its making.
    async fn save(&mut self, device: &Device) -> Result<(), StoreError>;
}

/// A transaction in which devices can be changed.
pub trait DevicesTx: Transaction {
    fn devices(&mut self) -> &mut dyn DeviceRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

#[async_trait]
pub trait DeviceQueries: Send + Sync {
    /// Newest first; only those at `places`, or all when it is empty.
    async fn devices(
        &self,
        scope: &SiteScope,
        places: &[PlaceId],
        page: PageRequest,
    ) -> Result<Page<Device>, StoreError>;
    async fn device(&self, scope: &SiteScope, id: DeviceId) -> Result<Option<Device>, StoreError>;
    /// Whatever its state: who asks decides.
    async fn device_by_public_part(
        &self,
        scope: &SiteScope,
        public_part: &str,
    ) -> Result<Option<Device>, StoreError>;
}
