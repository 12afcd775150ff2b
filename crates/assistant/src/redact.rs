//! What is never sent to a provider, by rule: card numbers, private keys and seed phrases of wallets, e-mail addresses. An image is
//! sent as it is.

mod digits;
mod emails;
mod keys;
mod phrases;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use crate::{Message, Part, ToolCall};

/// In place of what was there: a model may say that something was there, and not what.
const CARD: &str = "[card number]";
const KEY: &str = "[key]";
const PHRASE: &str = "[seed phrase]";
const EMAIL: &str = "[e-mail address]";

/// A rule: where its kind of secret stands, in order and apart.
type Rule = (fn(&str) -> Vec<Range<usize>>, &'static str);

const RULES: &[Rule] = &[
    (keys::find, KEY),
    (phrases::find, PHRASE),
    (emails::find, EMAIL),
    (digits::find, CARD),
];

/// Characters that nobody sees do not hide a secret. Where there is none they stay: some languages write with them.
pub(crate) fn redacted(text: &str) -> String {
    if !text.contains(is_invisible) {
        return by_rules(text).into_owned();
    }
    let seen: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    match by_rules(&seen) {
        Cow::Borrowed(_) => text.to_owned(),
        Cow::Owned(replaced) => replaced,
    }
}

fn by_rules(text: &str) -> Cow<'_, str> {
    RULES
        .iter()
        .fold(Cow::Borrowed(text), |text, (find, by)| match find(&text) {
            found if found.is_empty() => text,
            found => Cow::Owned(replaced(&text, &found, by)),
        })
}

/// Zero width, direction marks, invisible operators, tags, and the hyphen of a word that may be broken.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// What is JSON is redacted as what it says, not as it is written: a line's end is none of the word behind it. Then as it is
/// written as well, for what several values say together.
fn redacted_json(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return redacted(text);
    };
    let mut left = value.clone();
    redact_value(&mut left);
    if left == value {
        redacted(text)
    } else {
        redacted(&left.to_string())
    }
}

fn redact_value(value: &mut Value) {
    match value {
        Value::String(text) => *text = redacted(text),
        Value::Array(items) => items.iter_mut().for_each(redact_value),
        Value::Object(fields) => {
            *fields = std::mem::take(fields)
                .into_iter()
                .map(|(name, mut value)| {
                    redact_value(&mut value);
                    (redacted(&name), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

pub(crate) fn message(message: &Message) -> Message {
    match message {
        Message::User(parts) => Message::User(parts.iter().map(part).collect()),
        Message::Assistant { text, tool_calls } => Message::Assistant {
            text: redacted(text),
            tool_calls: tool_calls.iter().map(tool_call).collect(),
        },
        Message::Tool { call, content } => Message::Tool {
            call: call.clone(),
            content: redacted_json(content),
        },
    }
}

fn part(part: &Part) -> Part {
    match part {
        Part::Text(text) => Part::Text(redacted(text)),
        Part::Image(image) => Part::Image(image.clone()),
    }
}

fn tool_call(call: &ToolCall) -> ToolCall {
    ToolCall {
        arguments: redacted_json(&call.arguments),
        ..call.clone()
    }
}

fn replaced(text: &str, found: &[Range<usize>], by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for range in found {
        out.push_str(&text[from..range.start]);
        out.push_str(by);
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}
