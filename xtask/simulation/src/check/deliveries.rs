//! What was bought is delivered once, and the books say so.

use std::collections::BTreeSet;

use posx_allocations::{Allocation, AllocationState, Delivery, Place, Standing};
use posx_kernel::OrderId;
use posx_orders::{Lifecycle, Line, Order};

use crate::store::rows::Rows;
use crate::world::World;

pub(super) fn check(rows: &Rows, sold_again: &BTreeSet<OrderId>) -> Vec<String> {
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
            let amounts: u128 = parts.iter().map(|part| part.amount.base_units()).sum();
            let owed = if paid { line.tokens.base_units() } else { 0 };
            if amounts != owed {
                broken.push(format!(
                    "{} of {} has {amounts} allocated, not {owed}",
                    line.id, order.id
                ));
            }
            if !sold_again.contains(&order.id) {
                broken.extend(of_returns(order, line, &parts));
            }
        }
        let states: Vec<_> = of_order
            .iter()
            .map(|allocation| allocation.state.name())
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
fn of_returns(order: &Order, line: &Line, parts: &[&&Allocation]) -> Option<String> {
    let target = line.tokens.proportion(order.returned, order.total)?.base_units();
    let taken: u128 = parts
        .iter()
        .map(|part| part.cut.base_units() + part.owed.base_units())
        .sum();
    // Of what a person must look at nobody knows whether it was delivered: it neither gives nor takes before that.
    let waits = parts.iter().any(|part| part.place() == Place::Moving);
    (taken != target && !waits && !parts.is_empty()).then(|| {
        format!(
            "{} of {}: {taken} tokens taken for {} of {}, not {target}",
            line.id, order.id, order.returned, order.total
        )
    })
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
