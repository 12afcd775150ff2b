//! Private keys: 32 bytes or more in hexadecimal, the Base58 forms of wallets, and PEM. A transaction's hash is 32 bytes in
//! hexadecimal too and goes with them: nobody can tell them apart.

use std::ops::Range;

const HEX_DIGITS: usize = 64;
/// A key of Bitcoin for import, compressed or not.
const IMPORT_FORMAT: std::ops::RangeInclusive<usize> = 51..=52;
/// Secret keys of Solana have 87 or 88 characters, extended private keys 111; no address has so many.
const BASE58_LONG: usize = 80;
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let mut found = pem(text);
    found.extend(runs(text, |byte| byte.is_ascii_hexdigit()).filter_map(|run| {
        let hex = run.len() >= HEX_DIGITS;
        let prefixed = text[..run.start].ends_with("0x") || text[..run.start].ends_with("0X");
        hex.then(|| run.start - if prefixed { 2 } else { 0 }..run.end)
    }));
    found.extend(
        runs(text, |byte| byte.is_ascii_alphanumeric()).filter(|run| is_base58_key(&text[run.clone()])),
    );
    found.sort_by_key(|range| range.start);
    apart(found)
}

fn is_base58_key(run: &str) -> bool {
    let base58 = |byte: u8| !matches!(byte, b'0' | b'O' | b'I' | b'l');
    let import = IMPORT_FORMAT.contains(&run.len()) && run.starts_with(['5', 'K', 'L', '9', 'c']);
    (import || run.len() >= BASE58_LONG) && run.bytes().all(base58)
}

/// From `BEGIN … PRIVATE KEY` to its end, or to the text's.
fn pem(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(PEM_BEGIN) {
        let start = from + at;
        let label_from = start + PEM_BEGIN.len();
        let label = text[label_from..].split("-----").next().unwrap_or_default();
        if !label.ends_with("PRIVATE KEY") {
            from = label_from;
            continue;
        }
        let end = text[label_from..]
            .find(PEM_END)
            .map(|at| label_from + at + PEM_END.len());
        let end = end.and_then(|end| text[end..].find("-----").map(|at| end + at + 5));
        from = end.unwrap_or(text.len());
        found.push(start..from);
    }
    found
}

/// Bytes of one kind beside each other. Only ASCII is asked for, so they begin and end between characters.
fn runs(text: &str, of: impl Fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|byte| of(*byte))?;
        let length = bytes[start..].iter().position(|byte| !of(*byte));
        at = length.map_or(bytes.len(), |length| start + length);
        Some(start..at)
    })
}

/// Sorted by their start; what overlaps becomes one.
fn apart(found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut apart: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}
