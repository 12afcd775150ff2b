//! Words that must not be in the tree: places on somebody's machine.

use super::Finding;
use super::tree::Tree;

/// In two halves each, so that this file does not hold what it forbids.
const PLACES: &[(&str, &str)] = &[
    ("/ho", "me/"),
    ("/ro", "ot/"),
    ("/wo", "rk/"),
    ("/Us", "ers/"),
    ("C:\\Us", "ers\\"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let places: Vec<_> = PLACES
        .iter()
        .map(|(head, tail)| format!("{head}{tail}"))
        .collect();
    let mut findings = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            let found = places.iter().filter(|place| is_absolute(line, place));
            findings.extend(found.map(|place| Finding {
                path: file.path.clone(),
                line: index + 1,
                rule: "machine",
                what: format!("`{place}` is a place on one machine: use a relative path or a setting"),
            }));
        }
    }
    findings
}

/// Not the middle of a longer path: `target/work/x` is nobody's machine.
fn is_absolute(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')' | '>'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    #[test]
    fn a_place_on_a_machine_is_found_in_any_file() {
        let text = format!("fine\nsee \"/ho{}ann/notes\"\n", "me/");
        assert_finds(check, &[("docs/a.md", &text)], &["docs/a.md:2: [machine]"]);
    }

    #[test]
    fn a_part_of_a_longer_path_is_fine() {
        assert_clean(
            check,
            &[("docs/a.md", "https://posx.example/work/items and target/work/\n")],
        );
    }
}
