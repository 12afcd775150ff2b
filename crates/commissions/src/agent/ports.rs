//! What agents ask of storage while a transaction is open.

use async_trait::async_trait;
use posx_kernel::{Currency, IdempotentTx, Money, Outbox, PartyId, StoreError, Timestamp};

use super::{Agent, LastStatement, Statement};

#[async_trait]
pub trait AgentRepository: Send {
    /// Any party of the site; one that nobody wrote about has version 0.
    async fn find(&mut self, id: PartyId) -> Result<Option<Agent>, StoreError>;
    /// Stores name, state (with the time from which it holds) and version if the stored version is still `seen`. False: it is
    /// not, and nothing is stored.
    async fn save(&mut self, agent: &Agent, seen: i32, at: Timestamp) -> Result<bool, StoreError>;
    /// Waits until nobody else changes the site's tree, and keeps others from it until the transaction ends. What is read
    /// of the tree afterwards stays as it is.
    async fn lock_tree(&mut self) -> Result<(), StoreError>;
    async fn parent(&mut self, id: PartyId) -> Result<Option<PartyId>, StoreError>;
    /// How many stand above the party.
    async fn depth(&mut self, id: PartyId) -> Result<u32, StoreError>;
    /// How many stand below the party, counted no further than `at_most`.
    async fn below(&mut self, id: PartyId, at_most: u32) -> Result<u32, StoreError>;
    async fn is_above(&mut self, upper: PartyId, lower: PartyId) -> Result<bool, StoreError>;
    /// Ends what stands above the party, and places it under `parent` with all that is below it. What was before stays
    /// readable as of its time. Returns how many moved, the party with them.
    async fn place(&mut self, id: PartyId, parent: Option<PartyId>, at: Timestamp)
    -> Result<u64, StoreError>;
}

/// One agent's account in one currency, and where its statements end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountHead {
    pub agent: PartyId,
    pub currency: Currency,
    pub last: Option<LastStatement>,
    pub first_posted_at: Timestamp,
}

/// From the first instant to before the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub to: Timestamp,
}

/// What was posted to an account in a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sums {
    pub credits: Money,
    pub debits: Money,
    pub lines: u32,
}

#[async_trait]
pub trait StatementRepository: Send {
    /// Up to `limit` agents after `after` in the order of their ids, or one of them, each with those of their accounts that
    /// were first posted to before `end` and have no statement up to it. Until the transaction ends nobody else posts to
    /// these accounts; whoever was about to is not dated before `end` afterwards, once a statement up to it is stored.
    async fn lock_due(
        &mut self,
        end: Timestamp,
        whom: Whom,
        limit: u16,
    ) -> Result<Vec<AccountHead>, StoreError>;
    /// In the order asked.
    async fn sums(&mut self, of: &[(PartyId, Currency, Span)]) -> Result<Vec<Sums>, StoreError>;
    async fn insert(&mut self, statements: &[Statement]) -> Result<(), StoreError>;
}

/// Whose accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    One(PartyId),
    /// All whose id is above this one, or all.
    After(Option<PartyId>),
}

/// A transaction in which agents can be changed.
pub trait AgentsTx: IdempotentTx {
    fn agents(&mut self) -> &mut dyn AgentRepository;
    fn statements(&mut self) -> &mut dyn StatementRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}
