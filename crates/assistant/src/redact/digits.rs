//! Card numbers: 13 to 19 digits with a good check digit (ISO/IEC 7812-1), in groups as people write them or not. Amounts, dates and
//! numbers in lists are digits with signs between as well: what tells them apart is how they are grouped.

use std::ops::Range;

const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Signs between two groups: a quote, a comma, a blank, a quote.
const BETWEEN_MAX: usize = 6;
/// Groups as they are printed on cards.
const PRINTED: &[&[usize]] = &[
    &[4, 4, 4, 4],
    &[4, 4, 4, 1],
    &[4, 4, 4, 4, 3],
    &[4, 6, 5],
    &[4, 6, 4],
];

/// Digits without anything between them.
struct Group<'a> {
    range: Range<usize>,
    values: Vec<u32>,
    /// What stands between the group before and this one.
    before: &'a str,
}

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let groups = groups(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < groups.len() {
        match card_from(&groups[at..]) {
            Some(count) => {
                found.push(groups[at].range.start..groups[at + count - 1].range.end);
                at += count;
            }
            None => at += 1,
        }
    }
    found
}

/// Of how many groups the longest card number is that begins with the first one.
fn card_from(groups: &[Group<'_>]) -> Option<usize> {
    let mut values: Vec<u32> = Vec::new();
    let mut card = None;
    for (at, group) in groups.iter().enumerate() {
        if at > 0 && !goes_on(group.before) {
            break;
        }
        values.extend(&group.values);
        if values.len() > *DIGITS.end() {
            break;
        }
        let long = DIGITS.contains(&values.len());
        if long && is_schemes(&values) && check_digit_holds(&values) && is_written_so(&groups[..=at]) {
            card = Some(at + 1);
        }
    }
    card
}

/// Card schemes' numbers begin so: travel and entertainment, banking, merchandising. A time in milliseconds, a year, or an amount in
/// base units mostly begins with something else.
fn is_schemes(values: &[u32]) -> bool {
    match values {
        [2, second, ..] => (2..=7).contains(second),
        [first, ..] => (3..=6).contains(first),
        [] => false,
    }
}

/// Whether people group a card number like that. A date or an amount has a group of one or two digits before its last one.
fn is_written_so(groups: &[Group<'_>]) -> bool {
    let [first, rest @ ..] = groups else {
        return false;
    };
    let sizes: Vec<usize> = groups.iter().map(|group| group.values.len()).collect();
    let Some(sign) = rest.first().map(|group| group.before) else {
        return true;
    };
    let same_signs = rest.iter().all(|group| group.before == sign);
    if groups.iter().skip(1).any(|group| group.before.contains(is_cell)) {
        return same_signs && PRINTED.contains(&sizes.as_slice());
    }
    let size = first.values.len();
    let (before, last) = sizes.split_at(sizes.len() - 1);
    let even = before.iter().all(|one| *one == size) && last.iter().all(|one| *one <= size);
    before.iter().all(|one| *one >= 3) || (even && same_signs)
}

/// Luhn's.
fn check_digit_holds(values: &[u32]) -> bool {
    let doubled = values.iter().rev().enumerate().map(|(at, value)| {
        let value = if at % 2 == 1 { value * 2 } else { *value };
        if value > 9 { value - 9 } else { value }
    });
    doubled.sum::<u32>().is_multiple_of(10)
}

fn groups(text: &str) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for (at, character) in text.char_indices() {
        let Some(value) = digit(character) else { continue };
        let end = at + character.len_utf8();
        let from = groups.last().map_or(0, |group| group.range.end);
        match groups.last_mut() {
            Some(group) if group.range.end == at => {
                group.range.end = end;
                group.values.push(value);
            }
            _ => groups.push(Group {
                range: at..end,
                values: vec![value],
                before: &text[from..at],
            }),
        }
    }
    groups
}

fn goes_on(between: &str) -> bool {
    let separates = |c: char| {
        c.is_whitespace() || is_cell(c) || matches!(c, '-' | '.' | '/' | '_' | '\u{2010}'..='\u{2015}')
    };
    between.chars().all(separates) && between.chars().count() <= BETWEEN_MAX
}

/// What stands between the values of a list or of a table's row, too.
const fn is_cell(c: char) -> bool {
    matches!(c, ',' | ';' | '|' | '"' | '\'' | '·' | '•')
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
