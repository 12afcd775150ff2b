//! Talks: what is asked, what was answered, and for how long it is kept.

mod error;
mod manage;
mod ports;
mod retention;
mod view;

use posx_kernel::{ConversationId, Event, MessageId, Timestamp, VisitorId};
use posx_tenancy::CredentialHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use error::ChatError;
pub use manage::Conversations;
pub use ports::{ConversationQueries, ConversationRepository, ConversationsTx};
pub use retention::{RETENTION_DAYS, Retention};
pub(crate) use view::LOST_AFTER;
pub use view::{ConversationView, MessageState, MessageView};

use crate::{Asker, tools::Citation};

/// Characters of a question.
pub const QUESTION_CHARS_MAX: usize = 2_000;
const TITLE_CHARS_MAX: usize = 120;

/// A talk of one member or one visitor. Nobody else sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub id: ConversationId,
    pub of: Asker,
    pub title: Option<String>,
    pub created_at: Timestamp,
}

impl Conversation {
    pub fn begin(
        id: ConversationId,
        of: Asker,
        title: Option<String>,
        at: Timestamp,
    ) -> Result<Self, ChatError> {
        let title = title.map(|title| title.trim().to_owned());
        let fits = |title: &String| {
            (1..=TITLE_CHARS_MAX).contains(&title.chars().count()) && !title.chars().any(char::is_control)
        };
        if !title.as_ref().is_none_or(fits) {
            return Err(ChatError::Title);
        }
        Ok(Self {
            id,
            of,
            title,
            created_at: at,
        })
    }

    /// The payload never has a word of what was said.
    pub(crate) fn event(&self, kind: &'static str, payload: Value, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.id.as_uuid(),
            payload,
            at,
        }
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Answered,
    /// The most tokens that an answer may have were reached.
    Cut,
    /// The asker left, or the model did: there is what was said until then.
    BrokenOff,
    Failed,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Answered, Self::Cut, Self::BrokenOff, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cut => "cut",
            Self::BrokenOff => "broken_off",
            Self::Failed => "failed",
        }
    }
}

/// What came of a question. It is written once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    pub outcome: Outcome,
    pub text: String,
    pub citations: Vec<Citation>,
    /// Why it is not whole: a code.
    pub reason: Option<String>,
    pub at: Timestamp,
}

/// A question, and its answer once there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatMessage {
    pub id: MessageId,
    pub conversation: ConversationId,
    pub question: String,
    pub asked_at: Timestamp,
    pub answered: Option<Answered>,
}

impl ChatMessage {
    pub fn ask(
        id: MessageId,
        conversation: ConversationId,
        question: &str,
        at: Timestamp,
    ) -> Result<Self, ChatError> {
        let question = question.trim();
        let chars = question.chars().count();
        if chars == 0 {
            return Err(ChatError::Empty);
        }
        if chars > QUESTION_CHARS_MAX {
            return Err(ChatError::TooLong);
        }
        Ok(Self {
            id,
            conversation,
            question: question.to_owned(),
            asked_at: at,
            answered: None,
        })
    }
}

/// Somebody on a storefront, for as long as the token holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatVisitor {
    pub id: VisitorId,
    pub public_part: String,
    pub hash: CredentialHash,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests;
