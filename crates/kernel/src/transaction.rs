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

/// How often a use case is begun again after a serialization failure or a deadlock.
const TRIES: u8 = 4;

/// Runs a whole use case, again from its start when the database asks for that (40001, 40P01): the one place that does.
/// Anything else, and the last failure, is handed on. A use case that calls an outside system between two transactions is
/// not wrapped as a whole: each of its transactions is.
pub async fn retry_busy<T, E, F, Fut>(mut use_case: F) -> Result<T, E>
where
    E: crate::Refusal,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    for _ in 1..TRIES {
        match use_case().await {
            Err(error) if error.code() == StoreError::BUSY => {}
            outcome => return outcome,
        }
    }
    use_case().await
}
