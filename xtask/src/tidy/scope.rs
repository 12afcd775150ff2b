//! The right to work in a site has two makers. Each is called in one place; a second place would be a second door.

use super::Finding;
use super::source::{line_at, words};
use super::tree::{Crate, Layer, Tree};

const KERNEL: &str = "posx-kernel";

/// The maker, and the crate that calls it.
const MAKERS: &[(&str, &str)] = &[
    ("of_verified_request", "posx-api"),
    ("of_claimed_job", "posx-worker"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    MAKERS
        .iter()
        .flat_map(|(maker, owner)| of_maker(tree, maker, owner))
        .collect()
}

fn of_maker(tree: &Tree, maker: &str, owner: &str) -> Vec<Finding> {
    let mut calls = Vec::new();
    // A tool of the tree serves nobody: what it plays with is in memory, or a stage of its own.
    let serves = |one: &&Crate| one.name != KERNEL && one.layer != Layer::Tool;
    for one in tree.crates.iter().filter(serves) {
        for source in &one.sources {
            let of_source = words(&source.production, maker).map(|at| {
                let line = line_at(&source.production, at);
                (one.name == owner, source.path.clone(), line)
            });
            calls.extend(of_source);
        }
    }
    // The owner's first call is the one that may be.
    calls.sort_by_key(|(is_owner, ..)| !is_owner);
    let legitimate = usize::from(calls.first().is_some_and(|(is_owner, ..)| *is_owner));
    let extra = calls.into_iter().skip(legitimate);
    let finding = |path, line, what| Finding {
        path,
        line,
        rule: "scope",
        what,
    };
    let mut findings: Vec<_> = extra
        .map(|(_, path, line)| {
            finding(
                path,
                line,
                format!("`SiteScope::{maker}` has one caller, in {owner}: take the scope from there"),
            )
        })
        .collect();
    if let (0, Some(owner_crate)) = (legitimate, tree.package(owner)) {
        let what = format!("nobody in {owner} calls `SiteScope::{maker}`: who makes its scopes?");
        findings.push(finding(owner_crate.manifest_path(), 1, what));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    const API: (&str, &str) = ("apps/api/Cargo.toml", "[package]\nname = \"posx-api\"\n");
    const CALL: &str = "fn a(site: SiteId) {\n    SiteScope::of_verified_request(site);\n}\n";

    #[test]
    fn one_caller_is_fine_and_tests_do_not_count() {
        let test = ("apps/api/tests/it/a.rs", CALL);
        assert_clean(check, &[API, ("apps/api/src/a.rs", CALL), test]);
    }

    #[test]
    fn a_second_caller_is_found() {
        let files = [API, ("apps/api/src/a.rs", CALL), ("apps/api/src/b.rs", CALL)];
        assert_finds(check, &files, &["apps/api/src/b.rs:2", "one caller"]);
    }

    #[test]
    fn a_caller_elsewhere_is_found() {
        let other = ("apps/worker2/Cargo.toml", "[package]\nname = \"other\"\n");
        let files = [
            API,
            ("apps/api/src/a.rs", CALL),
            other,
            ("apps/worker2/src/a.rs", CALL),
        ];
        assert_finds(check, &files, &["apps/worker2/src/a.rs:2", "one caller"]);
    }

    #[test]
    fn a_tool_of_the_tree_is_no_door() {
        let tool = ("xtask/tool/Cargo.toml", "[package]\nname = \"tool\"\n");
        let files = [
            API,
            ("apps/api/src/a.rs", CALL),
            tool,
            ("xtask/tool/src/a.rs", CALL),
        ];
        assert_clean(check, &files);
    }

    #[test]
    fn a_maker_that_nobody_calls_is_found() {
        assert_finds(check, &[API, ("apps/api/src/a.rs", "")], &["nobody in posx-api"]);
    }
}
