//! Words that are meant for a model, and characters that are meant for nobody. The model has no tool, so that such words can
//! do nothing; a person who decides should know of them all the same.

use super::evidence::plain;
use super::{DOCUMENT, Finding, FindingCode};

/// In lower case, as the language of most such attempts.
const PHRASES: &[&str] = &[
    "ignore previous",
    "ignore all previous",
    "ignore the above",
    "ignore your instructions",
    "ignore all instructions",
    "disregard previous",
    "disregard the above",
    "disregard all",
    "forget your instructions",
    "new instructions",
    "system prompt",
    "you are now",
    "as an ai",
    "language model",
    "do not tell the user",
    "do not mention this",
    "without asking",
    "auto-approve",
    "approve this order",
    "approve automatically",
    "call the tool",
    "tool_call",
    "function_call",
    "<|im_start|>",
    "[inst]",
    "### instruction",
    "ignoriere alle",
    "ignoriere die vorherigen",
    "ignorez les instructions",
    "ignora las instrucciones",
    "ignora le istruzioni",
];

pub(super) fn check(pages: &[String], findings: &mut Vec<Finding>) {
    let speaks = |page: &String| {
        let text = plain(page);
        PHRASES.iter().any(|phrase| text.contains(phrase))
    };
    if pages.iter().any(speaks) {
        findings.push(Finding::new(FindingCode::HiddenInstructions, DOCUMENT));
    }
    if pages
        .iter()
        .any(|page| page.trim_start_matches('\u{feff}').contains(is_hidden))
    {
        findings.push(Finding::new(FindingCode::HiddenCharacters, DOCUMENT));
    }
}

/// Zero width, direction overrides, invisible operators, tags.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}
