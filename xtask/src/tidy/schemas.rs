//! A name in the API's document is one type's: utoipa keeps the last of two in silence.

use std::collections::BTreeMap;

use super::Finding;
use super::source::{Source, line_at, words};
use super::tree::Tree;

struct Named<'a> {
    name: String,
    path: &'a str,
    line: usize,
}

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.crates.iter().flat_map(|one| &one.sources);
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut findings = Vec::new();
    for Named { name, path, line } in sources.flat_map(of_file) {
        match first.get(&name) {
            Some(other) => findings.push(Finding {
                path: path.to_owned(),
                line,
                rule: "schemas",
                what: format!("the API's document has one `{name}`, and {other} names it too: give one `#[schema(as = …)]`"),
            }),
            None => drop(first.insert(name, format!("{path}:{line}"))),
        }
    }
    findings
}

fn of_file(source: &Source) -> Vec<Named<'_>> {
    let code = &source.production;
    let derived = words(code, "derive").filter_map(|at| {
        let list = code[at..].split_once(']')?.0;
        list.contains("ToSchema").then_some(at)
    });
    derived
        .filter_map(|at| {
            let (attributes, name) = declared(&code[at..])?;
            Some(Named {
                name: renamed(attributes).unwrap_or(name).to_owned(),
                path: &source.path,
                line: line_at(code, at),
            })
        })
        .collect()
}

/// The attributes before the next type, and the type's name.
fn declared(code: &str) -> Option<(&str, &str)> {
    let at = ["struct", "enum"]
        .iter()
        .filter_map(|word| Some((words(code, word).next()?, word.len())))
        .min()?;
    let name = code[at.0 + at.1..].trim_start();
    let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    // A macro's `$name` is named where the macro is called.
    (end > 0).then(|| (&code[..at.0], &name[..end]))
}

fn renamed(attributes: &str) -> Option<&str> {
    let inside = attributes.split_once("schema(")?.1;
    let name = inside
        .strip_prefix("as = ")
        .or_else(|| Some(inside.split_once(", as = ")?.1))?;
    name.split([',', ')']).next()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    const MANIFEST: (&str, &str) = ("crates/x/Cargo.toml", "");

    #[test]
    fn two_types_do_not_share_a_name() {
        assert_finds(
            check,
            &[
                MANIFEST,
                (
                    "crates/x/src/a.rs",
                    "#[derive(Debug, ToSchema)]\nstruct Limit { a: u8 }",
                ),
                (
                    "crates/x/src/b.rs",
                    "\n#[derive(utoipa::ToSchema)]\n#[schema(as = Limit)]\nenum Bound { A }",
                ),
            ],
            &["crates/x/src/b.rs:2: [schemas]", "`Limit`", "crates/x/src/a.rs:1"],
        );
    }

    #[test]
    fn a_name_of_its_own_is_fine() {
        let code = "#[derive(Debug, utoipa::ToSchema)] #[schema(as = NewLimit)] struct Limit; \
            #[derive(Debug)] struct NewLimit; #[derive(ToSchema)] enum Other { A } \
            #[cfg(test)] mod tests { #[derive(ToSchema)] struct Other; }";
        assert_clean(check, &[MANIFEST, ("crates/x/src/a.rs", code)]);
    }
}
