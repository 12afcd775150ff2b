//! The books, and the provider's side of them.

use std::collections::BTreeMap;

use posx_commissions::PayoutMethod;
use posx_kernel::{Currency, Money, OrderId};
use posx_ledger::{Account, Entry, Side, Unit};
use posx_orders::gateway::{Intent, IntentState, RefundState};
use posx_orders::{AttemptState, DisputeState, Lifecycle, Order, Refund, RefundOrigin};

use super::{is_held, payouts};
use crate::store::rows::Rows;
use crate::world::World;

/// Debits positive.
pub(super) fn balance(rows: &Rows, account: &Account, unit: Unit) -> i128 {
    let postings = rows.entries.values().flat_map(Entry::postings);
    let own = postings.filter(|posting| posting.account == *account && posting.unit == unit);
    own.map(|posting| {
        let amount = i128::try_from(posting.amount).unwrap_or(i128::MAX);
        if posting.side == Side::Debit {
            amount
        } else {
            -amount
        }
    })
    .sum()
}

fn sum<'a>(amounts: impl Iterator<Item = &'a Money>) -> i128 {
    amounts.map(|amount| i128::from(amount.minor())).sum()
}

/// What the accounts must hold, by the states of what they are about.
pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = trial(rows);
    let Some(currency) = rows.tiers.values().next().map(|tier| tier.list_price.currency()) else {
        return broken;
    };
    let sold = |order: &&Order| matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled);
    let sales = sum(rows.orders.values().filter(sold).map(|order| &order.total));
    let refunds = |counts: fn(&Refund) -> bool| {
        sum(rows
            .refunds
            .values()
            .filter(|refund| counts(refund))
            .map(|refund| &refund.amount))
    };
    let came_too_much = refunds(|refund| refund.origin == RefundOrigin::Automatic);
    let paid = refunds(|refund| refund.state == RefundState::Succeeded);
    let of_sale = refunds(|refund| !refund.reason.is_surplus() && refund.state.counts());
    let withdrawn = sum(rows.disputes.values().map(|dispute| &dispute.withdrawn));
    let lost = sum(rows.disputes.values().map(|dispute| &dispute.lost));
    let fees = balance(rows, &Account::DisputeFees, Unit::Currency(currency));
    let by_provider = payouts::paid(rows, |method| method == PayoutMethod::Connect);
    let mut expected: BTreeMap<Account, i128> = [
        (
            Account::ProviderClearing,
            sales + came_too_much - paid - withdrawn - fees - i128::from(by_provider),
        ),
        (
            Account::Bank,
            -i128::from(payouts::paid(rows, |method| method != PayoutMethod::Connect)),
        ),
        (Account::Sales, -sales),
        (Account::SalesReturned, of_sale + lost),
        (Account::RefundsPayable, -(came_too_much + of_sale - paid)),
        (Account::DisputesWithdrawn, withdrawn - lost),
    ]
    .into();
    for commission in rows.commissions.values() {
        let amount = i128::from(commission.left().minor());
        *expected
            .entry(Account::CommissionPayable(commission.agent))
            .or_default() -= amount;
        *expected.entry(Account::CommissionExpense).or_default() += amount;
    }
    for payout in rows.payouts.values() {
        let (taken, pending) = (payouts::outstanding(payout), payouts::pending(payout));
        *expected
            .entry(Account::CommissionPayable(payout.agent))
            .or_default() += i128::from(taken);
        *expected.entry(Account::PayoutsPending(payout.agent)).or_default() -= i128::from(pending);
    }
    for (account, expected) in expected {
        let booked = balance(rows, &account, Unit::Currency(currency));
        if booked != expected {
            broken.push(format!("books: {} is {booked}, not {expected}", account.code()));
        }
    }
    for order in rows.orders.values() {
        broken.extend(of_order(rows, order));
    }
    broken
}

/// p15, and what went back of an order by its refunds and disputes.
fn of_order(rows: &Rows, order: &Order) -> Vec<String> {
    let mut broken = Vec::new();
    let of_order = |refund: &&Refund| refund.order == order.id;
    let refunds: Vec<_> = rows.refunds.values().filter(of_order).collect();
    let amount = |counts: fn(&Refund) -> bool| {
        let counted = refunds.iter().filter(|refund| counts(refund));
        counted.map(|refund| refund.amount.minor()).sum::<i64>()
    };
    let refunded = amount(|refund| refund.state == RefundState::Succeeded);
    if order.refunded.minor() != refunded || amount(|refund| refund.state.counts()) > order.captured.minor() {
        broken.push(format!(
            "{} captured {}, refunded {}",
            order.id, order.captured, order.refunded
        ));
    }
    let of_sale = order.captured.minor() - amount(|refund| refund.origin == RefundOrigin::Automatic);
    let refunding = amount(|refund| !refund.reason.is_surplus() && refund.state.counts());
    let disputes = rows.disputes.values().filter(|dispute| dispute.order == order.id);
    let lost: i64 = disputes.clone().map(|dispute| dispute.lost.minor()).sum();
    let returned = (refunding + lost.min((of_sale - refunding).max(0))).min(order.total.minor());
    let is_disputed = disputes
        .clone()
        .any(|dispute| dispute.state == DisputeState::Open);
    if order.returned.minor() != returned || order.disputed != is_disputed {
        broken.push(format!(
            "{} returned {}, by its refunds and disputes {returned}",
            order.id, order.returned
        ));
    }
    broken
}

/// p31: debits equal credits in every unit.
fn trial(rows: &Rows) -> Vec<String> {
    let mut sums: BTreeMap<Unit, i128> = BTreeMap::new();
    for posting in rows.entries.values().flat_map(Entry::postings) {
        let amount = i128::try_from(posting.amount).unwrap_or(i128::MAX);
        let signed = if posting.side == Side::Debit {
            amount
        } else {
            -amount
        };
        *sums.entry(posting.unit).or_default() += signed;
    }
    let open = sums.into_iter().filter(|(_, sum)| *sum != 0);
    open.map(|(unit, sum)| format!("books: the trial balance of {unit} is {sum}"))
        .collect()
}

/// Every payment that succeeded is an order's money, or went back, or is flagged; nobody paid twice for one attempt.
pub(crate) fn at_the_provider(world: &World) -> Vec<String> {
    let mut broken = Vec::new();
    let (intents, handed) = (world.payments.intents(), world.told().handed.clone());
    for scene in &world.sites {
        world.db.read(scene.site.id, |rows| {
            let mut received: BTreeMap<OrderId, i128> = BTreeMap::new();
            for attempt in rows.attempts.values() {
                let of_attempt: Vec<_> = intents
                    .iter()
                    .filter(|intent| intent.attempt == Some(attempt.id))
                    .collect();
                if of_attempt.len() > 1 {
                    broken.push(format!("{} has {} intents", attempt.id, of_attempt.len()));
                }
                let Some(order) = rows.orders.get(&attempt.order) else {
                    broken.push(format!("{} is of no order", attempt.id));
                    continue;
                };
                for intent in of_attempt {
                    match intent.state {
                        IntentState::Succeeded { received: money } if money == attempt.amount => {
                            *received.entry(order.id).or_default() += i128::from(money.minor());
                            if attempt.state != AttemptState::Succeeded {
                                broken.push(format!("lost payment: {} of {}", intent.id, order.id));
                            }
                        }
                        IntentState::Succeeded { .. } if order.attention.is_none() => {
                            broken.push(format!("no alarm: {} received another amount", intent.id));
                        }
                        IntentState::RequiresPaymentMethod { .. } | IntentState::RequiresAction
                            if handed.contains(&intent.id.0) && !world.payments.was_denied(&intent.id) =>
                        {
                            broken.push(format!(
                                "{} of the closed {} can still be paid",
                                intent.id, order.id
                            ));
                        }
                        _ => {}
                    }
                }
            }
            for order in rows.orders.values().filter(|order| !is_held(order)) {
                let money = received.get(&order.id).copied().unwrap_or_default();
                if i128::from(order.captured.minor()) != money {
                    broken.push(format!(
                        "{} captured {}, the provider {money}",
                        order.id,
                        order.captured.minor()
                    ));
                }
            }
            broken.extend(provider_balance(world, rows));
        });
    }
    broken
}

/// What the provider holds for the site is what the books say that it holds.
fn provider_balance(world: &World, rows: &Rows) -> Vec<String> {
    let ours = |intent: &&Intent| {
        let attempt = intent.attempt.and_then(|attempt| rows.attempts.get(&attempt));
        attempt.is_some_and(|attempt| attempt.state == AttemptState::Succeeded)
    };
    let intents = world.payments.intents();
    let mut held: BTreeMap<Currency, i128> = BTreeMap::new();
    for intent in intents.iter().filter(ours) {
        let balance = held.entry(intent.amount.currency()).or_default();
        if let IntentState::Succeeded { received } = intent.state {
            *balance += i128::from(received.minor());
        }
        for (_, refund) in world
            .payments
            .all_refunds()
            .iter()
            .filter(|(of, _)| *of == intent.id)
        {
            if refund.state == RefundState::Succeeded {
                *balance -= i128::from(refund.amount.minor());
            }
        }
        let disputes = world.payments.all_disputes();
        let of_intent = disputes
            .iter()
            .filter(|dispute| dispute.intent.as_ref() == Some(&intent.id));
        for line in of_intent.flat_map(|dispute| &dispute.movements) {
            *balance += i128::from(line.amount.minor()) - i128::from(line.fee.minor());
        }
    }
    let transfers = world.transfers.made();
    for transfer in transfers {
        if transfer.payout.is_some_and(|id| rows.payouts.contains_key(&id)) {
            let left = transfer.amount.minor() - transfer.reversed.minor();
            *held.entry(transfer.amount.currency()).or_default() -= i128::from(left);
        }
    }
    let mut broken = Vec::new();
    for (currency, held) in held {
        let booked = balance(rows, &Account::ProviderClearing, Unit::Currency(currency));
        if booked != held {
            broken.push(format!(
                "the provider holds {held} {currency}, the books say {booked}"
            ));
        }
    }
    broken
}
