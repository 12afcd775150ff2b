use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posx_assistant::{ImageInput, Message, ModelCall, Part, ToolCall};
use serde_json::{Value, json};

/// `max_completion_tokens` counts reasoning as well; its older name is refused by models that reason.
pub(crate) fn body(model: &str, call: &ModelCall) -> Value {
    let system = json!({ "role": "system", "content": call.system });
    let messages: Vec<_> = [system]
        .into_iter()
        .chain(call.messages.iter().map(message))
        .collect();
    let mut body = json!({
        "model": model,
        "messages": messages,
        "max_completion_tokens": call.max_output_tokens,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    if !call.tools.is_empty() {
        let tools = call.tools.iter().map(|tool| {
            json!({ "type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            } })
        });
        body["tools"] = tools.collect();
    }
    if let Some(schema) = &call.answer_schema {
        // Strict schemas may use a part of JSON Schema only, and not the same one everywhere: the answer is checked by who asked.
        body["response_format"] = json!({ "type": "json_schema", "json_schema": {
            "name": "answer", "schema": schema, "strict": false,
        } });
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::User(parts) => json!({ "role": "user", "content": content(parts) }),
        Message::Assistant { text, tool_calls } => {
            let said = if text.is_empty() { Value::Null } else { json!(text) };
            let mut message = json!({ "role": "assistant", "content": said });
            if !tool_calls.is_empty() {
                message["tool_calls"] = tool_calls.iter().map(tool_call).collect();
            }
            message
        }
        Message::Tool { call, content } => {
            json!({ "role": "tool", "tool_call_id": call, "content": content })
        }
    }
}

/// A text alone is sent as one: not every local server takes a list.
fn content(parts: &[Part]) -> Value {
    match parts {
        [Part::Text(text)] => json!(text),
        parts => parts.iter().map(part).collect(),
    }
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image(ImageInput { media_type, bytes }) => {
            let url = format!("data:{media_type};base64,{}", STANDARD.encode(bytes));
            json!({ "type": "image_url", "image_url": { "url": url } })
        }
    }
}

fn tool_call(call: &ToolCall) -> Value {
    json!({ "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments } })
}
