//! What is said to what.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::form::{Form, is_evidence};

const WORDS_MAX: usize = 10_000;
const WAIT_MS_MAX: u64 = 60_000;
/// A schema that goes deeper is answered with nothing there.
const DEPTH_MAX: u8 = 16;

#[derive(Deserialize)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<Tool>,
    #[serde(default)]
    response_format: Option<ResponseFormat>,
    #[serde(default)]
    max_completion_tokens: Option<usize>,
    #[serde(default)]
    pub(super) stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Deserialize, Default)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Deserialize)]
pub(super) struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize)]
struct Tool {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
}

#[derive(Deserialize)]
struct ResponseFormat {
    #[serde(default)]
    json_schema: Option<JsonSchema>,
}

#[derive(Deserialize)]
struct JsonSchema {
    schema: Value,
}

/// Pieces in their order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) wait: Duration,
    /// Deltas, as they are sent.
    pub(super) deltas: Vec<Value>,
    pub(super) finish: &'static str,
    /// Absent where nobody asked for it.
    pub(super) usage: Option<Value>,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => {
                let texts = parts.iter().filter_map(|part| part["text"].as_str());
                texts.collect::<Vec<_>>().join(" ")
            }
            _ => String::new(),
        }
    }
}

impl Request {
    pub(super) fn answer(&self) -> Answer {
        let Some(last) = self.messages.last() else {
            return Answer::default();
        };
        let asked = last.text();
        let wait = script(&asked, "wait").and_then(|number| number.parse().ok());
        let wait = Duration::from_millis(wait.unwrap_or(0).min(WAIT_MS_MAX));
        let call = script(&asked, "call").filter(|_| last.role == "user");
        let (deltas, finish, tokens) = match call.and_then(|call| self.tool_call(call)) {
            Some(deltas) => (deltas, "tool_calls", 20),
            None => self.words(&asked, &last.role),
        };
        let usage = self.stream_options.include_usage || !self.stream;
        Answer {
            wait,
            deltas,
            finish,
            usage: usage.then(|| self.usage(tokens)),
        }
    }

    /// Only one that was offered, with arguments that are JSON; in two pieces, as they come.
    fn tool_call(&self, call: &str) -> Option<Vec<Value>> {
        let (name, arguments) = call.split_once(' ').unwrap_or((call, "{}"));
        self.tools.iter().find(|tool| tool.function.name == name)?;
        serde_json::from_str::<Map<String, Value>>(arguments).ok()?;
        let mut half = arguments.len() / 2;
        while !arguments.is_char_boundary(half) {
            half -= 1;
        }
        let begin = json!({ "tool_calls": [{ "index": 0, "id": "call_sandbox_0", "type": "function",
            "function": { "name": name, "arguments": &arguments[..half] } }] });
        let rest = json!({ "tool_calls": [{ "index": 0, "function": { "arguments": &arguments[half..] } }] });
        Some(vec![begin, rest])
    }

    /// A token is a word here.
    fn words(&self, asked: &str, role: &str) -> (Vec<Value>, &'static str, usize) {
        let schema = self
            .response_format
            .as_ref()
            .and_then(|format| format.json_schema.as_ref());
        let text = match schema {
            Some(schema) => Sample::of(&schema.schema, asked)
                .value(&schema.schema, 0)
                .to_string(),
            None => plain(asked, role),
        };
        let max = self.max_completion_tokens.unwrap_or(WORDS_MAX);
        let words: Vec<_> = text.split_inclusive(' ').collect();
        let finish = if words.len() > max { "length" } else { "stop" };
        let said = words.len().min(max);
        let deltas = words[..said]
            .iter()
            .map(|word| json!({ "content": word }))
            .collect();
        (deltas, finish, said)
    }

    /// Four characters are a token of a prompt here.
    fn usage(&self, completion_tokens: usize) -> Value {
        let characters: usize = self
            .messages
            .iter()
            .map(|message| message.text().chars().count())
            .sum();
        let prompt_tokens = characters / 4 + 4 * self.messages.len();
        json!({
            "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": { "cached_tokens": 0 }, "completion_tokens_details": { "reasoning_tokens": 0 },
        })
    }
}

fn plain(asked: &str, role: &str) -> String {
    if let Some(number) = script(asked, "say").and_then(|number| number.parse().ok()) {
        let words = (1..=usize::min(number, WORDS_MAX)).map(|at| format!("word{at}"));
        return words.collect::<Vec<_>>().join(" ");
    }
    match role {
        "tool" => "This is what I found in the data of your site.".to_owned(),
        _ => "I am the sandbox's model: I say what my scripts tell me.".to_owned(),
    }
}

/// What stands behind the word of a script, if there is one.
fn script<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let inside = text
        .split("[[")
        .skip(1)
        .filter_map(|rest| rest.split_once("]]").map(|(inside, _)| inside));
    inside
        .filter_map(|inside| inside.strip_prefix(word))
        .find_map(|rest| rest.strip_prefix(' '))
}

/// The least that a schema takes, with a text in each text; what is asked for with where it stands is read as of a form.
struct Sample<'a> {
    root: &'a Value,
    form: Form<'a>,
}

impl<'a> Sample<'a> {
    fn of(root: &'a Value, asked: &'a str) -> Self {
        let form = Form::of(asked);
        Self { root, form }
    }

    fn value(&self, schema: &Value, depth: u8) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(name) = schema["$ref"].as_str() {
            let target = name
                .strip_prefix('#')
                .and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.value(target, depth + 1));
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        for one_of in ["enum", "anyOf", "oneOf"] {
            let first = schema[one_of].as_array().and_then(|all| all.first());
            match first {
                Some(value) if one_of == "enum" => return value.clone(),
                Some(schema) => return self.value(schema, depth + 1),
                None => {}
            }
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.first().and_then(Value::as_str),
            kind => kind.as_str(),
        };
        match kind {
            Some("object") => self.object(schema, depth),
            Some("array") => self.array(&schema["items"]),
            Some("integer") => json!(schema["minimum"].as_i64().unwrap_or(0)),
            Some("number") => json!(schema["minimum"].as_f64().unwrap_or(0.0)),
            Some("boolean") => json!(false),
            Some("string") => json!("sandbox"),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth: u8) -> Value {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let field = |(name, schema): (&String, &Value)| {
            let value = if is_evidence(schema) {
                self.form.field(name)
            } else {
                self.value(schema, depth + 1)
            };
            (name.clone(), value)
        };
        Value::Object(properties.map(field).collect())
    }

    fn array(&self, items: &Value) -> Value {
        match items["properties"].as_object() {
            Some(fields) if fields.values().all(is_evidence) => {
                self.form.rows(&fields.keys().collect::<Vec<_>>()).into()
            }
            _ => json!([]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(body: &Value) -> Answer {
        serde_json::from_value::<Request>(body.clone()).unwrap().answer()
    }

    fn asking(text: &str) -> Value {
        json!({ "model": "m", "stream": true, "stream_options": { "include_usage": true },
            "messages": [{ "role": "user", "content": text }],
            "tools": [{ "type": "function", "function": { "name": "find_orders" } }] })
    }

    #[test]
    fn the_same_is_answered_the_same_and_no_longer_than_was_asked_for() {
        let asked = asking("Hello?");
        assert_eq!(ask(&asked), ask(&asked));
        let mut short = asking("[[say 50]]");
        short["max_completion_tokens"] = json!(7);
        let answer = ask(&short);
        assert_eq!((answer.deltas.len(), answer.finish), (7, "length"));
        assert_eq!(answer.usage.unwrap()["completion_tokens"], 7);
    }

    #[test]
    fn a_script_calls_a_tool_that_was_offered_and_no_other() {
        let answer = ask(&asking("[[call find_orders {\"state\":\"bezahlt für é\"}]]"));
        assert_eq!(answer.finish, "tool_calls");
        let arguments: String = answer
            .deltas
            .iter()
            .filter_map(|delta| delta["tool_calls"][0]["function"]["arguments"].as_str())
            .collect();
        assert_eq!(arguments, "{\"state\":\"bezahlt für é\"}");
        for not in [
            "[[call drop_tables {}]]",
            "[[call find_orders no]]",
            "[[call find_orders",
        ] {
            assert_eq!(ask(&asking(not)).finish, "stop", "{not}");
        }
    }

    #[test]
    fn a_schema_is_answered_by_json_that_has_its_fields() {
        let mut asked = asking("Read this.");
        asked["response_format"] = json!({ "type": "json_schema", "json_schema": { "schema": {
            "type": "object",
            "properties": {
                "kind": { "enum": ["order", "customer"] }, "total": { "type": ["string", "null"] },
                "lines": { "type": "array" }, "party": { "$ref": "#/$defs/party" }, "loop": { "$ref": "#/properties/loop" },
            },
            "$defs": { "party": { "type": "object", "properties": { "confidence": { "type": "number", "minimum": 0.5 } } } },
        } } });
        let text: String = ask(&asked)
            .deltas
            .iter()
            .filter_map(|delta| delta["content"].as_str())
            .collect();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            read,
            json!({ "kind": "order", "total": "sandbox", "lines": [], "party": { "confidence": 0.5 }, "loop": null })
        );
    }
}
