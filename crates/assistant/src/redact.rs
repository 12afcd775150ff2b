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

pub(crate) fn redacted(text: &str) -> String {
    let replaced = RULES
        .iter()
        .fold(Cow::Borrowed(text), |text, (find, by)| match find(&text) {
            found if found.is_empty() => text,
            found => Cow::Owned(replaced(&text, &found, by)),
        });
    replaced.into_owned()
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
            content: redacted(content),
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
        arguments: redacted(&call.arguments),
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
