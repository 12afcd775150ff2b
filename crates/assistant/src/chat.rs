//! Asking: a question is kept, a model answers it with the help of queries, the answer is kept.
//!
//! The answer is made by a task of its own, so that it is kept and paid for however its reader ends. Whoever leaves ends it: no
//! more is asked of the model.

mod answering;
mod citing;
mod prompt;
mod storefront;
mod toolset;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use posx_kernel::{
    Begin, Clock, ConversationId, IdempotentCall, IdentityId, Ids, Made, MessageId, Randomness, SiteScope,
    made_before_in_tx, remember_in_tx, retry_busy,
};
use posx_tenancy::{Module, Site};
use serde_json::json;
use tokio::sync::mpsc;
use tracing::Instrument as _;

pub use storefront::{NewVisit, VISIT_LIFE};

use self::answering::{Answering, Talk};
use self::toolset::Toolset;
use crate::conversation::{
    ChatError, ChatMessage, Conversation, ConversationsTx, LOST_AFTER, MessageState, MessageView,
};
use crate::tools::{Citation, PublicReads, Rights, StaffReads, StaffTools};
use crate::{Asker, AssistantError, Gateway, Purpose};

/// Questions and answers before this one that the model is shown.
const STAFF_TURNS: u16 = 10;
/// Answers that one member waits for at a time.
const STAFF_OPEN_MAX: u32 = 3;
/// Pieces of an answer that its reader may be behind.
const EVENTS_BEHIND_MAX: usize = 64;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    Text(String),
    Citation(Citation),
    /// The last one: the answer is kept.
    Done(MessageView),
}

/// An answer on its way: ends after [`ChatEvent::Done`] or an error. Dropped, its reader has left.
#[derive(Debug)]
pub struct ChatEvents(mpsc::Receiver<Result<ChatEvent, ChatError>>);

impl Stream for ChatEvents {
    type Item = Result<ChatEvent, ChatError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// What a question comes to.
#[derive(Debug)]
pub enum Reply {
    /// It was asked before under this key: what came of it then.
    Before(MessageView),
    Now(ChatEvents),
}

/// What a member asks.
#[derive(Debug, Clone)]
pub struct StaffQuestion {
    pub conversation: ConversationId,
    pub of: IdentityId,
    /// What their tools may read.
    pub rights: Rights,
    pub text: String,
}

/// What chats need.
#[derive(Clone)]
pub struct ChatParts {
    pub db: Arc<dyn Begin<dyn ConversationsTx>>,
    pub gateway: Gateway,
    pub staff: Arc<dyn StaffReads>,
    pub public: Arc<dyn PublicReads>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub randomness: Arc<dyn Randomness>,
}

impl std::fmt::Debug for ChatParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatParts").finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub struct Chats(ChatParts);

/// A question before it is kept.
struct Wish<'a> {
    of: Asker,
    conversation: ConversationId,
    text: &'a str,
    open_max: u32,
    turns: u16,
    call: Option<&'a IdempotentCall>,
}

enum Noted {
    Before(MessageView),
    New {
        conversation: Conversation,
        message: ChatMessage,
        history: Vec<ChatMessage>,
    },
}

impl Chats {
    pub const fn new(parts: ChatParts) -> Self {
        Self(parts)
    }

    /// Of a member, in a conversation of their own.
    pub async fn ask(
        &self,
        scope: &SiteScope,
        site: &Site,
        question: StaffQuestion,
        call: Option<&IdempotentCall>,
    ) -> Result<Reply, ChatError> {
        let wish = Wish {
            of: Asker::Member(question.of),
            conversation: question.conversation,
            text: &question.text,
            open_max: STAFF_OPEN_MAX,
            turns: STAFF_TURNS,
            call,
        };
        let now = self.0.clock.now();
        let talk = Talk {
            purpose: Purpose::StaffChat,
            asker: wish.of,
            system: prompt::staff(site, now),
            tools: Toolset::Staff(StaffTools {
                reads: self.0.staff.clone(),
                rights: question.rights,
            }),
        };
        self.reply(scope, site, &wish, talk).await
    }

    async fn reply(
        &self,
        scope: &SiteScope,
        site: &Site,
        wish: &Wish<'_>,
        talk: Talk,
    ) -> Result<Reply, ChatError> {
        if !site.modules.contains(&Module::Assistant) {
            return Err(AssistantError::ModuleOff.into());
        }
        match retry_busy(|| self.note(scope, wish)).await? {
            Noted::Before(view) if view.state == MessageState::Answering => Err(ChatError::BeingAnswered),
            Noted::Before(view) => Ok(Reply::Before(view)),
            Noted::New {
                conversation,
                message,
                history,
            } => {
                let (sender, receiver) = mpsc::channel(EVENTS_BEHIND_MAX);
                let answering = Answering {
                    chats: self.0.clone(),
                    scope: scope.clone(),
                    site: site.clone(),
                    conversation,
                    message,
                    history,
                    talk,
                };
                let answered = answering.run(sender).in_current_span();
                self.0.gateway.spawn(answered);
                Ok(Reply::Now(ChatEvents(receiver)))
            }
        }
    }

    /// Keeps the question.
    async fn note(&self, scope: &SiteScope, wish: &Wish<'_>) -> Result<Noted, ChatError> {
        let now = self.0.clock.now();
        let id = MessageId::from_uuid(self.0.ids.uuid(now));
        let message = ChatMessage::ask(id, wish.conversation, wish.text, now)?;
        let mut tx = self.0.db.begin(scope).await?;
        let made = made_before_in_tx::<_, MessageId, ChatError>(tx.as_mut(), wish.call).await?;
        if let Some(Made { id, .. }) = made {
            let before = tx.conversations().message(id).await?;
            return Ok(Noted::Before(MessageView::of(
                before.ok_or(ChatError::NotFound)?,
                now,
            )));
        }
        let found = tx.conversations().find(wish.conversation, wish.of).await?;
        let conversation = found.ok_or(ChatError::NotFound)?;
        if tx.conversations().count_open(wish.of, now - LOST_AFTER).await? >= wish.open_max {
            return Err(ChatError::TooManyOpen);
        }
        let history = tx.conversations().answered(wish.conversation, wish.turns).await?;
        tx.conversations().add(&message).await?;
        let event = conversation.event("conversation.asked", json!({ "message": id }), now);
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), wish.call, &id).await?;
        tx.commit().await?;
        Ok(Noted::New {
            conversation,
            message,
            history,
        })
    }
}

#[cfg(test)]
mod tests;
