//! E-mail addresses: an `@` with something before it and a host after it. Wider than the standard, so that nothing of an address
//! stays behind.

use std::ops::Range;

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices(['@', '\u{ff20}']) {
        let sign = text[at..].chars().next().map_or(1, char::len_utf8);
        let start = local_start(&text[..at]);
        let end = at + sign + host_length(&text[at + sign..]);
        if start == at || end == at + sign {
            continue;
        }
        match found.last_mut() {
            // `a@b@c`.
            Some(last) if start < last.end => last.end = end,
            _ => found.push(start..end),
        }
    }
    found
}

fn local_start(before: &str) -> usize {
    if let Some(inner) = before.strip_suffix('"') {
        // A quoted name may hold anything, on its line.
        let line = inner.rfind('\n').map_or(0, |at| at + 1);
        return inner[line..].rfind('"').map_or(before.len(), |at| line + at);
    }
    let taken = |character: char| character.is_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(character);
    before
        .char_indices()
        .rev()
        .take_while(|(_, character)| taken(*character))
        .last()
        .map_or(before.len(), |(at, _)| at)
}

fn host_length(after: &str) -> usize {
    let taken = |character: char| {
        character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '[' | ']' | ':' | '\u{3002}')
    };
    let host = after.find(|character| !taken(character)).unwrap_or(after.len());
    // The end of a sentence is not of the host.
    after[..host].trim_end_matches(['.', ':', '-']).len()
}
