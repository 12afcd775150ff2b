//! The chart of accounts, the movements and the invariants as `docs/books.md` says them, compared with the code.

use std::collections::{BTreeMap, BTreeSet};

use posx_kernel::PartyId;
use uuid::Uuid;

use crate::{Account, EntryKind, Invariant};

const BOOKS: &str = include_str!("../../../docs/books.md");

/// Rows of the table under a heading, without its head: cells.
fn table(heading: &str) -> Vec<Vec<String>> {
    let (_, section) = BOOKS.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = section.split("\n## ").next().unwrap_or(section);
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = |row: &str| {
        row.trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    rows.skip(2).map(cells).collect()
}

/// Texts in backticks.
fn codes(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn all_accounts() -> Vec<Account> {
    let party = PartyId::from_uuid(Uuid::nil());
    let one_of_each = [
        Account::ProviderClearing,
        Account::Bank,
        Account::ProviderFees,
        Account::Sales,
        Account::SalesReturned,
        Account::RefundsPayable,
        Account::DisputesWithdrawn,
        Account::DisputeFees,
        Account::CommissionExpense,
        Account::CommissionPayable(party),
        Account::PayoutsPending(party),
        Account::CommissionWrittenOff,
        Account::TokensIssued,
        Account::TokensFree,
        Account::TokensReserved,
        Account::TokensSold,
        Account::TokensReturned,
        Account::TokensDelivered,
        Account::TokensOwed(party),
        Account::TokensClaims,
    ];
    // Another account fails here until it is in the list.
    for account in &one_of_each {
        match account {
            Account::ProviderClearing
            | Account::Bank
            | Account::ProviderFees
            | Account::Sales
            | Account::SalesReturned
            | Account::RefundsPayable
            | Account::DisputesWithdrawn
            | Account::DisputeFees
            | Account::CommissionExpense
            | Account::CommissionPayable(_)
            | Account::PayoutsPending(_)
            | Account::CommissionWrittenOff
            | Account::TokensIssued
            | Account::TokensFree
            | Account::TokensReserved
            | Account::TokensSold
            | Account::TokensReturned
            | Account::TokensDelivered
            | Account::TokensOwed(_)
            | Account::TokensClaims => {}
        }
    }
    one_of_each.into()
}

#[test]
fn the_chart_of_accounts_is_documented_with_its_classes() {
    let mut documented = BTreeMap::new();
    for row in table("Chart of accounts") {
        for code in codes(&row[0]) {
            assert_eq!(
                documented.insert(code.clone(), row[1].clone()),
                None,
                "{code} stands twice"
            );
        }
    }
    let party = PartyId::from_uuid(Uuid::nil()).to_string();
    let code = |account: &Account| {
        let of = if matches!(account, Account::TokensOwed(_)) {
            "{buyer}"
        } else {
            "{agent}"
        };
        account.code().replace(&party, of)
    };
    let accounts = all_accounts();
    let coded: BTreeMap<_, _> = accounts
        .iter()
        .map(|account| (code(account), account.class().as_str().to_owned()))
        .collect();
    assert_eq!(coded.len(), accounts.len());
    assert_eq!(documented, coded);
}

#[test]
fn every_kind_of_entry_is_documented_and_no_other() {
    let mut documented = BTreeSet::new();
    for row in table("Movements") {
        let mut subject = String::new();
        for code in codes(&row[0]) {
            // `tokens.reserved`, `.released`
            let name = if code.starts_with('.') {
                format!("{subject}{code}")
            } else {
                code
            };
            name.split('.')
                .next()
                .unwrap_or_default()
                .clone_into(&mut subject);
            if name.contains('.') {
                documented.insert(name);
            }
        }
    }
    let coded: BTreeSet<_> = EntryKind::ALL
        .iter()
        .map(|kind| kind.as_str().to_owned())
        .collect();
    assert_eq!(documented, coded);
}

#[test]
fn every_invariant_is_documented_as_it_says_itself() {
    let documented: Vec<_> = table("Invariants")
        .into_iter()
        .map(|row| (codes(&row[0])[0].clone(), row[1].clone()))
        .collect();
    let coded: Vec<_> = Invariant::ALL
        .iter()
        .map(|one| (one.as_str().to_owned(), one.says().to_owned()))
        .collect();
    assert_eq!(documented, coded);
}
