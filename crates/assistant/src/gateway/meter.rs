//! Counts an answer while it comes, and cuts it where it would cost more than is held for it.

use posx_kernel::ModelCallId;

use super::Answer;
use super::estimate::usage_without_word;
use crate::{FinishReason, ModelEvent, ToolCall, Usage};

/// A token rarely has more bytes: runs of spaces, long words of other alphabets. Who sends more than so many for each token that was
/// asked for does not keep to `max_output_tokens`.
const BYTES_OF_A_TOKEN_MAX: u64 = 64;
/// In one answer.
const TOOL_CALLS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Meter {
    input_max: u64,
    max_output_tokens: u32,
    text: String,
    tool_calls: Vec<ToolCall>,
    /// Bytes of reasoning, and of tool calls that are not whole yet.
    unseen: u64,
    usage: Option<Usage>,
    /// What it says is of the whole answer, not of its beginning.
    usage_is_whole: bool,
    finish: Option<FinishReason>,
}

/// Whether to go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    GoOn,
    Cut,
}

impl Meter {
    pub(super) const fn new(input_max: u64, max_output_tokens: u32) -> Self {
        Self {
            input_max,
            max_output_tokens,
            text: String::new(),
            tool_calls: Vec::new(),
            unseen: 0,
            usage: None,
            usage_is_whole: false,
            finish: None,
        }
    }

    /// Before what it says is handed on: what is cut is not.
    pub(super) fn take(&mut self, event: &ModelEvent) -> Flow {
        let bytes_max = u64::from(self.max_output_tokens) * BYTES_OF_A_TOKEN_MAX;
        let more = match event {
            ModelEvent::Text(text) => text.len() as u64,
            ModelEvent::Unseen { bytes } => *bytes,
            // Its bytes have come already, unseen.
            ModelEvent::ToolCall(call) => bytes_of(call).saturating_sub(self.unseen),
            ModelEvent::Usage(usage) => {
                self.usage = Some(*usage);
                self.usage_is_whole = self.finish.is_some();
                let cut = usage.output > u64::from(self.max_output_tokens) && self.finish.is_none();
                return if cut { Flow::Cut } else { Flow::GoOn };
            }
            ModelEvent::Finished(reason) => {
                self.finish = Some(*reason);
                return Flow::GoOn;
            }
        };
        if self.output_bytes() + more > bytes_max || self.tool_calls.len() > TOOL_CALLS_MAX {
            return Flow::Cut;
        }
        match event {
            ModelEvent::Text(text) => self.text.push_str(text),
            ModelEvent::Unseen { bytes } => self.unseen += bytes,
            ModelEvent::ToolCall(call) => {
                self.unseen = self.unseen.saturating_sub(bytes_of(call));
                self.tool_calls.push(call.clone());
            }
            ModelEvent::Usage(_) | ModelEvent::Finished(_) => {}
        }
        Flow::GoOn
    }

    /// And whether the provider said so. What it said before the end of the answer is of its beginning only.
    pub(super) fn usage(&self) -> (Usage, bool) {
        let counted = usage_without_word(self.input_max, self.output_bytes(), self.max_output_tokens);
        match self.usage {
            Some(said) if self.usage_is_whole => (said, true),
            Some(said) => (
                Usage {
                    output: said.output.max(counted.output),
                    ..said
                },
                false,
            ),
            None => (counted, false),
        }
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    /// `None` before its end.
    pub(super) fn answer(self, call: ModelCallId) -> Option<Answer> {
        let usage = self.usage().0;
        Some(Answer {
            call,
            finish: self.finish?,
            text: self.text,
            tool_calls: self.tool_calls,
            usage,
        })
    }

    fn output_bytes(&self) -> u64 {
        let calls = self.tool_calls.iter().map(bytes_of);
        self.text.len() as u64 + self.unseen + calls.sum::<u64>()
    }
}

const fn bytes_of(call: &ToolCall) -> u64 {
    (call.name.len() + call.arguments.len()) as u64
}
