//! One place begins transactions on PostgreSQL. sqlx's own `begin` is not safe to cancel: a future that is dropped at the wrong
//! moment hands the next user of the connection an open transaction, with a site in it.

use super::Finding;
use super::source::{Source, line_at};
use super::tree::Tree;

const HOME: &str = "crates/adapters/postgres/src/connection.rs";

/// Of sqlx's pools and connections. Our own ports begin with a scope, hence with an argument.
const CALLS: &[&str] = &[".begin()", ".begin_with(", ".try_begin()", ".try_begin_with("];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.crates.iter().flat_map(|one| &one.sources);
    sources
        .filter(|source| source.path != HOME)
        .flat_map(of_file)
        .collect()
}

fn of_file(source: &Source) -> Vec<Finding> {
    let finding = |at, call: &str| Finding {
        path: source.path.clone(),
        line: line_at(&source.production, at),
        rule: "begin",
        what: format!("`{call}` is not safe to cancel: begin through {HOME}"),
    };
    let calls = CALLS
        .iter()
        .flat_map(|call| source.production.match_indices(call));
    calls.map(|(at, call)| finding(at, call)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::{CALLS, HOME, check};

    const MANIFEST: (&str, &str) = ("crates/adapters/postgres/Cargo.toml", "");
    const OTHER: &str = "crates/adapters/postgres/src/orders.rs";

    #[test]
    fn a_begin_beside_the_one_place_is_found() {
        for call in CALLS {
            let code = format!("async fn a(pool: &PgPool) {{\n    let tx = pool\n        {call}; }}");
            assert_finds(
                check,
                &[MANIFEST, (OTHER, &code)],
                &["orders.rs:3: [begin]", call, HOME],
            );
        }
        let worker = ("apps/worker/src/a.rs", "fn a() { pool.begin(); }");
        assert_finds(
            check,
            &[("apps/worker/Cargo.toml", ""), worker],
            &["apps/worker/src/a.rs:1"],
        );
    }

    #[test]
    fn the_one_place_our_ports_and_tests_are_fine() {
        let call = "fn a() { pool.begin_with(text); }";
        let ports = "fn a() { self.db.begin(&scope); connection::begin(pool, text); SiteTx::begin(pool); }
            fn begin() {}
            #[cfg(test)] mod tests { fn a() { pool.begin(); } }";
        let test = (
            "crates/adapters/postgres/tests/it/a.rs",
            "fn a() { pool.begin(); }",
        );
        assert_clean(check, &[MANIFEST, (HOME, call), (OTHER, ports), test]);
    }
}
