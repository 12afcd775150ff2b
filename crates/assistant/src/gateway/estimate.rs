//! The most tokens that a call can take, counted without the provider's tokenizer.
//!
//! Every tokenizer in use codes bytes: a token stands for at least one byte of the text, so a text has at most as many tokens as
//! bytes. English has about four bytes to a token, so that much more is held than will be spent, and given back at the end.

use super::Ask;
use crate::{Message, ModelCall, Part, ProviderKind, Usage};

/// What a provider puts around a message: roles and separators.
const AROUND_A_MESSAGE: u64 = 16;
/// What a provider puts before the first message, once.
const AROUND_A_CALL: u64 = 64;
/// What a provider puts into the prompt for tools or a schema: Anthropic's is the longest, with up to 804 tokens.
const AROUND_TOOLS: u64 = 1_024;
const AROUND_A_TOOL: u64 = 32;

/// The dearest of OpenAI's rules: 2,833 tokens and 5,667 for each tile of 512 pixels; an image is scaled to 768 × 2,048 at
/// most, which has eight.
const IMAGE_OF_OPENAI: u64 = 2_833 + 8 * 5_667;
/// Anthropic scales an image down to at most so many.
const IMAGE_OF_ANTHROPIC: u64 = 4_784;

/// An upper bound of what the provider counts as input.
pub(super) fn input_max(call: &ModelCall, kind: ProviderKind) -> u64 {
    let image = match kind {
        ProviderKind::OpenAi => IMAGE_OF_OPENAI,
        ProviderKind::Anthropic => IMAGE_OF_ANTHROPIC,
    };
    let messages = call
        .messages
        .iter()
        .map(|message| AROUND_A_MESSAGE + of_message(message, image));
    let tools = call.tools.iter().map(|tool| {
        let parameters = tool.parameters.to_string();
        AROUND_A_TOOL + bytes(tool.name) + bytes(tool.description) + bytes(&parameters)
    });
    let schema = call
        .answer_schema
        .as_ref()
        .map_or(0, |schema| bytes(&schema.to_string()));
    let instructed = !call.tools.is_empty() || call.answer_schema.is_some();
    AROUND_A_CALL
        + AROUND_A_MESSAGE
        + bytes(&call.system)
        + messages.sum::<u64>()
        + tools.sum::<u64>()
        + schema
        + if instructed { AROUND_TOOLS } else { 0 }
}

/// What people, documents and tools said, without images: what a limit is on.
pub(super) fn text_bytes(ask: &Ask) -> u64 {
    bytes(&ask.system)
        + ask
            .messages
            .iter()
            .map(|message| of_message(message, 0))
            .sum::<u64>()
}

/// Of a call whose provider said nothing: the input at our bound, and of the output what we saw, a token for each of its bytes at
/// most. Too much rather than too little: a budget holds.
pub(super) fn usage_without_word(input_max: u64, output_bytes: u64, max_output_tokens: u32) -> Usage {
    Usage {
        input: input_max,
        cached_input: 0,
        output: output_bytes.min(u64::from(max_output_tokens)),
        reasoning: 0,
    }
}

fn of_message(message: &Message, image: u64) -> u64 {
    match message {
        Message::User(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => bytes(text),
                Part::Image(_) => image,
            })
            .sum(),
        Message::Assistant { text, tool_calls } => {
            let calls = tool_calls
                .iter()
                .map(|call| AROUND_A_TOOL + bytes(&call.id) + bytes(&call.name) + bytes(&call.arguments));
            bytes(text) + calls.sum::<u64>()
        }
        Message::Tool { call, content } => AROUND_A_TOOL + bytes(call) + bytes(content),
    }
}

fn bytes(text: &str) -> u64 {
    text.len() as u64
}
