//! A call that may be repeated: the same key and the same body have one effect and one answer.

use async_trait::async_trait;

use crate::{StoreError, Timestamp};

/// One call as its sender labelled it. Two sites, two callers or two routes never share a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentCall {
    /// Who calls: an identity's id as text.
    pub actor: String,
    /// `POST /api/v1/orders`: the operation, without ids.
    pub operation: &'static str,
    /// The `Idempotency-Key` header, 1 to 255 printable characters.
    pub key: String,
    /// SHA-256 of the canonical request: method, path and body.
    pub fingerprint: [u8; 32],
    pub at: Timestamp,
}

/// The answer that the first call got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    pub status: u16,
    /// The bytes of the body as they were sent.
    pub body: Vec<u8>,
}

/// What the store says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nobody had this key: the caller does the work and stores the answer before it commits.
    New,
    /// The same call was answered before.
    Replay(StoredAnswer),
    /// The key was used for another body: 422.
    Mismatch,
    /// The first call with this key still runs: 409, try again.
    InProgress,
}

/// Part of an open transaction: key, answer and effect commit together or not at all.
#[async_trait]
pub trait Idempotency: Send {
    /// Never waits for another call: a concurrent one is [`Claim::InProgress`].
    async fn claim(&mut self, call: &IdempotentCall) -> Result<Claim, StoreError>;
    /// Stores the answer of a call that was claimed as new in this same transaction.
    async fn store(&mut self, call: &IdempotentCall, answer: &StoredAnswer) -> Result<(), StoreError>;
}
