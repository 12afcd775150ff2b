use std::collections::{BTreeMap, VecDeque};

use posx_assistant::{FinishReason, ModelError, ModelEvent, ToolCall, Usage};
use serde::Deserialize;
use sse_stream::Sse;

use crate::refusal::ErrorBody;
use crate::stream::{Cut, Read, Reader, broken};

const DONE: &str = "[DONE]";
/// An index beyond is not put together: it would be memory for what nobody asked for.
const TOOL_CALLS_MAX: u32 = 128;

#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// By the provider's index: their pieces come in turn.
    tool_calls: BTreeMap<u32, ToolCall>,
    begun: bool,
    finished: bool,
    refused: bool,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    /// Where Groq says it.
    #[serde(default)]
    x_groq: Option<Groq>,
    #[serde(default)]
    error: Option<ErrorBody>,
}

#[derive(Deserialize)]
struct Groq {
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
    /// In place of the content.
    #[serde(default)]
    refusal: Option<String>,
    /// Of local servers that show it; OpenAI does not. Some say it under both names.
    #[serde(default)]
    reasoning_content: Option<String>,
    #[serde(default)]
    reasoning: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<ToolCallDelta>>,
}

#[derive(Deserialize)]
struct ToolCallDelta {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: FunctionDelta,
}

#[derive(Deserialize, Default)]
struct FunctionDelta {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
struct WireUsage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize, Clone, Copy)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

#[derive(Deserialize, Clone, Copy)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    /// With a half that was not said, or a prompt of nothing, it is none: nothing is free because nobody counted it.
    fn whole(self) -> Option<Usage> {
        let cached = self
            .prompt_tokens_details
            .and_then(|details| details.cached_tokens);
        let reasoning = self
            .completion_tokens_details
            .and_then(|details| details.reasoning_tokens);
        Some(Usage {
            input: self.prompt_tokens.filter(|tokens| *tokens > 0)?,
            cached_input: cached.unwrap_or_default(),
            output: self.completion_tokens?,
            reasoning: reasoning.unwrap_or_default(),
        })
    }
}

impl Reader for Chunks {
    fn read(&mut self, sse: &Sse, out: &mut VecDeque<ModelEvent>) -> Result<Read, ModelError> {
        let data = sse.data.as_deref().unwrap_or_default().trim();
        if data == DONE {
            return if self.finished {
                Ok(Read::End)
            } else {
                Err(broken(Cut::Early))
            };
        }
        if data.is_empty() {
            return Ok(Read::GoOn);
        }
        let chunk: Chunk = serde_json::from_str(data).map_err(|_| broken(Cut::Shape))?;
        if let Some(error) = chunk.error {
            return Err(error.in_stream());
        }
        // One answer was asked for.
        if let Some(choice) = chunk.choices.into_iter().next()
            && !self.finished
        {
            self.delta(choice.delta, out);
            if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
                self.finish(&reason, out);
            }
        }
        let usage = chunk.usage.or_else(|| chunk.x_groq?.usage);
        out.extend(usage.and_then(WireUsage::whole).map(ModelEvent::Usage));
        Ok(Read::GoOn)
    }

    fn has_begun(&self) -> bool {
        self.begun
    }

    fn has_finished(&self) -> bool {
        self.finished
    }
}

impl Chunks {
    fn delta(&mut self, delta: Delta, out: &mut VecDeque<ModelEvent>) {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        if let Some(text) = said(delta.content) {
            out.push_back(ModelEvent::Text(text));
        }
        if let Some(text) = said(delta.refusal) {
            self.refused = true;
            out.push_back(ModelEvent::Text(text));
        }
        if let Some(text) = said(delta.reasoning_content).or_else(|| said(delta.reasoning)) {
            let bytes = text.len() as u64;
            out.push_back(ModelEvent::Unseen { bytes });
        }
        for piece in delta.tool_calls.unwrap_or_default() {
            self.piece(piece, out);
        }
        self.begun |= !out.is_empty();
    }

    fn piece(&mut self, piece: ToolCallDelta, out: &mut VecDeque<ModelEvent>) {
        if piece.index >= TOOL_CALLS_MAX {
            return;
        }
        let call = self.tool_calls.entry(piece.index).or_insert_with(|| ToolCall {
            id: format!("call_{}", piece.index),
            name: String::new(),
            arguments: String::new(),
        });
        if let Some(id) = piece.id.filter(|id| !id.is_empty()) {
            call.id = id;
        }
        let (name, arguments) = (
            piece.function.name.unwrap_or_default(),
            piece.function.arguments.unwrap_or_default(),
        );
        let bytes = (name.len() + arguments.len()) as u64;
        call.name.push_str(&name);
        call.arguments.push_str(&arguments);
        self.begun = true;
        out.push_back(ModelEvent::Unseen { bytes });
    }

    fn finish(&mut self, reason: &str, out: &mut VecDeque<ModelEvent>) {
        let calls = std::mem::take(&mut self.tool_calls);
        // Some local servers say `stop` with their calls.
        let reason = match reason {
            "length" => FinishReason::Length,
            "content_filter" => FinishReason::Filtered,
            _ if self.refused => FinishReason::Filtered,
            _ if calls.is_empty() => FinishReason::Stop,
            _ => FinishReason::ToolCalls,
        };
        out.extend(calls.into_values().map(ModelEvent::ToolCall));
        out.push_back(ModelEvent::Finished(reason));
        self.begun = true;
        self.finished = true;
    }
}
