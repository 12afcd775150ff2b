use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

use super::QUESTION_CHARS_MAX;
use super::retention::RETENTION_DAYS_MAX;
use crate::AssistantError;

/// Why a talk does not go on.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    #[error("there is no such conversation of yours")]
    NotFound,
    #[error("a title has 1 to 120 characters")]
    Title,
    #[error("the message is empty")]
    Empty,
    #[error("a message has at most {QUESTION_CHARS_MAX} characters")]
    TooLong,
    /// The same message was sent before, and its answer is still being made.
    #[error("the answer to this message is being made")]
    BeingAnswered,
    #[error("wait for the answers that are being made")]
    TooManyOpen,
    #[error("the session of the chat is over: begin a new one")]
    SessionOver,
    #[error("the model gave no answer")]
    NoAnswer,
    #[error("the answer took too long")]
    TooSlow,
    #[error("texts are kept for 1 to {RETENTION_DAYS_MAX} days")]
    Retention,
    #[error("someone else changed it since it was read")]
    Stale,
    #[error(transparent)]
    Assistant(#[from] AssistantError),
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ChatError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "conversation_not_found",
            Self::Title => "conversation_title_invalid",
            Self::Empty => "message_empty",
            Self::TooLong => "message_too_long",
            Self::BeingAnswered => "answer_being_made",
            Self::TooManyOpen => "answers_open_limit",
            Self::SessionOver => "chat_session_over",
            Self::NoAnswer => "model_gave_no_answer",
            Self::TooSlow => "answer_too_slow",
            Self::Retention => "retention_invalid",
            Self::Stale => "version_stale",
            Self::Assistant(error) => error.code(),
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Title | Self::Empty | Self::SessionOver | Self::Retention => Kind::Invalid,
            Self::TooLong => Kind::TooLarge,
            Self::BeingAnswered => Kind::Conflict,
            Self::TooManyOpen => Kind::UsedUp,
            Self::NoAnswer | Self::TooSlow => Kind::Unavailable,
            Self::Stale => Kind::Stale,
            Self::Assistant(error) => error.kind(),
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Title => Some("title".into()),
            Self::Empty | Self::TooLong => Some("message".into()),
            Self::SessionOver => Some("session".into()),
            Self::Retention => Some("days".into()),
            Self::Assistant(error) => error.field(),
            _ => None,
        }
    }

    fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::TooManyOpen => Some(5),
            Self::Assistant(error) => error.retry_after_s(),
            _ => None,
        }
    }
}
