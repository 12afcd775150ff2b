//! What must hold at every moment: looked at when a transaction commits.

use std::collections::BTreeSet;

use posx_allocations::StateName;
use posx_commissions::CommissionState;
use posx_ledger::Side;
use posx_orders::{Lifecycle, Order, Refund};

use super::rows::Rows;

/// What a commit breaks, by what was there and what it writes.
pub(super) fn commit(before: &Rows, own: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for (tier, stock) in &own.stock {
        if stock.reserved < 0 || stock.sold < 0 || stock.available() < 0 {
            broken.push(format!("oversold: {tier} has {stock:?}"));
        }
    }
    for order in own.orders.values() {
        broken.extend(of_order(before.orders.get(&order.id), order));
    }
    broken.extend(attempts(before, own));
    broken.extend(refunds(before, own));
    broken.extend(allocations(before, own));
    broken.extend(commissions(before, own));
    for entry in own.entries.values() {
        let sum = |side| -> u128 {
            let of_side = entry.postings().iter().filter(|posting| posting.side == side);
            of_side.map(|posting| posting.amount).sum()
        };
        if sum(Side::Debit) != sum(Side::Credit) {
            broken.push(format!("unbalanced: entry {}", entry.id()));
        }
    }
    broken
}

/// One open payment of an order, and no machine backwards.
fn attempts(before: &Rows, own: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for attempt in own.attempts.values().filter(|attempt| attempt.state.is_open()) {
        let own_row = |id| own.attempts.get(id);
        let others = before.attempts.iter().map(|(id, row)| own_row(id).unwrap_or(row));
        let open = |other: &posx_orders::Attempt| {
            other.order == attempt.order && other.id != attempt.id && other.state.is_open()
        };
        if others.into_iter().any(open) {
            broken.push(format!("two open attempts: of {}", attempt.order));
        }
    }
    for (id, attempt) in &own.attempts {
        if let Some(old) = before.attempts.get(id)
            && old.state != attempt.state
            && !old.state.may_become(attempt.state)
        {
            broken.push(format!(
                "backwards: {id} from {:?} to {:?}",
                old.state, attempt.state
            ));
        }
    }
    broken
}

/// p15
fn refunds(before: &Rows, own: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for refund in own.refunds.values() {
        let order = own
            .orders
            .get(&refund.order)
            .or_else(|| before.orders.get(&refund.order));
        let row = |id| own.refunds.get(id).or_else(|| before.refunds.get(id));
        let ids = before
            .refunds
            .keys()
            .chain(own.refunds.keys())
            .collect::<BTreeSet<_>>();
        let alive = |other: &&Refund| other.order == refund.order && other.state.counts();
        let given: i64 = ids
            .into_iter()
            .filter_map(row)
            .filter(alive)
            .map(|other| other.amount.minor())
            .sum();
        if order.is_some_and(|order| given > order.captured.minor()) {
            broken.push(format!("refunds of {} exceed what was captured", refund.order));
        }
    }
    broken
}

/// p26
fn allocations(before: &Rows, own: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for allocation in own.allocations.values() {
        let Some(old) = before.allocations.get(&allocation.id) else {
            continue;
        };
        let (was, is) = (old.state.name(), allocation.state.name());
        // By a person's word, or because money went back: never because of what a custodian said.
        let ours = matches!(was, StateName::Failed | StateName::Cancelled | StateName::Queued)
            && matches!(is, StateName::Pending | StateName::Failed | StateName::Cancelled);
        if is.rank() < was.rank() && !ours || was != is && was == StateName::Done {
            broken.push(format!("backwards: {} from {was:?} to {is:?}", allocation.id));
        }
    }
    broken
}

fn commissions(before: &Rows, own: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for commission in own.commissions.values() {
        let old = before.commissions.get(&commission.id);
        let is_now = commission.state == CommissionState::Ready
            && old.is_some_and(|old| old.state == CommissionState::Held);
        if is_now && commission.updated_at < commission.hold_until {
            broken.push(format!("ready before its hold is over: {}", commission.id));
        }
    }
    broken
}

fn of_order(old: Option<&Order>, order: &Order) -> Vec<String> {
    let mut broken = Vec::new();
    if order.refunded.minor() > order.captured.minor() {
        broken.push(format!("refunded more than captured: {}", order.id));
    }
    let Some(old) = old else { return broken };
    let (was, is) = (old.lifecycle, order.lifecycle);
    if was != is && !was.may_become(is, order.kind) {
        broken.push(format!("wrong move: {} from {was:?} to {is:?}", order.id));
    }
    if is == Lifecycle::Expired && was == Lifecycle::Placed && order.closed_at < Some(order.expires_at) {
        broken.push(format!("expired before its time: {}", order.id));
    }
    let passes = matches!(old.attention.as_deref(), None | Some("disputed" | "evidence_due"));
    if !passes && order.attention.is_none() {
        broken.push(format!("an alarm was lost: {}", order.id));
    }
    broken
}
