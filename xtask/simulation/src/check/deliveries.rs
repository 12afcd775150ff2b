//! What was bought is delivered once, and the books say so.

use posx_allocations::{Allocation, AllocationState, Delivery, Place, Settling, Standing, StateName};
use posx_orders::{Lifecycle, Line, Order};

use super::vesting::releases_of;
use crate::store::rows::Rows;
use crate::world::World;

pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for order in rows.orders.values() {
        let of_order: Vec<_> = rows
            .allocations
            .values()
            .filter(|allocation| allocation.order == order.id)
            .collect();
        let paid = matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled);
        for line in &order.lines {
            let parts: Vec<_> = of_order
                .iter()
                .filter(|allocation| allocation.line == line.id)
                .collect();
            let kept = parts.iter().map(|part| part.kept().base_units());
            let ahead = releases_of(rows, line).map(|release| release.amount.base_units());
            let amounts: u128 = kept.chain(ahead).sum();
            let owed = if paid { line.tokens.base_units() } else { 0 };
            if amounts != owed {
                broken.push(format!(
                    "{} of {} has {amounts} allocated, not {owed}",
                    line.id, order.id
                ));
            }
            broken.extend(of_returns(rows, order, line, &parts));
        }
        let ahead = order.lines.iter().flat_map(|line| releases_of(rows, line));
        let ahead = ahead.filter(|release| !release.left().is_zero());
        let states: Vec<_> = of_order
            .iter()
            .map(|allocation| allocation.state.name())
            .chain(ahead.map(|_| StateName::Pending))
            .collect();
        let derived = Delivery::of(&states).as_str();
        if order.delivery.as_str() != derived {
            broken.push(format!(
                "{} is delivered {:?}, by its allocations {derived}",
                order.id, order.delivery
            ));
        }
        // What was delivered and is owed again stays fulfilled.
        let restored = order.lifecycle == Lifecycle::Fulfilled
            && rows.refunds.values().any(|refund| refund.order == order.id)
            || rows.disputes.values().any(|dispute| dispute.order == order.id);
        if (order.lifecycle == Lifecycle::Fulfilled) != (derived == "done") && !restored {
            broken.push(format!(
                "{} is {:?} and delivered {derived}",
                order.id, order.lifecycle
            ));
        }
    }
    broken
}

/// Tokens follow the money: cut or owed, never both kept, never taken twice.
fn of_returns(rows: &Rows, order: &Order, line: &Line, parts: &[&&Allocation]) -> Option<String> {
    let target = line.tokens.proportion(order.returned, order.total)?.base_units();
    let taken: u128 = parts
        .iter()
        .map(|part| part.cut.base_units() + part.owed.base_units())
        .chain(releases_of(rows, line).map(|release| release.cut.base_units()))
        .sum();
    let nothing = parts.is_empty() && releases_of(rows, line).next().is_none();
    // Of what a person must look at nobody knows whether it was delivered: it neither gives nor takes before that.
    let waits = parts.iter().any(|part| part.place() == Place::Moving);
    (taken != target && !waits && !nothing).then(|| {
        format!(
            "{} of {}: {taken} tokens taken for {} of {}, not {target}",
            line.id, order.id, order.returned, order.total
        )
    })
}

/// What came back and what was given up is what staff settled, and no more than was owed.
pub(super) fn debts(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for allocation in rows.allocations.values() {
        let settled = |how| -> u128 {
            let settlements = rows.token_settlements.values();
            let of_it = settlements.filter(|one| (one.allocation, one.how) == (allocation.id, how));
            of_it.map(|one| one.amount.base_units()).sum()
        };
        let said = (allocation.received.base_units(), allocation.waived.base_units());
        let sums = (settled(Settling::Received), settled(Settling::Waived));
        if said != sums || said.0 > allocation.left().base_units() {
            broken.push(format!(
                "{} was settled {said:?}, by its settlements {sums:?}",
                allocation.id
            ));
        }
    }
    broken
}

/// p24: at most one transfer of an allocation is on chain, and it is the one that we know.
pub(crate) fn at_the_custodian(world: &World) -> Vec<String> {
    let (sent, mut broken) = (world.custodian.sent(), Vec::new());
    for scene in &world.sites {
        world.db.read(scene.site.id, |rows| {
            for allocation in rows.allocations.values() {
                let prefix = format!("{}-", allocation.id);
                let tries: Vec<_> = sent
                    .iter()
                    .filter(|sent| sent.request.external_id.0.starts_with(&prefix))
                    .collect();
                let on_chain = tries.iter().filter(|sent| sent.on_chain).count();
                if on_chain > 1 {
                    broken.push(format!(
                        "sent twice: {} is {on_chain} times on chain",
                        allocation.id
                    ));
                }
                let delivered = tries.iter().any(|sent| {
                    let transfer = &sent.transfer;
                    Standing::of(&transfer.status, transfer.sub_status.as_deref()) == Standing::Completed
                });
                let done = matches!(allocation.state, AllocationState::Done { .. });
                if delivered != done {
                    broken.push(format!(
                        "{} is {:?}, delivered: {delivered}",
                        allocation.id, allocation.state
                    ));
                }
                // What is on chain and not done is flagged for a person.
                let flagged = match &allocation.state {
                    AllocationState::Failed {
                        needs_person,
                        tx_hash,
                        ..
                    } => *needs_person || tx_hash.is_some(),
                    _ => allocation.parked.is_some(),
                };
                if on_chain == 1 && !done && !flagged {
                    broken.push(format!("{} is on chain and nobody knows", allocation.id));
                }
                for sent in tries {
                    if done && sent.on_chain && sent.request.amount != allocation.left()
                        || sent.request.to != allocation.address
                    {
                        broken.push(format!("{} was sent something else", allocation.id));
                    }
                }
            }
        });
    }
    broken
}
