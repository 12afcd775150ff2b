//! What batches ask of storage while a transaction is open.

use async_trait::async_trait;
use posx_kernel::{AllocationId, BatchId, StoreError, Timestamp};

use super::{Batch, BatchApproval, BatchLine, Booked, LeftOut};
use crate::Allocation;

/// Who locks an allocation and a batch locks the batch last.
#[async_trait]
pub trait BatchRepository: Send {
    /// With its lines, in their order.
    async fn insert(&mut self, batch: &Batch, lines: &[BatchLine]) -> Result<(), StoreError>;
    /// With the approvals of its present hash by those who may still send, however old.
    async fn find(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError>;
    /// Locks the row until the transaction ends.
    async fn for_update(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError>;
    /// All but its approvals.
    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError>;
    /// Of the batch's present hash.
    async fn add_approval(&mut self, batch: &Batch, approval: &BatchApproval) -> Result<(), StoreError>;
    /// As they were made, and what became of them, in their order.
    async fn lines(&mut self, id: BatchId) -> Result<Vec<BatchLine>, StoreError>;
    /// What a line would say if it were made now, in the order of `ids`: left out, if its vault is not the site's. What is not
    /// there is passed over. Locks nothing.
    async fn as_of_now(&mut self, ids: &[AllocationId]) -> Result<Vec<BatchLine>, StoreError>;
    async fn leave_out(
        &mut self,
        id: BatchId,
        allocation: AllocationId,
        why: LeftOut,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// Stores that the line's first try begins. False: another of its vault is in flight, and the transaction is of no more use.
    async fn take_off(&mut self, batch: BatchId, allocation: &Allocation) -> Result<bool, StoreError>;
    /// Stores what became of the line; that which is none changes nothing.
    async fn save_outcome(&mut self, batch: BatchId, allocation: &Allocation) -> Result<(), StoreError>;
    /// The oldest batch that is being sent and has a line waiting for the vault of this one.
    async fn next_after(
        &mut self,
        batch: BatchId,
        allocation: AllocationId,
    ) -> Result<Option<BatchId>, StoreError>;
    /// Those that are approved or being sent, and have something to be sent.
    async fn unfinished(&mut self) -> Result<Vec<BatchId>, StoreError>;
    /// What the books say of their delivery, and nothing else does.
    async fn booked(&mut self, ids: &[AllocationId]) -> Result<Vec<Booked>, StoreError>;
}
