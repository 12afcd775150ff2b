//! Migrations run in the order of their numbers, each once, and never back.

use super::Finding;
use super::tree::{File, Tree};

/// What runs beside the numbered ones; migrations/README.md says when.
const UNNUMBERED: &[&str] = &["roles.sql", "queue.sql"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut expected = 1;
    for (name, file) in tree.files.iter().filter_map(sql) {
        if UNNUMBERED.contains(&name) {
            continue;
        }
        let Some(number) = number(name) else {
            findings.push(finding(
                file,
                "name it `NNNN_what.sql`, in lower case, without `.up` or `.down`".to_owned(),
            ));
            continue;
        };
        if number != expected {
            findings.push(finding(
                file,
                format!("the next number is {expected:04}: no gap, and no number twice"),
            ));
        }
        expected = number + 1;
        if file.text.trim().is_empty() {
            findings.push(finding(file, "an empty migration".to_owned()));
        }
    }
    findings
}

fn sql(file: &File) -> Option<(&str, &File)> {
    let name = file.path.strip_prefix("migrations/")?;
    name.contains(".sql").then_some((name, file))
}

fn number(name: &str) -> Option<u32> {
    let (number, what) = name.strip_suffix(".sql")?.split_once('_')?;
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let well_formed = number.len() == 4 && !what.is_empty() && what.chars().all(is_word);
    number.parse().ok().filter(|_| well_formed)
}

fn finding(file: &File, what: String) -> Finding {
    Finding {
        path: file.path.clone(),
        line: 1,
        rule: "migrations",
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    const FIRST: (&str, &str) = ("migrations/0001_first.sql", "select 1;");

    #[test]
    fn numbers_without_gaps_are_fine() {
        assert_clean(
            check,
            &[
                FIRST,
                ("migrations/0002_second.sql", "select 2;"),
                ("migrations/roles.sql", ""),
            ],
        );
    }

    #[test]
    fn a_gap_is_found() {
        assert_finds(
            check,
            &[FIRST, ("migrations/0003_third.sql", "select 3;")],
            &["0003_third.sql:1", "0002"],
        );
    }

    #[test]
    fn a_number_that_is_there_twice_is_found() {
        assert_finds(
            check,
            &[FIRST, ("migrations/0001_too.sql", "select 1;")],
            &["0001_too.sql", "0002"],
        );
    }

    #[test]
    fn a_way_back_is_found() {
        assert_finds(
            check,
            &[FIRST, ("migrations/0002_second.down.sql", "x")],
            &["without `.up` or `.down`"],
        );
    }
}
