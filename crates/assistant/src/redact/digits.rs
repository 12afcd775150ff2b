//! Card numbers: 13 to 19 digits with a good check digit (ISO/IEC 7812-1), in groups or not.

use std::ops::Range;

const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Card schemes' numbers begin with these: travel and entertainment, banking, merchandising. So a time in milliseconds (1…) or an
/// amount in base units, which mostly begins with another, is left alone.
const FIRST: std::ops::RangeInclusive<u32> = 2..=6;

/// Digits without anything between them.
struct Group {
    range: Range<usize>,
    values: Vec<u32>,
    /// Whether one sign that people put into card numbers stands between the group before and this one.
    goes_on: bool,
}

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let groups = groups(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < groups.len() {
        match card_from(&groups, at) {
            Some(last) => {
                found.push(groups[at].range.start..groups[last].range.end);
                at = last + 1;
            }
            None => at += 1,
        }
    }
    found
}

/// The last group of the longest card number that begins with this group.
fn card_from(groups: &[Group], first: usize) -> Option<usize> {
    let mut values: Vec<u32> = Vec::new();
    let mut card = None;
    for (at, group) in groups.iter().enumerate().skip(first) {
        if at > first && !group.goes_on {
            break;
        }
        values.extend(&group.values);
        if values.len() > *DIGITS.end() {
            break;
        }
        if DIGITS.contains(&values.len()) && FIRST.contains(&values[0]) && check_digit_holds(&values) {
            card = Some(at);
        }
    }
    card
}

/// Luhn's.
fn check_digit_holds(values: &[u32]) -> bool {
    let doubled = values.iter().rev().enumerate().map(|(at, value)| {
        let value = if at % 2 == 1 { value * 2 } else { *value };
        if value > 9 { value - 9 } else { value }
    });
    doubled.sum::<u32>().is_multiple_of(10)
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // How many signs came since the last digit, and whether all were such as people put between.
    let mut between = (0_u8, true);
    for (at, character) in text.char_indices() {
        let Some(value) = digit(character) else {
            between = (between.0.saturating_add(1), between.1 && separates(character));
            continue;
        };
        let end = at + character.len_utf8();
        match groups.last_mut() {
            Some(group) if between.0 == 0 => {
                group.range.end = end;
                group.values.push(value);
            }
            _ => groups.push(Group {
                range: at..end,
                values: vec![value],
                goes_on: between.0 <= 3 && between.1 && !groups.is_empty(),
            }),
        }
        between = (0, true);
    }
    groups
}

fn separates(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '.' | '/' | '_' | '\u{2010}'..='\u{2015}' | '\u{200b}'
        )
}

/// Of ASCII, Arabic, Persian and full-width writing.
fn digit(character: char) -> Option<u32> {
    let from = |first: char| u32::from(character) - u32::from(first);
    match character {
        '0'..='9' => Some(from('0')),
        '\u{660}'..='\u{669}' => Some(from('\u{660}')),
        '\u{6f0}'..='\u{6f9}' => Some(from('\u{6f0}')),
        '\u{ff10}'..='\u{ff19}' => Some(from('\u{ff10}')),
        _ => None,
    }
}
