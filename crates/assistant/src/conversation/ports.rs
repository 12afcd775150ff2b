//! What talks ask of storage.

use async_trait::async_trait;
use posx_kernel::{
    ConversationId, IdempotentTx, IdentityId, MessageId, Outbox, Page, PageRequest, SiteScope, StoreError,
    Timestamp, VisitorId,
};

use super::{Answered, ChatMessage, ChatVisitor, Conversation, ConversationView, MessageView, Retention};
use crate::Asker;

#[async_trait]
pub trait ConversationRepository: Send {
    async fn insert(&mut self, conversation: &Conversation) -> Result<(), StoreError>;
    /// `None` as well if it is another's.
    async fn find(&mut self, id: ConversationId, of: Asker) -> Result<Option<Conversation>, StoreError>;
    /// The one of the visitor.
    async fn of_visitor(&mut self, of: VisitorId) -> Result<Option<ConversationId>, StoreError>;
    /// With its messages.
    async fn delete(&mut self, id: ConversationId) -> Result<(), StoreError>;

    /// Answers that the asker waits for, to questions since then. Until the end of the transaction nobody else counts those of the
    /// same asker.
    async fn count_open(&mut self, of: Asker, since: Timestamp) -> Result<u32, StoreError>;
    async fn add(&mut self, message: &ChatMessage) -> Result<(), StoreError>;
    async fn message(&mut self, id: MessageId) -> Result<Option<ChatMessage>, StoreError>;
    /// Those of the conversation with an answer, oldest first: at most `limit`, the newest ones.
    async fn answered(&mut self, id: ConversationId, limit: u16) -> Result<Vec<ChatMessage>, StoreError>;
    /// False: it has an answer already, or is gone. Nothing is changed then.
    async fn answer(&mut self, id: MessageId, answered: &Answered) -> Result<bool, StoreError>;

    async fn insert_visitor(&mut self, visitor: &ChatVisitor) -> Result<(), StoreError>;
    async fn visitor(&mut self, public_part: &str) -> Result<Option<ChatVisitor>, StoreError>;

    /// `None`: the site has not chosen.
    async fn retention(&mut self) -> Result<Option<Retention>, StoreError>;
    /// Stores it if the stored version is still `seen`, or nothing is stored.
    async fn save_retention(&mut self, retention: &Retention, seen: i32) -> Result<bool, StoreError>;
}

/// A transaction in which talks go on.
pub trait ConversationsTx: IdempotentTx {
    fn conversations(&mut self) -> &mut dyn ConversationRepository;
    fn outbox(&mut self) -> &mut dyn Outbox;
}

/// Reads for screens. Of a member: another's is not found.
#[async_trait]
pub trait ConversationQueries: Send + Sync {
    /// Newest first.
    async fn conversations(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        page: PageRequest,
    ) -> Result<Page<ConversationView>, StoreError>;
    async fn conversation(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        id: ConversationId,
    ) -> Result<Option<ConversationView>, StoreError>;
    /// Newest first.
    async fn messages(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        id: ConversationId,
        page: PageRequest,
        now: Timestamp,
    ) -> Result<Option<Page<MessageView>>, StoreError>;
    async fn retention(&self, scope: &SiteScope) -> Result<Retention, StoreError>;
}
