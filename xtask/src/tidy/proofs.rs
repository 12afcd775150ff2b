//! A test that a document names as a proof exists: `posx-api::sessions::a_fact` is a test of that name, of that package, in a
//! file or folder of that name.

use super::Finding;
use super::source::functions;
use super::tree::{File, Tree};
use crate::coverage::is_test;

/// The documents that name tests by hand. What is written by `cargo xtask regen` is checked there.
const DOCUMENTS: &[&str] = &["docs/security.md"];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = DOCUMENTS.iter().filter_map(|path| tree.file(path));
    documents.flat_map(|file| missing(tree, file)).collect()
}

fn missing(tree: &Tree, file: &File) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    let named = lines.flat_map(|(index, line)| {
        line.split('`')
            .skip(1)
            .step_by(2)
            .map(move |code| (index + 1, code))
    });
    let lost = named.filter(|(_, code)| code.contains("::") && !exists(tree, code));
    lost.map(|(line, code)| Finding {
        path: file.path.clone(),
        line,
        rule: "proofs",
        what: format!(
            "there is no test `{code}`: name the one that proves it now, or say that it is not met"
        ),
    })
    .collect()
}

fn exists(tree: &Tree, named: &str) -> bool {
    let parts: Vec<_> = named.split("::").collect();
    let [package, modules @ .., test] = &parts[..] else {
        return false;
    };
    let Some(package) = tree.package(package) else {
        return false;
    };
    package.sources.iter().any(|source| {
        let path = source.path.strip_suffix(".rs").unwrap_or(&source.path);
        modules
            .iter()
            .all(|module| path.split('/').any(|part| part == *module))
            && functions(&source.code)
                .iter()
                .any(|function| function.name == *test && is_test(&source.code[..function.at]))
    })
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    const MANIFEST: (&str, &str) = ("apps/api/Cargo.toml", "[package]\nname = \"posx-api\"\n");
    const TESTS: (&str, &str) = (
        "apps/api/tests/it/sessions/ends.rs",
        "#[test]\nfn a_fact() {}\nfn a_helper() {}",
    );

    #[test]
    fn a_test_is_known_by_its_package_its_files_and_its_name() {
        let said = "| 1 | `posx-api::sessions::ends::a_fact`, `posx-api::sessions::a_fact`, `posx-api::a_fact` and `posx audit` |";
        assert_clean(check, &[MANIFEST, TESTS, ("docs/security.md", said)]);
    }

    #[test]
    fn what_is_no_test_of_that_name_and_place_is_found() {
        for gone in [
            "posx-api::sessions::another_fact",
            "posx-api::sessions::a_helper",
            "posx-api::devices::a_fact",
            "posx-worker::sessions::a_fact",
        ] {
            let said = format!("\n| 1 | `{gone}` |");
            assert_finds(
                check,
                &[MANIFEST, TESTS, ("docs/security.md", &said)],
                &["docs/security.md:2", gone],
            );
        }
    }
}
