use std::collections::{BTreeMap, VecDeque};

use posx_assistant::{FinishReason, ModelError, ModelEvent, ToolCall, Usage};
use serde::Deserialize;
use sse_stream::Sse;

use crate::refusal::ErrorBody;
use crate::stream::{Cut, Read, Reader, broken};

const BLOCKS_MAX: usize = 256;

/// How far the answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Silent,
    Speaking,
    Finished,
}

#[derive(Debug)]
pub(crate) struct Events {
    /// Open blocks that are tools.
    tools: BTreeMap<u32, ToolCall>,
    /// What was said of it, and of that from the cache.
    input: Option<(u64, u64)>,
    stage: Stage,
    called: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u32,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u32,
        delta: Delta,
    },
    ContentBlockStop {
        index: u32,
    },
    MessageDelta {
        delta: Stop,
        #[serde(default)]
        usage: WireUsage,
    },
    MessageStop,
    Error {
        error: ErrorBody,
    },
    /// `ping`, and what is to come.
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    #[serde(default)]
    usage: WireUsage,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Stop {
    #[serde(default)]
    stop_reason: Option<String>,
}

/// Cumulative; what is not said of the input again stays.
#[derive(Deserialize, Default)]
struct WireUsage {
    #[serde(default, rename = "input_tokens")]
    input: Option<u64>,
    #[serde(default, rename = "cache_creation_input_tokens")]
    cache_creation: Option<u64>,
    #[serde(default, rename = "cache_read_input_tokens")]
    cache_read: Option<u64>,
    #[serde(default, rename = "output_tokens")]
    output: Option<u64>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            tools: BTreeMap::new(),
            input: None,
            stage: Stage::Silent,
            called: false,
        }
    }

    fn begin_to_speak(&mut self) {
        self.stage = self.stage.max(Stage::Speaking);
    }

    /// Tokens from the cache, or put into it, are not in `input_tokens`. A usage with a half that was not said is none: nothing is
    /// free because nobody counted it.
    fn count(&mut self, wire: &WireUsage, out: &mut VecDeque<ModelEvent>) {
        if let Some(input) = wire.input {
            let read = wire.cache_read.unwrap_or_default();
            let written = wire.cache_creation.unwrap_or_default();
            self.input = Some((input.saturating_add(read).saturating_add(written), read));
        }
        if let (Some((input @ 1.., cached_input)), Some(output)) = (self.input, wire.output) {
            out.push_back(ModelEvent::Usage(Usage {
                input,
                cached_input,
                output,
                reasoning: 0,
            }));
        }
    }

    fn begin(&mut self, index: u32, block: Block, out: &mut VecDeque<ModelEvent>) {
        match block {
            Block::Text { text } if !text.is_empty() => {
                self.begin_to_speak();
                out.push_back(ModelEvent::Text(text));
            }
            Block::ToolUse { id, name } if self.tools.len() < BLOCKS_MAX => {
                self.begin_to_speak();
                let arguments = String::new();
                self.tools.insert(index, ToolCall { id, name, arguments });
            }
            _ => {}
        }
    }

    fn delta(&mut self, index: u32, delta: Delta, out: &mut VecDeque<ModelEvent>) {
        let event = match delta {
            Delta::Text { text } => ModelEvent::Text(text),
            Delta::Thinking { thinking } => ModelEvent::Unseen {
                bytes: thinking.len() as u64,
            },
            Delta::InputJson { partial_json } => match self.tools.get_mut(&index) {
                Some(call) => {
                    call.arguments.push_str(&partial_json);
                    ModelEvent::Unseen {
                        bytes: partial_json.len() as u64,
                    }
                }
                None => return,
            },
            Delta::Other => return,
        };
        let empty = matches!(&event, ModelEvent::Text(text) if text.is_empty());
        if !empty {
            self.begin_to_speak();
            out.push_back(event);
        }
    }

    fn end(&mut self, index: u32, out: &mut VecDeque<ModelEvent>) {
        let Some(mut call) = self.tools.remove(&index) else {
            return;
        };
        if call.arguments.is_empty() {
            "{}".clone_into(&mut call.arguments);
        }
        self.called = true;
        out.push_back(ModelEvent::ToolCall(call));
    }

    fn finish(&mut self, reason: &str, out: &mut VecDeque<ModelEvent>) {
        let reason = match reason {
            "tool_use" if self.called => FinishReason::ToolCalls,
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "refusal" => FinishReason::Filtered,
            _ => FinishReason::Stop,
        };
        self.stage = Stage::Finished;
        out.push_back(ModelEvent::Finished(reason));
    }
}

impl Reader for Events {
    fn read(&mut self, sse: &Sse, out: &mut VecDeque<ModelEvent>) -> Result<Read, ModelError> {
        let data = sse.data.as_deref().unwrap_or_default();
        if data.is_empty() {
            return Ok(Read::GoOn);
        }
        match serde_json::from_str(data).map_err(|_| broken(Cut::Shape))? {
            Event::MessageStart { message } => self.count(&message.usage, out),
            Event::ContentBlockStart { index, content_block } => self.begin(index, content_block, out),
            Event::ContentBlockDelta { index, delta } => self.delta(index, delta, out),
            Event::ContentBlockStop { index } => self.end(index, out),
            Event::MessageDelta { delta, usage } => {
                if let Some(reason) = delta.stop_reason {
                    self.finish(&reason, out);
                }
                self.count(&usage, out);
            }
            Event::MessageStop if self.has_finished() => return Ok(Read::End),
            Event::MessageStop => return Err(broken(Cut::Early)),
            Event::Error { error } => return Err(error.in_stream()),
            Event::Other => {}
        }
        Ok(Read::GoOn)
    }

    fn has_begun(&self) -> bool {
        self.stage >= Stage::Speaking
    }

    fn has_finished(&self) -> bool {
        self.stage == Stage::Finished
    }
}
