//! Talks in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{
    Begin, ConversationId, Event, Idempotency, IdempotentTx, MessageId, Outbox, RememberedAnswers, SiteId,
    SiteScope, StoreError, Timestamp, Transaction, VisitorId,
};

use crate::{
    Answered, Asker, ChatMessage, ChatVisitor, Conversation, ConversationRepository, ConversationsTx,
    Retention,
};

/// What is committed.
#[derive(Debug, Clone, Default)]
struct State {
    conversations: Vec<(SiteId, Conversation)>,
    messages: Vec<(SiteId, ChatMessage)>,
    visitors: Vec<(SiteId, ChatVisitor)>,
    retentions: Vec<(SiteId, Retention)>,
    events: Vec<Event>,
    answers: RememberedAnswers,
}

#[derive(Debug, Clone, Default)]
pub struct FakeConversations {
    state: Arc<Mutex<State>>,
}

impl FakeConversations {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Of all sites, oldest first.
    pub fn messages(&self) -> Vec<ChatMessage> {
        self.lock().messages.iter().map(|(_, one)| one.clone()).collect()
    }
}

#[async_trait]
impl Begin<dyn ConversationsTx> for FakeConversations {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ConversationsTx>, StoreError> {
        Ok(Box::new(FakeTx {
            site: scope.site(),
            of: self.clone(),
            work: self.lock().clone(),
            undone: Vec::new(),
        }))
    }
}

type Change = Box<dyn FnOnce(&mut State) + Send>;

/// Works on a copy, and does the same to the original when it commits.
struct FakeTx {
    site: SiteId,
    of: FakeConversations,
    work: State,
    undone: Vec<Change>,
}

impl FakeTx {
    fn change(&mut self, change: impl Fn(&mut State) + Send + 'static) {
        change(&mut self.work);
        self.undone.push(Box::new(change));
    }
}

#[async_trait]
impl Transaction for FakeTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { of, work, undone, .. } = *self;
        let mut state = of.lock();
        for change in undone {
            change(&mut state);
        }
        state.answers = work.answers;
        Ok(())
    }
}

impl IdempotentTx for FakeTx {
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        &mut self.work.answers
    }
}

impl ConversationsTx for FakeTx {
    fn conversations(&mut self) -> &mut dyn ConversationRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl Outbox for FakeTx {
    async fn append(&mut self, event: Event) -> Result<(), StoreError> {
        self.change(move |state| state.events.push(event.clone()));
        Ok(())
    }
}

#[async_trait]
impl ConversationRepository for FakeTx {
    async fn insert(&mut self, conversation: &Conversation) -> Result<(), StoreError> {
        let row = (self.site, conversation.clone());
        self.change(move |state| state.conversations.push(row.clone()));
        Ok(())
    }

    async fn find(&mut self, id: ConversationId, of: Asker) -> Result<Option<Conversation>, StoreError> {
        let mine = |(site, one): &&(SiteId, Conversation)| *site == self.site && one.id == id && one.of == of;
        Ok(self
            .work
            .conversations
            .iter()
            .find(mine)
            .map(|(_, one)| one.clone()))
    }

    async fn of_visitor(&mut self, of: VisitorId) -> Result<Option<ConversationId>, StoreError> {
        let of = Asker::Visitor(of);
        let theirs = |(site, one): &&(SiteId, Conversation)| *site == self.site && one.of == of;
        Ok(self.work.conversations.iter().find(theirs).map(|(_, one)| one.id))
    }

    async fn delete(&mut self, id: ConversationId) -> Result<(), StoreError> {
        let site = self.site;
        self.change(move |state| {
            state
                .messages
                .retain(|(of, one)| (*of, one.conversation) != (site, id));
            state
                .conversations
                .retain(|(of, one)| (*of, one.id) != (site, id));
        });
        Ok(())
    }

    async fn count_open(&mut self, of: Asker, since: Timestamp) -> Result<u32, StoreError> {
        let theirs = |conversation: ConversationId| {
            let is_it = |(site, one): &(SiteId, Conversation)| {
                *site == self.site && one.id == conversation && one.of == of
            };
            self.work.conversations.iter().any(is_it)
        };
        let open = self.work.messages.iter().filter(|(site, one)| {
            *site == self.site && one.answered.is_none() && one.asked_at > since && theirs(one.conversation)
        });
        Ok(u32::try_from(open.count()).unwrap_or(u32::MAX))
    }

    async fn add(&mut self, message: &ChatMessage) -> Result<(), StoreError> {
        let row = (self.site, message.clone());
        self.change(move |state| state.messages.push(row.clone()));
        Ok(())
    }

    async fn message(&mut self, id: MessageId) -> Result<Option<ChatMessage>, StoreError> {
        let it = |(site, one): &&(SiteId, ChatMessage)| *site == self.site && one.id == id;
        Ok(self.work.messages.iter().find(it).map(|(_, one)| one.clone()))
    }

    async fn answered(&mut self, id: ConversationId, limit: u16) -> Result<Vec<ChatMessage>, StoreError> {
        let has_text = |one: &ChatMessage| one.answered.as_ref().is_some_and(|it| !it.text.is_empty());
        let of_it = self
            .work
            .messages
            .iter()
            .filter(|(site, one)| *site == self.site && one.conversation == id && has_text(one));
        let all: Vec<_> = of_it.map(|(_, one)| one.clone()).collect();
        Ok(all[all.len().saturating_sub(limit.into())..].to_vec())
    }

    async fn answer(&mut self, id: MessageId, answered: &Answered) -> Result<bool, StoreError> {
        let site = self.site;
        let open = |(of, one): &(SiteId, ChatMessage)| *of == site && one.id == id && one.answered.is_none();
        if !self.work.messages.iter().any(open) {
            return Ok(false);
        }
        let answered = answered.clone();
        self.change(move |state| {
            for (_, one) in state
                .messages
                .iter_mut()
                .filter(|(of, one)| *of == site && one.id == id)
            {
                one.answered = Some(answered.clone());
            }
        });
        Ok(true)
    }

    async fn insert_visitor(&mut self, visitor: &ChatVisitor) -> Result<(), StoreError> {
        let row = (self.site, visitor.clone());
        self.change(move |state| state.visitors.push(row.clone()));
        Ok(())
    }

    async fn visitor(&mut self, public_part: &str) -> Result<Option<ChatVisitor>, StoreError> {
        let it = |(site, one): &&(SiteId, ChatVisitor)| *site == self.site && one.public_part == public_part;
        Ok(self.work.visitors.iter().find(it).map(|(_, one)| one.clone()))
    }

    async fn retention(&mut self) -> Result<Option<Retention>, StoreError> {
        let it = |(site, _): &&(SiteId, Retention)| *site == self.site;
        Ok(self.work.retentions.iter().find(it).map(|(_, one)| *one))
    }

    async fn save_retention(&mut self, retention: &Retention, seen: i32) -> Result<bool, StoreError> {
        let (site, after) = (self.site, *retention);
        let before = ConversationRepository::retention(self)
            .await?
            .unwrap_or(Retention::DEFAULT);
        if before.version != seen {
            return Ok(false);
        }
        self.change(move |state| {
            state.retentions.retain(|(of, _)| *of != site);
            state.retentions.push((site, after));
        });
        Ok(true)
    }
}
