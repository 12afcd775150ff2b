//! What second factors ask of storage.

use async_trait::async_trait;
use posx_kernel::{FactorId, IdentityId, Outbox, StoreError, Timestamp, Transaction};

use super::SecondFactor;

#[async_trait]
pub trait SecondFactorRepository: Send {
    /// The person's active and pending ones, at most one of each.
    async fn find(&mut self, identity: IdentityId) -> Result<Vec<SecondFactor>, StoreError>;
    /// As [`find`](Self::find); tries at codes of the person wait for one another until the transaction ends.
    async fn for_update(&mut self, identity: IdentityId) -> Result<Vec<SecondFactor>, StoreError>;
    async fn insert(&mut self, factor: &SecondFactor) -> Result<(), StoreError>;
    async fn save(&mut self, factor: &SecondFactor) -> Result<(), StoreError>;

    /// Another set: codes that were there before and not used are void.
    async fn replace_codes(
        &mut self,
        factor: FactorId,
        hashes: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// In one guarded statement. False: it is unknown, used or void.
    async fn use_code(
        &mut self,
        factor: FactorId,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    async fn count_codes(&mut self, factor: FactorId) -> Result<u32, StoreError>;

    /// When this sign-in last proved the factor.
    async fn proven_at(
        &mut self,
        identity: IdentityId,
        sign_in: &[u8; 32],
    ) -> Result<Option<Timestamp>, StoreError>;
    /// Stores the proof and deletes the person's that are older than `expired`.
    async fn prove(
        &mut self,
        identity: IdentityId,
        sign_in: &[u8; 32],
        now: Timestamp,
        expired: Timestamp,
    ) -> Result<(), StoreError>;
    /// Of every sign-in of the person.
    async fn forget_proofs(&mut self, identity: IdentityId) -> Result<(), StoreError>;
}

/// A transaction in which second factors can be changed.
pub trait SecondFactorsTx: Transaction {
    fn second_factors(&mut self) -> &mut dyn SecondFactorRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}
