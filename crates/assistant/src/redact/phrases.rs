//! Seed phrases: twelve or more words of BIP-39's English list in a row. A sentence has other words between.

use std::ops::Range;

use bip39::Language;

const WORDS_MIN: usize = 12;
/// Between two words: a list's number, a comma, a line.
const BETWEEN_MAX: usize = 8;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut run: Option<(Range<usize>, usize)> = None;
    for word in words(text) {
        let listed = is_listed(&text[word.clone()]);
        run = match run {
            Some((range, words)) if listed && goes_on(&text[range.end..word.start]) => {
                Some((range.start..word.end, words + 1))
            }
            ended => {
                found.extend(phrase(ended));
                listed.then_some((word, 1))
            }
        };
    }
    found.extend(phrase(run));
    found
}

fn phrase(run: Option<(Range<usize>, usize)>) -> Option<Range<usize>> {
    run.filter(|(_, words)| *words >= WORDS_MIN)
        .map(|(range, _)| range)
}

fn is_listed(word: &str) -> bool {
    (3..=8).contains(&word.len()) && Language::English.find_word(&word.to_ascii_lowercase()).is_some()
}

fn goes_on(between: &str) -> bool {
    between.chars().count() <= BETWEEN_MAX
}

/// Runs of ASCII letters. In JSON a line's end is written `\n`: its letter is not of the word behind it.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let mut start = at + bytes[at..].iter().position(u8::is_ascii_alphabetic)?;
            if start > 0 && bytes[start - 1] == b'\\' && matches!(bytes[start], b'n' | b'r' | b't') {
                start += 1;
            }
            let length = bytes[start..].iter().position(|byte| !byte.is_ascii_alphabetic());
            at = length.map_or(bytes.len(), |length| start + length);
            if at > start {
                return Some(start..at);
            }
        }
    })
}
