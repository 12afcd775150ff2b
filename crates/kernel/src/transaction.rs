//! The open transaction as domains see it. It lends repositories; begin and commit stand visibly in the use case.

use async_trait::async_trait;

use crate::{SiteScope, StoreError};

/// An open transaction. Dropped without a commit it rolls back. After a failed statement it is only good for dropping.
#[async_trait]
pub trait Transaction: Send {
    /// All or nothing. An error leaves nothing behind, but for one whose answer was lost: `StoreFault::Unavailable` at a
    /// commit means that the outcome is unknown, and the caller's idempotency key or a look-up settles it.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens a transaction that sees and changes one site only.
#[async_trait]
pub trait Begin<Tx: ?Sized>: Send + Sync {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<Tx>, StoreError>;
}
