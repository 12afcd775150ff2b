//! What the gateway is asked, and what it answers.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use posx_kernel::ModelCallId;
use tokio::sync::mpsc;

use crate::{Asker, AssistantError, FinishReason, Message, Purpose, ToolCall, ToolSpec, Usage};

/// One call. What people and documents say stands in the messages, never in the system's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    pub purpose: Purpose,
    pub asker: Asker,
    pub system: String,
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    /// JSON Schema that the answer's text has to satisfy. Check the answer all the same.
    pub answer_schema: Option<serde_json::Value>,
    pub max_output_tokens: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub call: ModelCallId,
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    pub finish: FinishReason,
    /// By the provider, or counted by us where it said none.
    pub usage: Usage,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerEvent {
    Text(String),
    /// The last: all of it, the texts before put together.
    Done(Answer),
}

/// An answer on its way. Ends after [`AnswerEvent::Done`] or an error. Dropped, the call ends and is settled.
#[derive(Debug)]
pub struct AnswerStream {
    call: ModelCallId,
    events: mpsc::Receiver<Result<AnswerEvent, AssistantError>>,
}

impl AnswerStream {
    pub(super) const fn new(
        call: ModelCallId,
        events: mpsc::Receiver<Result<AnswerEvent, AssistantError>>,
    ) -> Self {
        Self { call, events }
    }

    pub const fn call(&self) -> ModelCallId {
        self.call
    }
}

impl Stream for AnswerStream {
    type Item = Result<AnswerEvent, AssistantError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.events.poll_recv(context)
    }
}
