use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{ConversationId, MessageId};
use serde::Serialize;

use super::{Answered, ChatMessage, Conversation, Outcome};
use crate::tools::Citation;

/// Longer than any answer is waited for: what has none then never gets one.
pub(crate) const LOST_AFTER: TimeDelta = TimeDelta::minutes(3);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ConversationView {
    pub id: ConversationId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    pub created_at: DateTime<Utc>,
}

impl From<Conversation> for ConversationView {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id,
            title: conversation.title,
            created_at: conversation.created_at,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    Answering,
    Answered,
    /// The most tokens that an answer may have were reached.
    Cut,
    /// Somebody left: `answer` is what was said until then.
    BrokenOff,
    Failed,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MessageView {
    pub id: MessageId,
    pub question: String,
    pub asked_at: DateTime<Utc>,
    pub state: MessageState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The rows that the answer stands on, as `[id]` in its text where the model said so.
    pub citations: Vec<Citation>,
    /// Why the answer is not whole: a code, as in a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<DateTime<Utc>>,
}

impl MessageView {
    pub fn of(message: ChatMessage, now: DateTime<Utc>) -> Self {
        let ChatMessage {
            id,
            question,
            asked_at,
            answered,
            ..
        } = message;
        let (state, reason) = match &answered {
            None if now - asked_at >= LOST_AFTER => {
                (MessageState::Failed, Some("answer_too_slow".to_owned()))
            }
            None => (MessageState::Answering, None),
            Some(Answered { outcome, reason, .. }) => (state_of(*outcome), reason.clone()),
        };
        let answered_at = answered.as_ref().map(|answered| answered.at);
        let (text, citations) = answered.map_or_else(Default::default, |it| (it.text, it.citations));
        Self {
            id,
            question,
            asked_at,
            state,
            answer: Some(text).filter(|text| !text.is_empty()),
            citations,
            reason,
            answered_at,
        }
    }
}

const fn state_of(outcome: Outcome) -> MessageState {
    match outcome {
        Outcome::Answered => MessageState::Answered,
        Outcome::Cut => MessageState::Cut,
        Outcome::BrokenOff => MessageState::BrokenOff,
        Outcome::Failed => MessageState::Failed,
    }
}
