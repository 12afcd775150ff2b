//! Which numbered line of what must hold has which tests, by the names of the tests: `s02_…`, `f06_…`, `s19_s20_…`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use crate::Failed;
use crate::tidy::source::{Source, functions};
use crate::tidy::tree::Tree;

pub(crate) const PATH: &str = "docs/semantics-coverage.md";

const LINES: &str = include_str!("coverage/lines.txt");

const HEAD: &str = "# What the tests cover

Written by `cargo xtask regen` from the names of the tests: one that is named `s02_…` covers line S02, one that is named
`s19_s20_…` covers both. The titles stand in `xtask/src/coverage/lines.txt`.
";

struct Family {
    prefix: &'static str,
    title: &'static str,
    lines: Vec<Line>,
}

struct Line {
    name: &'static str,
    title: &'static str,
}

/// The tests of a line: path and name.
type Tests = BTreeMap<String, BTreeSet<(String, String)>>;

pub(crate) fn document(root: &Path) -> Result<String, Failed> {
    let tree = Tree::read(root).map_err(|error| Failed(format!("the tree cannot be read: {error}")))?;
    let sources = tree.crates.iter().flat_map(|one| &one.sources);
    let families = families();
    let tests = tests(sources);
    unknown(&families, &tests)?;
    Ok(render(&families, &tests))
}

fn families() -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for text in LINES.lines() {
        if let Some((prefix, title)) = text.strip_prefix("## ").and_then(|head| head.split_once(' ')) {
            families.push(Family {
                prefix,
                title,
                lines: Vec::new(),
            });
        } else if let (Some(family), Some((name, title))) = (families.last_mut(), text.split_once(' ')) {
            family.lines.push(Line { name, title });
        }
    }
    families
}

fn tests<'a>(sources: impl Iterator<Item = &'a Source>) -> Tests {
    let mut tests = Tests::new();
    for source in sources {
        for function in functions(&source.code) {
            if !is_test(&source.code[..function.at]) {
                continue;
            }
            for line in lines_of(function.name) {
                let test = (source.path.clone(), function.name.to_owned());
                tests.entry(line).or_default().insert(test);
            }
        }
    }
    tests
}

/// Whether what stands before a function ends with an attribute `#[test]`, `#[tokio::test]` and the like.
pub(crate) fn is_test(before: &str) -> bool {
    let mut rest = before.trim_end();
    for word in ["async", "pub"] {
        rest = rest.strip_suffix(word).unwrap_or(rest).trim_end();
    }
    while let Some(open) = rest.strip_suffix(']').and_then(opening) {
        let path = rest[open + 1..].split(['(', '=', ']']).next().unwrap_or_default();
        if path.trim().rsplit("::").next() == Some("test") {
            return true;
        }
        let Some(above) = rest[..open].strip_suffix('#') else {
            return false;
        };
        rest = above.trim_end();
    }
    false
}

/// Where the bracket stands that is closed right behind `text`.
fn opening(text: &str) -> Option<usize> {
    let mut depth = 1_i32;
    text.char_indices().rev().find_map(|(at, c)| {
        depth += i32::from(c == ']') - i32::from(c == '[');
        (depth == 0).then_some(at)
    })
}

/// `s19_s20_the_fact` as S19 and S20.
fn lines_of(name: &str) -> impl Iterator<Item = String> + '_ {
    let is_line = |word: &&str| {
        let digits = word.strip_prefix(['s', 'f', 'j', 'l', 'p']);
        digits.is_some_and(|digits| digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.split('_').take_while(is_line).map(str::to_uppercase)
}

/// A name with a slip in its number would cover nothing, silently.
fn unknown(families: &[Family], tests: &Tests) -> Result<(), Failed> {
    let known: BTreeSet<_> = families
        .iter()
        .flat_map(|family| &family.lines)
        .map(|line| line.name)
        .collect();
    let mut wrong = tests
        .iter()
        .filter(|(line, _)| !known.contains(line.as_str()))
        .flat_map(|(line, tests)| tests.iter().map(move |(path, name)| (line, path, name)));
    match wrong.next() {
        None => Ok(()),
        Some((line, path, name)) => Err(Failed(format!(
            "{path}: the test `{name}` names {line}, which is no line of xtask/src/coverage/lines.txt"
        ))),
    }
}

fn render(families: &[Family], tests: &Tests) -> String {
    let mut text = HEAD.to_owned();
    let mut without = String::new();
    for family in families {
        let (covered, open): (Vec<_>, Vec<_>) = family
            .lines
            .iter()
            .partition(|line| tests.contains_key(line.name));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n## {}: {} of {} lines\n\n| line | | tests |\n|---|---|---|",
            family.title,
            covered.len(),
            family.lines.len()
        );
        for line in &family.lines {
            let _ = writeln!(text, "| {} | {} | {} |", line.name, line.title, cell(tests, line));
        }
        let names: Vec<_> = open.iter().map(|line| line.name).collect();
        let shown = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(" ")
        };
        let _ = writeln!(without, "| {} ({}) | {shown} |", family.title, family.prefix);
    }
    let _ = write!(text, "\n## Lines without a test\n\n| | |\n|---|---|\n{without}");
    text
}

fn cell(tests: &Tests, line: &Line) -> String {
    let links = tests.get(line.name).into_iter().flatten();
    let links: Vec<_> = links
        .map(|(path, name)| format!("[`{name}`](../{path})"))
        .collect();
    links.join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str) -> Tests {
        tests([Source::new("crates/x/src/a.rs", code)].iter())
    }

    fn covered(code: &str) -> Vec<String> {
        of(code).into_keys().collect()
    }

    #[test]
    fn a_test_covers_the_lines_at_the_front_of_its_name() {
        let code =
            "#[test]\nfn s19_s20_a_fact_of_s21() {}\n#[tokio::test(flavor = \"x\")]\nasync fn f06_a() {}
            #[test]\n#[expect(clippy::a, reason = \"[x]\")]\nfn p23_b() {}
            #[actix_web::test]\npub async fn j05_c() {}
            proptest! { #![a(b[0])] #[test] fn p13_d(n in 0..2) {} }";
        assert_eq!(covered(code), ["F06", "J05", "P13", "P23", "S19", "S20"]);
    }

    #[test]
    fn what_is_no_test_or_names_no_line_covers_nothing() {
        let code = "fn s01_a() {}\n#[cfg(test)]\nfn s02_b() {}\n#[test]\nfn sum_c() {}\n#[test]\nfn s3_d() {}
            // #[test]\nfn s04_e() {}\n#[test]\nfn f() { fn s05_g() {} }\n#[test_case]\nfn s06_h() {}
            const A: [u8; 1] = [test];\nfn s07_i() {}";
        assert_eq!(covered(code), Vec::<String>::new());
    }

    #[test]
    fn a_number_that_is_no_line_is_named() {
        let said = unknown(&families(), &of("#[test]\nfn s99_a() {}"))
            .unwrap_err()
            .to_string();
        assert!(
            said.contains("crates/x/src/a.rs") && said.contains("`s99_a`") && said.contains("S99"),
            "{said}"
        );
        assert!(unknown(&families(), &of("#[test]\nfn s49_f25_j24_p41_a() {}")).is_ok());
    }

    #[test]
    fn every_line_is_listed_once_in_order() {
        let families = families();
        let sizes: Vec<_> = families
            .iter()
            .map(|family| (family.prefix, family.lines.len()))
            .collect();
        assert_eq!(sizes, [("S", 49), ("F", 25), ("J", 24), ("L", 6), ("P", 41)]);
        for family in &families {
            for (index, line) in family.lines.iter().enumerate() {
                assert_eq!(line.name, format!("{}{:02}", family.prefix, index + 1));
                assert!(!line.title.contains('|'), "{}", line.title);
            }
        }
    }

    #[test]
    fn the_document_links_the_tests_and_lists_what_has_none() {
        let text = render(&families(), &of("#[test]\nfn j24_b() {}\n#[test]\nfn j24_a() {}"));
        let row = "in two pools is two identities | [`j24_a`](../crates/x/src/a.rs)<br>[`j24_b`](../crates/x/src/a.rs) |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("JWKS: 1 of 24 lines"), "{text}");
        let open = text.lines().rev().nth(2).unwrap();
        assert!(
            open.starts_with("| OIDC, JWT, JWKS (J) | J01 ") && open.ends_with(" J23 |"),
            "{open}"
        );
    }
}
