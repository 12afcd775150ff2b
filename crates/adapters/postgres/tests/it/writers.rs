//! Who writes money state: every statement in the sources and every function in the database, against a reviewed list. Another
//! writer fails here until somebody has looked at which entry it posts. The database refuses it in any case (`books.rs`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sqlx::Row as _;

use crate::server::superuser;

/// Their rows say what is owed, captured, given back, earned or paid.
const TABLES: &[&str] = &[
    "accounts",
    "entries",
    "postings",
    "orders",
    "payment_attempts",
    "refunds",
    "disputes",
    "commissions",
    "commission_adjustments",
    "payouts",
    "write_offs",
    "ledger_periods",
    "ledger_period_balances",
];

/// File and function, what it does to which table, and why no money goes unbooked.
const REVIEWED: &[(&str, &str, &str)] = &[
    (
        "ledger.rs post_entries",
        "insert accounts, entries, postings",
        "the entries themselves",
    ),
    (
        "orders/write.rs INSERT_ORDER",
        "insert orders",
        "captured is what it was placed with: nothing, with the entries of the tokens",
    ),
    (
        "orders/write.rs save",
        "update orders",
        "payments, refunds and disputes post in the same transaction; the database compares",
    ),
    (
        "orders/payments.rs insert",
        "insert payment_attempts",
        "nothing is received yet",
    ),
    (
        "orders/payments.rs save",
        "update payment_attempts",
        "what was received is posted with it",
    ),
    (
        "orders/refunds.rs insert",
        "insert refunds",
        "refund.requested, or refund.owed of its attempt",
    ),
    (
        "orders/refunds.rs save",
        "update refunds",
        "refund.paid, bounced, undone",
    ),
    (
        "orders/disputes.rs insert",
        "insert disputes",
        "dispute.withdrawn, lost",
    ),
    (
        "orders/disputes.rs save",
        "update disputes",
        "dispute.withdrawn, reinstated, lost, recovered",
    ),
    (
        "allocations/orders.rs set_delivery",
        "update orders",
        "delivery and lifecycle: no money",
    ),
    (
        "allocations/orders.rs flag",
        "update orders",
        "a flag for a person: no money",
    ),
    (
        "commissions.rs ready_due",
        "update commissions",
        "held becomes ready: no money",
    ),
    (
        "commissions.rs insert_commissions",
        "insert commissions",
        "commission.accrued",
    ),
    (
        "commissions/adjustments.rs save",
        "update commissions",
        "reversed, with an adjustment",
    ),
    (
        "commissions/adjustments.rs insert",
        "insert commission_adjustments",
        "commission.reversed, restored",
    ),
    (
        "settlements.rs take_up",
        "update commissions",
        "ready becomes batched: payouts move the money",
    ),
    (
        "settlements.rs give_back",
        "update commissions",
        "batched becomes ready: payouts move the money",
    ),
    (
        "settlements.rs mark_paid",
        "update commissions",
        "batched becomes paid: payouts move the money",
    ),
    ("payouts.rs insert", "insert payouts", "payout.taken"),
    ("payouts.rs save", "update payouts", "payout.paid, returned"),
    (
        "agent_balances.rs insert_write_off",
        "insert write_offs",
        "commission.written_off",
    ),
    (
        "periods.rs insert",
        "insert ledger_periods, ledger_period_balances",
        "what was counted from the entries",
    ),
    (
        "periods.rs save",
        "update ledger_periods",
        "that the last one was opened again",
    ),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `fn name`, `const NAME` or `macro_rules! name` of a line, if it begins one.
fn begins(line: &str) -> Option<&str> {
    let rest = ["fn ", "const ", "macro_rules! "]
        .iter()
        .find_map(|word| Some((line.find(word)?, word.len())))
        .map(|(at, length)| &line[at + length..])?;
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    let declares = line.trim_start().starts_with(['f', 'p', 'a', 'c', 'm']);
    (declares && !name.is_empty() && !line.trim_start().starts_with("//")).then_some(name)
}

/// The tables of the list that the text writes: (verb, table).
fn writes(text: &str) -> Vec<(&'static str, &'static str)> {
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '.'))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let table = |word: &String| {
        let name = word.strip_prefix("public.").unwrap_or(word);
        TABLES.iter().copied().find(|table| *table == name)
    };
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1);
        let (verb, target) = match (word.as_str(), next.map(String::as_str)) {
            ("insert", Some("into")) => ("insert", words.get(at + 2)),
            ("delete", Some("from")) => ("delete", words.get(at + 2)),
            ("merge", Some("into")) => ("merge", words.get(at + 2)),
            ("update" | "truncate" | "copy", Some("only" | "table")) => ("update", words.get(at + 2)),
            ("update", _) => ("update", next),
            ("truncate" | "copy", _) => ("truncate", next),
            _ => continue,
        };
        if let Some(table) = target.and_then(table) {
            found.push((verb, table));
        }
    }
    found
}

#[test]
fn p31_every_statement_that_writes_money_state_is_on_the_reviewed_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 50, "{} files", files.len());
    let mut found = BTreeSet::new();
    for file in files {
        let name = file.strip_prefix(&root).expect("below").display().to_string();
        let text = std::fs::read_to_string(&file).expect("a source");
        let (mut place, mut body) = (String::new(), String::new());
        let mut end = |place: &str, body: &str| {
            for (verb, table) in writes(body) {
                found.insert((format!("{name} {place}"), verb, table));
            }
        };
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if let Some(next) = begins(line) {
                end(&place, &body);
                body.clear();
                next.clone_into(&mut place);
            }
            body.push_str(line);
            body.push('\n');
        }
        end(&place, &body);
    }
    let mut reviewed = BTreeSet::new();
    for (place, what, why) in REVIEWED {
        assert!(!why.is_empty());
        let (verb, tables) = what.split_once(' ').expect("a verb and tables");
        for table in tables.split(", ") {
            let table = TABLES
                .iter()
                .copied()
                .find(|known| *known == table)
                .expect("a table of the list");
            let verb = ["insert", "update"]
                .into_iter()
                .find(|known| *known == verb)
                .expect("a verb");
            reviewed.insert(((*place).to_owned(), verb, table));
        }
    }
    let unknown: Vec<_> = found.difference(&reviewed).collect();
    let gone: Vec<_> = reviewed.difference(&found).collect();
    assert!(
        unknown.is_empty() && gone.is_empty(),
        "not reviewed: {unknown:#?}, gone: {gone:#?}"
    );
}

#[tokio::test]
async fn p31_no_function_of_the_database_writes_money_state_and_no_other_role_may() {
    let rows = sqlx::query(
        "select f.proname::text, f.prosrc from pg_proc f where f.pronamespace in ('app'::regnamespace, 'public'::regnamespace)",
    )
    .fetch_all(&mut superuser().await)
    .await
    .expect("the catalogue");
    assert!(rows.len() > 40, "{} functions", rows.len());
    for row in rows {
        let (name, source): (String, String) = (row.get(0), row.get(1));
        assert_eq!(writes(&source), [], "app.{name}");
    }
    for table in TABLES {
        let rows = sqlx::query(
            "select r.rolname::text from pg_roles r
             where r.rolname like 'posx%' and r.rolname not in ('posx_app', 'posx_owner', 'posx_migrator')
               and has_any_column_privilege(r.rolname, $1::regclass, 'insert, update')",
        )
        .bind(table)
        .fetch_all(&mut superuser().await)
        .await
        .expect("the catalogue");
        assert!(rows.is_empty(), "{table}");
    }
}

#[test]
fn a_writer_is_seen_however_it_is_written() {
    let found = |text| {
        writes(text)
            .into_iter()
            .map(|(verb, table)| format!("{verb} {table}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found("with x as (UPDATE\n  public.orders o set a = 1) select 1"),
        ["update orders"]
    );
    assert_eq!(found("insert into refunds (id) values ($1)"), ["insert refunds"]);
    assert_eq!(found("select 1 from orders for update"), Vec::<String>::new());
    assert_eq!(found("update order_lines set x = 1"), Vec::<String>::new());
    assert_eq!(begins("    async fn save(&mut self) {"), Some("save"));
    assert_eq!(
        begins("pub(crate) const INSERT_ORDER: &str = concat!("),
        Some("INSERT_ORDER")
    );
    assert_eq!(begins("        .bind(fn_name)"), None);
}
