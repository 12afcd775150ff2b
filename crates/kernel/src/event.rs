//! What one context tells the others, in the transaction of the fact.

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use crate::{StoreError, Timestamp};

/// Something that happened in a site. It is kept for ever as the history of its subject; where another context must
/// act on it, the adapter adds that context's job in the same transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// `order.paid`: subject and past participle.
    pub kind: &'static str,
    /// The order, allocation, … that it happened to.
    pub subject: Uuid,
    /// Facts a reader needs; ids and amounts, never personal data.
    pub payload: Value,
    pub at: Timestamp,
}

/// Where events go. Appending joins the open transaction: no commit, no event.
#[async_trait]
pub trait Outbox: Send {
    async fn append(&mut self, event: Event) -> Result<(), StoreError>;
}
