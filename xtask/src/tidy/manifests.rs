//! Manifests: shared lints and versions, a reason for every dependency, a header for every crate.

use super::Finding;
use super::tree::{Crate, Tree, line_of_key};

const ROOT: &str = "Cargo.toml";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = root(tree);
    for one in &tree.crates {
        match &one.manifest {
            Err(error) => findings.push(finding(one, 1, format!("the manifest is no TOML: {error}"))),
            Ok(manifest) => {
                findings.extend(lints(one, manifest));
                findings.extend(versions(one, manifest));
            }
        }
        findings.extend(headers(one));
    }
    findings
}

fn finding(one: &Crate, line: usize, what: String) -> Finding {
    Finding {
        path: one.manifest_path(),
        line,
        rule: "manifest",
        what,
    }
}

fn lints(one: &Crate, manifest: &toml::Table) -> Option<Finding> {
    let shared = manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace")?.as_bool());
    (shared != Some(true)).then(|| finding(one, 1, "add `[lints] workspace = true`".to_owned()))
}

/// A table of dependencies, its kind, and the tables of the targets.
pub(crate) fn dependency_tables<'a>(
    manifest: &'a toml::Table,
    kind: &'a str,
) -> impl Iterator<Item = &'a toml::Table> {
    let targets = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flatten();
    let of_targets = targets.filter_map(|(_, target)| target.as_table());
    std::iter::once(manifest)
        .chain(of_targets)
        .filter_map(move |table| table.get(kind)?.as_table())
}

fn versions(one: &Crate, manifest: &toml::Table) -> Vec<Finding> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let all = kinds
        .iter()
        .flat_map(|kind| dependency_tables(manifest, kind))
        .flatten();
    let own = all.filter(|(_, wanted)| wanted.get("workspace").and_then(toml::Value::as_bool) != Some(true));
    own.map(|(name, _)| {
        let what = format!(
            "{name} has a version of its own: put it into [workspace.dependencies] and write `{name}.workspace = true`"
        );
        finding(one, one.line_of(name), what)
    })
    .collect()
}

/// The first line of a crate says what it is for.
fn headers(one: &Crate) -> Vec<Finding> {
    let roots = ["lib.rs", "main.rs"].map(|file| format!("{}/src/{file}", one.dir));
    let roots = one.sources.iter().filter(|source| roots.contains(&source.path));
    let without = roots.filter(|source| !source.text.starts_with("//! "));
    without
        .map(|source| Finding {
            path: source.path.clone(),
            line: 1,
            rule: "header",
            what: "begin with a `//!` line that says what the crate is for".to_owned(),
        })
        .collect()
}

fn root(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file(ROOT) else {
        return Vec::new();
    };
    let Ok(manifest) = file.text.parse::<toml::Table>() else {
        return Vec::new();
    };
    let shared = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies")?.as_table());
    let outside = shared
        .into_iter()
        .flatten()
        .filter(|(_, wanted)| wanted.get("path").is_none());
    outside
        .filter_map(|(name, _)| {
            let line = line_of_key(&file.text, name);
            let without = !has_comment(&file.text, line);
            without.then(|| Finding {
                path: ROOT.to_owned(),
                line,
                rule: "why",
                what: format!("say after {name}, in a comment on its line, what it is for"),
            })
        })
        .collect()
}

/// On the entry's line, or on the last of its lines.
fn has_comment(toml: &str, line: usize) -> bool {
    let mut open = 0_i32;
    for text in toml.lines().skip(line - 1) {
        let (mut quoted, mut comment) = (false, "");
        for (at, c) in text.char_indices() {
            match c {
                '"' => quoted = !quoted,
                '[' | '{' if !quoted => open += 1,
                ']' | '}' if !quoted => open -= 1,
                '#' if !quoted => {
                    comment = text[at + 1..].trim();
                    break;
                }
                _ => {}
            }
        }
        if !comment.is_empty() || open <= 0 {
            return !comment.is_empty();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    const GOOD: &str =
        "[package]\nname = \"posx-x\"\n[lints]\nworkspace = true\n[dependencies]\nserde.workspace = true\n";

    #[test]
    fn a_crate_with_shared_lints_shared_versions_and_a_header_is_fine() {
        assert_clean(
            check,
            &[
                ("crates/x/Cargo.toml", GOOD),
                ("crates/x/src/lib.rs", "//! What x is for.\n"),
            ],
        );
    }

    #[test]
    fn lints_of_its_own_are_found() {
        let manifest = "[package]\nname = \"posx-x\"\n";
        assert_finds(
            check,
            &[("crates/x/Cargo.toml", manifest)],
            &["crates/x/Cargo.toml:1", "[lints]"],
        );
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let manifest = format!("{GOOD}[target.'cfg(unix)'.dependencies]\nlibc = \"0.2\"\n");
        assert_finds(
            check,
            &[("crates/x/Cargo.toml", &manifest)],
            &["crates/x/Cargo.toml:8", "libc"],
        );
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_found() {
        assert_finds(
            check,
            &[("crates/x/Cargo.toml", "[lints]\n[lints]\n")],
            &["no TOML"],
        );
    }

    #[test]
    fn a_crate_without_a_header_is_found() {
        let files = [
            ("crates/x/Cargo.toml", GOOD),
            ("crates/x/src/lib.rs", "pub fn a() {}\n"),
        ];
        assert_finds(check, &files, &["crates/x/src/lib.rs:1", "[header]"]);
    }

    #[test]
    fn a_dependency_without_its_why_is_found() {
        let manifest = "[workspace.dependencies]\n# ours\na = { path = \"a\" }\n# values\nb = \"1\" # why\nc = { version = \"1#\", features = [\n  \"x\",\n] } # why\nd = \"2#\"\n";
        assert_finds(check, &[("Cargo.toml", manifest)], &["Cargo.toml:9", "after d"]);
    }
}
