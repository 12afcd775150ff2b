//! Which of the things that it was told an answer names. Read while the answer is made.

use std::collections::{HashMap, HashSet};

use crate::tools::Citation;

/// Of `[…]`: a longer one is no mark.
const MARK_BYTES_MAX: usize = 400;
/// Of the things told that an answer is said to stand on when it names none itself.
const UNNAMED_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// Named for the first time in this answer.
    Citation(Citation),
}

/// Takes an answer's text as it comes and lets it through, but for marks of things that nobody told: those were made up.
#[derive(Debug, Default)]
pub(super) struct Citing {
    told: HashMap<String, Citation>,
    /// Of this answer's own tools, in order.
    fresh: Vec<Citation>,
    named: Vec<Citation>,
    seen: HashSet<String>,
    /// From the bracket on, while it is open.
    held: String,
}

impl Citing {
    /// What earlier answers of the talk stood on may be cited again.
    pub fn knowing(earlier: impl IntoIterator<Item = Citation>) -> Self {
        let told = earlier.into_iter().map(|one| (one.id.clone(), one)).collect();
        Self {
            told,
            ..Self::default()
        }
    }

    pub fn tell(&mut self, citations: Vec<Citation>) {
        for one in citations {
            if !self.fresh.contains(&one) {
                self.fresh.push(one.clone());
            }
            self.told.insert(one.id.clone(), one);
        }
    }

    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let (mut pieces, mut passed) = (Vec::new(), String::new());
        for c in text.chars() {
            if self.held.is_empty() {
                if c == '[' {
                    self.held.push(c);
                } else {
                    passed.push(c);
                }
                continue;
            }
            if c == '[' {
                passed.push_str(&std::mem::take(&mut self.held));
            }
            self.held.push(c);
            if c == ']' {
                let mark = std::mem::take(&mut self.held);
                self.decide(&mark, &mut passed, &mut pieces);
            } else if c == '\n' || self.held.len() > MARK_BYTES_MAX {
                passed.push_str(&std::mem::take(&mut self.held));
            }
        }
        if !passed.is_empty() {
            pieces.push(Piece::Text(passed));
        }
        pieces
    }

    /// What was held back when the answer ended.
    pub fn rest(&mut self) -> Option<String> {
        Some(std::mem::take(&mut self.held)).filter(|rest| !rest.is_empty())
    }

    /// What the answer named; if it named nothing, what it was told while it was made.
    pub fn cited(self) -> Vec<Citation> {
        if self.named.is_empty() {
            self.fresh.into_iter().take(UNNAMED_MAX).collect()
        } else {
            self.named
        }
    }

    fn decide(&mut self, mark: &str, passed: &mut String, pieces: &mut Vec<Piece>) {
        let inner = mark.trim_matches(['[', ']']);
        let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        if !parts
            .iter()
            .all(|part| self.told.contains_key(*part) || is_reference(part))
        {
            passed.push_str(mark);
            return;
        }
        let told: Vec<_> = parts
            .iter()
            .filter_map(|part| self.told.get(*part))
            .cloned()
            .collect();
        if told.is_empty() {
            return;
        }
        let ids: Vec<_> = told.iter().map(|one| one.id.as_str()).collect();
        passed.extend(["[", &ids.join(", "), "]"]);
        pieces.push(Piece::Text(std::mem::take(passed)));
        for one in told {
            if self.seen.insert(one.id.clone()) {
                self.named.push(one.clone());
                pieces.push(Piece::Citation(one));
            }
        }
    }
}

/// Whether it looks like what only a tool can have told: an id of ours, or `word:…` as accounts and reports have it.
fn is_reference(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let is_id = text.rsplit_once('_').is_some_and(|(prefix, digits)| {
        word(prefix) && digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    });
    let is_code = text.split_once(':').is_some_and(|(name, rest)| {
        word(name) && !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c == '/')
    });
    is_id || is_code
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tools::CitationKind;

    const ORDER: &str = "ord_0190f3a2b4c57d8e9f00112233445566";
    const MADE_UP: &str = "ord_ffffffffffffffffffffffffffffffff";

    fn order() -> Citation {
        Citation::new(CitationKind::Order, ORDER)
    }

    /// The text that is let through, and what it cites.
    fn read(chunks: &[&str], told: Vec<Citation>) -> (String, Vec<Citation>) {
        let mut citing = Citing::default();
        citing.tell(told);
        let mut text = String::new();
        for chunk in chunks {
            for piece in citing.push(chunk) {
                if let Piece::Text(passed) = piece {
                    text.push_str(&passed);
                }
            }
        }
        text.push_str(&citing.rest().unwrap_or_default());
        (text, citing.cited())
    }

    #[test]
    fn what_a_tool_told_is_cited_and_what_nobody_told_is_dropped() {
        let said = format!("Paid [{ORDER}], lost [{MADE_UP}], both [{ORDER}, {MADE_UP}] and [cash:nowhere].");
        let (text, cited) = read(&[&said], vec![order()]);
        assert_eq!(text, format!("Paid [{ORDER}], lost , both [{ORDER}] and ."));
        assert_eq!(cited, [order()]);
        let (text, cited) = read(&[&said], Vec::new());
        assert_eq!((text.as_str(), cited), ("Paid , lost , both  and .", Vec::new()));
    }

    #[test]
    fn brackets_that_are_no_marks_pass_as_they_are() {
        for text in [
            "see [1] and [this link](https://shop.test/a)",
            "[note: one of two]",
            "an open [ bracket",
            "[[nested]",
            "[12:30]",
            "[]",
        ] {
            assert_eq!(read(&[text], vec![order()]).0, text);
        }
    }

    #[test]
    fn an_answer_that_names_nothing_stands_on_what_it_was_told() {
        assert_eq!(read(&["Two are paid."], vec![order()]).1, [order()]);
        let earlier = Citing::knowing([order()]);
        assert_eq!(
            earlier.cited(),
            Vec::new(),
            "what was told before this answer is not its own"
        );
    }

    proptest! {
        #[test]
        fn wherever_the_text_is_cut_it_reads_the_same(
            text in r"[a-z \[\],:_\n]{0,80}", cuts in proptest::collection::vec(0_usize..80, 0..6),
        ) {
            let text = format!("{text}[{ORDER}]{text}[{MADE_UP}]");
            let whole = read(&[&text], vec![order()]);
            let mut cuts: Vec<_> = cuts.into_iter().filter(|at| *at < text.len()).collect();
            cuts.sort_unstable();
            let (mut chunks, mut from) = (Vec::new(), 0);
            for at in cuts {
                chunks.push(&text[from..at]);
                from = at;
            }
            chunks.push(&text[from..]);
            prop_assert_eq!(read(&chunks, vec![order()]), whole);
        }

        #[test]
        fn no_made_up_id_is_ever_cited(text in "\\PC{0,200}") {
            let (_, cited) = read(&[&text], Vec::new());
            prop_assert!(cited.is_empty());
        }
    }
}
