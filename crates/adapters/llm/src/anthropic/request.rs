use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posx_assistant::{ImageInput, Message, ModelCall, Part, ToolCall};
use serde_json::{Map, Value, json};

pub(crate) fn body(model: &str, call: &ModelCall) -> Value {
    let mut body = json!({
        "model": model,
        "messages": messages(&call.messages),
        "max_tokens": call.max_output_tokens,
        "stream": true,
    });
    if !call.system.is_empty() {
        body["system"] = json!(call.system);
    }
    let tools: Vec<_> = call
        .tools
        .iter()
        .map(|tool| {
            json!({
                "name": tool.name, "description": tool.description, "input_schema": tool.parameters,
            })
        })
        .collect();
    if let Some(schema) = &call.answer_schema {
        body["output_config"] = json!({ "format": { "type": "json_schema", "schema": schema } });
    }
    if !tools.is_empty() {
        body["tools"] = tools.into();
    }
    body
}

/// The answers of all tools of one turn are one message, before whatever else is said.
fn messages(messages: &[Message]) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    let mut results: Vec<Value> = Vec::new();
    for message in messages {
        if let Message::Tool { call, content } = message {
            results.push(json!({ "type": "tool_result", "tool_use_id": call, "content": content }));
            continue;
        }
        if !results.is_empty() {
            out.push(json!({ "role": "user", "content": std::mem::take(&mut results) }));
        }
        match message {
            Message::User(parts) => {
                let content: Vec<_> = parts.iter().map(part).collect();
                out.push(json!({ "role": "user", "content": content }));
            }
            Message::Assistant { text, tool_calls } => {
                // A block without text is refused.
                let said = (!text.is_empty()).then(|| json!({ "type": "text", "text": text }));
                let content: Vec<_> = said.into_iter().chain(tool_calls.iter().map(tool_use)).collect();
                out.push(json!({ "role": "assistant", "content": content }));
            }
            Message::Tool { .. } => {}
        }
    }
    if !results.is_empty() {
        out.push(json!({ "role": "user", "content": results }));
    }
    out
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image(ImageInput { media_type, bytes }) => json!({ "type": "image", "source": {
            "type": "base64", "media_type": media_type, "data": STANDARD.encode(bytes),
        } }),
    }
}

/// An object is asked for, and the model may have written something else.
fn tool_use(call: &ToolCall) -> Value {
    let input: Map<String, Value> = serde_json::from_str(&call.arguments).unwrap_or_default();
    json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
}
