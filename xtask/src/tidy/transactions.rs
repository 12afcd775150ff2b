//! A function that joins a transaction ends in `_in_tx` and takes the transaction first, so that a reader of the call
//! knows it commits nothing.

use super::Finding;
use super::source::{Function, Source, functions, line_at};
use super::tree::Tree;

const SUFFIX: &str = "_in_tx";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.crates
        .iter()
        .flat_map(|one| &one.sources)
        .flat_map(of_file)
        .collect()
}

fn of_file(source: &Source) -> Vec<Finding> {
    let all = functions(&source.production).into_iter();
    all.filter_map(|function| {
        let what = wrong(&function)?;
        Some(Finding {
            path: source.path.clone(),
            line: line_at(&source.production, function.at),
            rule: "in_tx",
            what: format!("`{}` {what}", function.name),
        })
    })
    .collect()
}

fn wrong(function: &Function<'_>) -> Option<&'static str> {
    let is_named = function.name.ends_with(SUFFIX);
    match (is_named, is_transaction(function.first_type)) {
        (true, false) => Some("ends in `_in_tx`: its first parameter is the open transaction"),
        (false, true) if is_port(function.first_type) => {
            Some("joins a transaction: end its name in `_in_tx`")
        }
        _ => None,
    }
}

/// `&mut dyn OrdersTx`, `&mut (dyn OrdersTx + 'a)`, `&mut SiteTx`, `&mut impl OrdersTx`, `&mut Tx`.
fn is_transaction(typed: &str) -> bool {
    let borrowed = typed.strip_prefix('&').is_some_and(|rest| rest.contains("mut "));
    borrowed
        && typed
            .split(|c: char| !(c.is_alphanumeric() || c == '_'))
            .any(|word| word.ends_with("Tx"))
}

/// The transaction as domains see it. An adapter's helpers on its own `SiteTx` may have plain names.
fn is_port(typed: &str) -> bool {
    let typed = typed.replace('(', "");
    ["mut dyn ", "mut impl "].iter().any(|port| typed.contains(port))
}

#[cfg(test)]
mod tests {
    use super::super::planted::{assert_clean, assert_finds};
    use super::check;

    const MANIFEST: (&str, &str) = ("crates/x/Cargo.toml", "");

    #[track_caller]
    fn finds(code: &str, said: &str) {
        assert_finds(
            check,
            &[MANIFEST, ("crates/x/src/a.rs", code)],
            &["crates/x/src/a.rs:1: [in_tx]", said],
        );
    }

    #[test]
    fn a_function_that_joins_a_transaction_says_so() {
        finds(
            "pub async fn reserve(tx: &mut dyn TiersTx, n: u32) {}",
            "end its name in",
        );
        finds(
            "impl A { async fn count(&self, tx: &'a mut (dyn OrdersTx + 'a)) {} }",
            "end its name in",
        );
        finds("fn count(tx: &mut impl OrdersTx) {}", "end its name in");
    }

    #[test]
    fn a_name_in_tx_is_true() {
        finds(
            "pub async fn reserve_in_tx(id: TierId, tx: &mut dyn TiersTx) {}",
            "first parameter",
        );
        finds("pub async fn reserve_in_tx(&self) {}", "first parameter");
    }

    #[test]
    fn other_functions_are_fine() {
        let code = "pub async fn reserve_in_tx(tx: &mut dyn TiersTx) {}
            impl A { fn settle_in_tx(&self, tx: &mut dyn OrdersTx) {} fn begin(db: &dyn Begin<dyn OrdersTx>) {} }
            fn rows(tx: &mut SiteTx) {}
            fn plain(values: &mut Vec<u8>) {}
            #[cfg(test)] mod tests { fn help(tx: &mut dyn OrdersTx) {} }";
        assert_clean(check, &[MANIFEST, ("crates/x/src/a.rs", code)]);
    }
}
