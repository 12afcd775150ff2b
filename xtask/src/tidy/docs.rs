//! Every document can be reached from the README, and every link leads somewhere.

use std::collections::BTreeSet;
use std::path::Path;

use super::Finding;
use super::tree::{File, Tree, normal};

const START: &str = "README.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let documents = || tree.files.iter().filter(|file| is_document(&file.path));
    let mut findings: Vec<_> = documents().flat_map(|file| dead_links(tree, file)).collect();
    let reached = reached(tree);
    let lonely = documents().filter(|file| !reached.contains(&file.path));
    findings
        .extend(lonely.map(|file| finding(file, 1, "no way leads here from README.md: link it".to_owned())));
    findings
}

fn is_document(path: &str) -> bool {
    let is_markdown = Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "md");
    is_markdown && (path == START || path.starts_with("docs/") || path.starts_with("migrations/"))
}

fn finding(file: &File, line: usize, what: String) -> Finding {
    Finding {
        path: file.path.clone(),
        line,
        rule: "docs",
        what,
    }
}

struct Link {
    line: usize,
    /// Relative to the root; `None` leaves the tree.
    target: Option<String>,
    written: String,
}

/// `[text](target)`, outside of code blocks; links to the outside and into the same page are left out.
fn links(file: &File) -> Vec<Link> {
    let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let (mut in_code, mut links) = (false, Vec::new());
    for (index, line) in file.text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let inside = targets.filter(|target| !target.contains("://") && !target.starts_with(['#', '<']));
        links.extend(inside.map(|written| {
            let path = written.split('#').next().unwrap_or_default();
            Link {
                line: index + 1,
                target: normal(&format!("{directory}/{path}")),
                written: written.to_owned(),
            }
        }));
    }
    links
}

fn dead_links(tree: &Tree, file: &File) -> Vec<Finding> {
    let there = |path: &str| {
        let is_directory = || {
            tree.files.iter().any(|file| {
                file.path
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
        };
        tree.file(path).is_some() || is_directory()
    };
    let dead = links(file)
        .into_iter()
        .filter(|link| !link.target.as_deref().is_some_and(there));
    dead.map(|link| {
        finding(
            file,
            link.line,
            format!("`{}` leads nowhere: correct the link", link.written),
        )
    })
    .collect()
}

fn reached(tree: &Tree) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next = vec![START.to_owned()];
    while let Some(path) = next.pop() {
        if let Some(file) = tree.file(&path)
            && reached.insert(path)
            && is_document(&file.path)
        {
            next.extend(links(file).into_iter().filter_map(|link| link.target));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    #[test]
    fn a_document_that_is_linked_over_another_is_fine() {
        let files = [
            (
                "README.md",
                "[a](docs/a.md#part) [site](https://example.com) [here](#here) [tree](docs)",
            ),
            ("docs/a.md", "[b](adr/b.md)\n```\n[no](link)\n```"),
            ("docs/adr/b.md", "[back](../../README.md)"),
        ];
        assert_clean(check, &files);
    }

    #[test]
    fn a_document_that_nobody_links_is_found() {
        assert_finds(
            check,
            &[("README.md", ""), ("docs/a.md", "")],
            &["docs/a.md:1", "link it"],
        );
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_finds(
            check,
            &[("README.md", "\n[a](docs/none.md)")],
            &["README.md:2", "docs/none.md"],
        );
        assert_finds(check, &[("README.md", "[a](../out.md)")], &["leads nowhere"]);
    }
}
