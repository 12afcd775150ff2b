//! Words that are meant for a model, and characters that are meant for nobody. The model has no tool, so that such words can
//! do nothing; a person who decides should know of them all the same.

use super::evidence::plain;
use super::{DOCUMENT, Finding, FindingCode};
use crate::redact::is_invisible;

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

/// A hyphen where a word may be broken is shown there, and hides nothing.
fn is_hidden(c: char) -> bool {
    is_invisible(c) && c != '\u{ad}'
}
