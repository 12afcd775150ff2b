//! What no Rust file has: unfinished work, switched-off tests, too many lines.

use super::Finding;
use super::source::{Source, functions, line_at, words};
use super::tree::Tree;

const LINES_MAX: usize = 500;

/// Macros that mark unfinished work, and what to do instead. Clippy warns of them too; this also looks into code that a
/// feature or a target switches off.
const UNFINISHED: &[(&str, &str)] = &[
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "remove it; a log line goes through tracing"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.crates
        .iter()
        .flat_map(|one| &one.sources)
        .flat_map(of_file)
        .collect()
}

fn of_file(source: &Source) -> Vec<Finding> {
    let finding = |at, what| Finding {
        path: source.path.clone(),
        line: line_at(&source.code, at),
        rule: "code",
        what,
    };
    let mut findings = Vec::new();
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        findings.push(finding(
            source.code.len(),
            format!("{lines} lines, more than {LINES_MAX}: split it by what it is about"),
        ));
    }
    for (word, instead) in UNFINISHED {
        findings.extend(words(&source.code, word).map(|at| finding(at, format!("`{word}`: {instead}"))));
    }
    let ignored = source.code.match_indices("#[ignore");
    findings.extend(ignored.map(|(at, _)| {
        finding(
            at,
            "an ignored test proves nothing: repair it or delete it".to_owned(),
        )
    }));
    let named = functions(&source.code)
        .into_iter()
        .filter(|function| function.name.starts_with("test_"));
    findings.extend(named.map(|function| {
        let what = format!(
            "`{}`: a test's name states a fact of the business, without `test_`",
            function.name
        );
        finding(function.at, what)
    }));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::{LINES_MAX, check};

    const MANIFEST: (&str, &str) = ("crates/x/Cargo.toml", "");

    #[track_caller]
    fn finds(code: &str, said: &str) {
        assert_finds(
            check,
            &[MANIFEST, ("crates/x/src/a.rs", code)],
            &["crates/x/src/a.rs:2: ", said],
        );
    }

    #[test]
    fn unfinished_and_switched_off_code_is_found() {
        finds("fn a() {\n    todo!(\"later\")\n}", "`todo!`");
        finds("fn a() {\n    unimplemented!()\n}", "`unimplemented!`");
        finds("fn a() {\n    dbg!(1);\n}", "`dbg!`");
        finds("#[test]\n#[ignore = \"slow\"]\nfn a_fact() {}", "ignored");
        finds("#[test]\nfn test_a() {}", "`test_a`");
    }

    #[test]
    fn a_long_file_is_found() {
        let long = "\n".repeat(LINES_MAX + 1);
        assert_finds(check, &[MANIFEST, ("crates/x/src/a.rs", &long)], &["501 lines"]);
    }

    #[test]
    fn words_in_comments_and_texts_are_not_code() {
        let code = "// todo!() dbg!()\nfn a() -> &'static str { \"#[ignore] fn test_a()\" }";
        assert_clean(check, &[MANIFEST, ("crates/x/src/a.rs", code)]);
    }
}
