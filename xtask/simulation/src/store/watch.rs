//! What must hold at every moment: looked at when a transaction commits.

use std::collections::{BTreeMap, BTreeSet};

use posx_allocations::StateName;
use posx_commissions::{Commission, CommissionState, Payout, PayoutMethod, PayoutState};
use posx_kernel::PartyId;
use posx_ledger::Side;
use posx_orders::{Lifecycle, Order, Refund};

use super::rows::Rows;
use crate::check::outstanding;

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
    broken.extend(payouts(before, own));
    broken.extend(vaults(before, own));
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
        let ours = matches!(
            was,
            StateName::Failed | StateName::Cancelled | StateName::Queued | StateName::Unknown
        ) && matches!(is, StateName::Pending | StateName::Failed | StateName::Cancelled);
        if is.rank() < was.rank() && !ours || was != is && was == StateName::Done {
            broken.push(format!("backwards: {} from {was:?} to {is:?}", allocation.id));
        }
    }
    broken
}

/// One transfer of a vault is in flight.
fn vaults(before: &Rows, own: &Rows) -> Vec<String> {
    if own.batch_lines.is_empty() {
        return Vec::new();
    }
    let in_flight = latest(&before.batch_lines, &own.batch_lines).filter(|line| line.is_in_flight());
    let (mut vaults, mut broken) = (BTreeSet::new(), Vec::new());
    for line in in_flight {
        if !vaults.insert(&line.vault) {
            broken.push(format!("two transfers of the vault {} are in flight", line.vault));
        }
    }
    broken
}

/// As it is after the commit.
fn latest<'a, K: Ord, V>(old: &'a BTreeMap<K, V>, new: &'a BTreeMap<K, V>) -> impl Iterator<Item = &'a V> {
    let kept = old.iter().filter(|(key, _)| !new.contains_key(key));
    kept.chain(new).map(|(_, row)| row)
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

/// No machine backwards, and no more taken from a balance than was ever earned for it.
fn payouts(before: &Rows, own: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for payout in own.payouts.values() {
        let Some(old) = before.payouts.get(&payout.id) else {
            broken.extend(taken(before, own, payout));
            continue;
        };
        // Two moves in one transaction: paid by hand; found to be paid, and taken back already.
        let at_once = matches!(
            (old.state, payout.state),
            (PayoutState::Approved, PayoutState::Done) if payout.method != PayoutMethod::Connect
        ) || (old.state, payout.state) == (PayoutState::Sending, PayoutState::Returned);
        if old.state != payout.state && !old.state.may_become(payout.state) && !at_once {
            broken.push(format!(
                "backwards: {} from {:?} to {:?}",
                payout.id, old.state, payout.state
            ));
        }
        if payout.reversed.minor() < old.reversed.minor() {
            broken.push(format!("backwards: what came back of {}", payout.id));
        }
    }
    broken
}

/// Reversals do not wait for who takes from a balance, so they are not looked at: what was earned before them is the most.
fn taken(before: &Rows, own: &Rows, payout: &Payout) -> Option<String> {
    let of_agent = |agent: PartyId| agent == payout.agent;
    let spent: i64 = latest(&before.payouts, &own.payouts)
        .filter(|one| of_agent(one.agent))
        .map(outstanding)
        .sum();
    let free = |one: &&Commission| match one.state {
        CommissionState::Held => false,
        CommissionState::Frozen | CommissionState::Void => one.back_to != Some(CommissionState::Held),
        _ => true,
    };
    let earned: i64 = latest(&before.commissions, &own.commissions)
        .filter(|one| of_agent(one.agent))
        .filter(free)
        .map(|one| one.amount.minor())
        .sum();
    (spent > earned).then(|| format!("{} took {spent} out of {earned} earned", payout.agent))
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
    let passes = matches!(
        old.attention.as_deref(),
        None | Some("disputed" | "evidence_due" | "refund_failed")
    );
    if !passes && order.attention.is_none() {
        broken.push(format!("an alarm was lost: {}", order.id));
    }
    broken
}
