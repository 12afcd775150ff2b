//! Step 11: everything that moved is in the books, twice.

use std::collections::BTreeMap;

use posx_kernel::{Money, OrderId};
use posx_ledger::Invariant;
use rust_decimal::Decimal;

use super::cast::Shop;
use super::{Story, StoryError};
use crate::demo::client::views::{Commission, Entry, Order, Posting, TrialBalanceRow};
use crate::ui;

/// 12 % and 4 %.
const RATES: Decimal = Decimal::from_parts(16, 0, 0, false, 2);
/// Each of two shares is rounded to the nearest minor unit.
const ROUNDING: Decimal = Decimal::ONE;

pub async fn balance(story: &mut Story<'_>, shop: &Shop) -> Result<(), StoryError> {
    let (client, code) = (&story.set.client, shop.script.code);
    let entries: Vec<Entry> = client.all(&shop.admin, "/api/v1/ledger/entries").await?;
    let orders: Vec<Order> = client.all(&shop.admin, "/api/v1/orders?all=true").await?;
    let shares: Vec<Commission> = client.all(&shop.admin, "/api/v1/commissions?all=true").await?;
    let trial: Vec<TrialBalanceRow> = client.whole(&shop.admin, "/api/v1/ledger/trial-balance").await?;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &entries {
        *kinds.entry(&entry.kind).or_default() += 1;
    }
    let kinds: Vec<_> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    ui::note(&format!("{code}: {}", kinds.join(", ")));
    let unbalanced = entries.iter().filter(|entry| !balances(&entry.postings)).count();
    story.invariants.equal(
        format!("{code}: each of {} entries balances in each unit", entries.len()),
        (unbalanced, entries.is_empty()),
        (0, false),
    );
    let sums = sums(trial.iter().map(|row| (row.unit.as_str(), row.balance.as_str())));
    story.invariants.holds(
        format!(
            "{code}: the trial balance is zero in each of {} units",
            sums.len()
        ),
        !sums.is_empty() && sums.values().all(|sum| *sum == Some(0)),
        format!("{sums:?}"),
    );
    counted_anew(story, shop).await?;
    captured(story, shop, &entries, &orders);
    capped(story, shop, &orders, &shares);
    story.invariants.equal(
        format!(
            "{code}: each of {} commissions is accrued in the books",
            shares.len()
        ),
        of_kind(&entries, "commission.accrued").count(),
        shares.len(),
    );
    Ok(())
}

/// As the nightly job does. A dead job of this run ends the story; one of an earlier run, in kept data, is no fault of the books.
async fn counted_anew(story: &mut Story<'_>, shop: &Shop) -> Result<(), StoryError> {
    let mut faults = posx_worker::check_books(&story.set.services, shop.site.id).await?;
    faults.retain(|fault| fault.invariant != Invariant::JobsAlive.as_str());
    story.invariants.holds(
        format!("{}: every invariant of the books holds", shop.script.code),
        faults.is_empty(),
        format!("{faults:?}"),
    );
    Ok(())
}

/// What was paid is what was captured.
fn captured(story: &mut Story<'_>, shop: &Shop, entries: &[Entry], orders: &[Order]) {
    // Also what went back in part was captured whole.
    let was_paid = |order: &&Order| order.payment == "paid" || order.payment == "partly_refunded";
    let paid: Vec<_> = orders.iter().filter(was_paid).collect();
    let owed: i128 = paid.iter().map(|order| i128::from(order.total.minor())).sum();
    let booked: Option<i128> = of_kind(entries, "payment.captured")
        .flat_map(|entry| &entry.postings)
        .map(|posting| posting.amount.parse::<i128>().ok())
        .filter(|amount| amount.is_none_or(|amount| amount > 0))
        .sum();
    let shown = i64::try_from(owed).unwrap_or(i64::MAX);
    story.invariants.equal(
        format!(
            "{}: {} paid orders, {} captured, in as many entries",
            shop.script.code,
            paid.len(),
            Money::from_minor(shown, shop.site.currency)
        ),
        (of_kind(entries, "payment.captured").count(), booked),
        (paid.len(), Some(owed)),
    );
}

/// Property 18.
fn capped(story: &mut Story<'_>, shop: &Shop, orders: &[Order], shares: &[Commission]) {
    let mut given: BTreeMap<OrderId, i64> = BTreeMap::new();
    for share in shares {
        *given.entry(share.order).or_default() += share.amount.minor();
    }
    let too_much: Vec<_> = given
        .iter()
        .filter(|(id, sum)| {
            let order = orders.iter().find(|order| order.id == **id);
            let total = order.map_or(0, |order| order.total.minor());
            Decimal::from(**sum) > Decimal::from(total) * RATES + ROUNDING
        })
        .collect();
    story.invariants.holds(
        format!(
            "{}: on each of {} orders the commissions are at most 16 % of the price",
            shop.script.code,
            given.len()
        ),
        too_much.is_empty() && !given.is_empty(),
        format!("{too_much:?}"),
    );
}

fn of_kind<'a>(entries: &'a [Entry], kind: &'a str) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(move |entry| entry.kind == kind)
}

fn balances(postings: &[Posting]) -> bool {
    let amounts = postings
        .iter()
        .map(|posting| (posting.unit.as_str(), posting.amount.as_str()));
    postings.len() >= 2 && sums(amounts).values().all(|sum| *sum == Some(0))
}

/// `None`: an amount of the unit is no number.
pub fn sums<'a>(amounts: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<&'a str, Option<i128>> {
    let mut sums = BTreeMap::new();
    for (unit, amount) in amounts {
        let sum = sums.entry(unit).or_insert(Some(0_i128));
        *sum = sum
            .zip(amount.parse::<i128>().ok())
            .and_then(|(sum, amount)| sum.checked_add(amount));
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(unit: &str, amount: &str) -> Posting {
        Posting {
            unit: unit.to_owned(),
            amount: amount.to_owned(),
        }
    }

    #[test]
    fn an_entry_balances_in_each_unit_or_not_at_all() {
        assert!(balances(&[posting("USD", "5"), posting("USD", "-5")]));
        assert!(!balances(&[posting("USD", "5"), posting("KWD", "-5")]));
        assert!(!balances(&[posting("USD", "5"), posting("USD", "-4")]));
        assert!(!balances(&[posting("USD", "five"), posting("USD", "-5")]));
        assert!(!balances(&[]));
    }

    #[test]
    fn the_rates_are_sixteen_per_cent() {
        assert_eq!(RATES.to_string(), "0.16");
    }
}
