//! What must be true when the faults have stopped and all is done.

mod deliveries;
mod money;
mod payouts;
mod promo_codes;
mod shares;
mod stock;
mod vesting;

use posx_allocations::{Allocation, AllocationState, Place};
use posx_commissions::CommissionState;
use posx_orders::{DisputeState, Lifecycle, Order};

pub(crate) use self::payouts::outstanding;
use crate::jobs::NOBODYS_OBJECT;
use crate::queue::{JobState, QueuedJob};
use crate::store::rows::Rows;
use crate::world::{SiteScene, World};

/// Every sentence is a thing that is wrong.
pub(crate) fn all(world: &World) -> Vec<String> {
    let mut broken = std::mem::take(&mut world.db.state().violations);
    for scene in &world.sites {
        world.db.read(scene.site.id, |rows| {
            broken.extend(stock::check(rows));
            broken.extend(money::check(rows));
            broken.extend(shares::check(rows));
            broken.extend(deliveries::check(rows));
            broken.extend(deliveries::debts(rows));
            broken.extend(vesting::check(rows));
            broken.extend(promo_codes::check(rows));
            broken.extend(payouts::check(rows));
            broken.extend(ends(rows));
            broken.extend(promises(world, scene, rows));
        });
    }
    broken.extend(money::at_the_provider(world));
    broken.extend(deliveries::at_the_custodian(world));
    broken.extend(payouts::at_the_provider(world));
    broken.extend(jobs(world));
    broken
}

/// What it was to restore is sold again: a person adds to the supply.
pub(crate) fn is_sold_again(job: &QueuedJob) -> bool {
    let why = job.last_error.as_deref().unwrap_or_default();
    // What was undone before anything was allocated, the first job restores.
    matches!(job.task, "adjust_allocations" | "allocate_order") && why.starts_with("restored_tokens_sold")
}

/// Whether nothing is left that the schedule or a job would still move.
pub(crate) fn is_settled(world: &World) -> bool {
    let now = world.env.sim.now();
    let held = |rows: &Rows| {
        let mut commissions = rows.commissions.values();
        commissions.any(|commission| commission.state == CommissionState::Held)
    };
    let busy = |rows: &Rows| rows.orders.values().any(|order| !has_ended(order));
    let moving = |rows: &Rows| {
        rows.allocations
            .values()
            .any(|allocation| is_moving(rows, allocation))
    };
    let sites = world.sites.iter();
    let returning = |rows: &Rows| {
        rows.refunds.values().any(|refund| refund.state.is_open())
            || rows
                .disputes
                .values()
                .any(|dispute| dispute.state == DisputeState::Open)
    };
    let open = |rows: &Rows| {
        let paying = vesting::is_open(rows) || payouts::is_open(rows);
        held(rows) || busy(rows) || moving(rows) || returning(rows) || paying
    };
    let mut of_sites = sites.map(|scene| world.db.read(scene.site.id, open));
    if of_sites.any(|open| open) {
        return false;
    }
    let queue = &world.db.state().queue;
    if queue
        .all()
        .any(|job| job.state == JobState::Refused && is_sold_again(job))
    {
        return false;
    }
    let mut jobs = queue
        .all()
        .filter(|job| matches!(job.state, JobState::Waiting | JobState::Running));
    queue.due(now).is_empty() && jobs.all(|job| job.last_error.as_deref() == Some(NOBODYS_OBJECT))
}

/// Money that is not the order's waits for a person.
fn is_held(order: &Order) -> bool {
    order.attention.as_deref() == Some("payment_mismatch")
}

fn has_ended(order: &Order) -> bool {
    is_held(order) || order.lifecycle != Lifecycle::Placed
}

/// It is still to come to an end by itself. What is pending beside a part of its line that may have been sent although its money
/// went back waits for a person.
fn is_moving(rows: &Rows, allocation: &Allocation) -> bool {
    if allocation.state.is_terminal() || allocation.parked.is_some() {
        return false;
    }
    let doubtful = |other: &Allocation| {
        other.line == allocation.line
            && other.place() == Place::Moving
            && (other.state.is_terminal() || other.parked.is_some())
    };
    allocation.state != AllocationState::Pending || !rows.allocations.values().any(doubtful)
}

fn ends(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for order in rows.orders.values().filter(|order| !has_ended(order)) {
        broken.push(format!("unfinished: {} is {:?}", order.id, order.lifecycle));
    }
    for allocation in rows.allocations.values() {
        if is_moving(rows, allocation) {
            broken.push(format!("unfinished: {} is {:?}", allocation.id, allocation.state));
        }
        if let AllocationState::Failed {
            needs_person: false,
            tx_hash: None,
            reason,
            ..
        } = &allocation.state
        {
            broken.push(format!(
                "unfinished: {} failed ({reason}) and could be sent",
                allocation.id
            ));
        }
    }
    for refund in rows.refunds.values().filter(|refund| refund.state.is_open()) {
        broken.push(format!("unfinished: {} is {:?}", refund.id, refund.state));
    }
    for dispute in rows
        .disputes
        .values()
        .filter(|dispute| dispute.state == DisputeState::Open)
    {
        broken.push(format!(
            "unfinished: {} is {:?}",
            dispute.id, dispute.provider_state
        ));
    }
    for commission in rows.commissions.values() {
        if matches!(commission.state, CommissionState::Held | CommissionState::Batched) {
            broken.push(format!(
                "unfinished: {} is {:?} for ever",
                commission.id, commission.state
            ));
        }
    }
    broken
}

/// What clients were told is so, and no request took effect twice.
fn promises(world: &World, scene: &SiteScene, rows: &Rows) -> Vec<String> {
    let (told, mut broken) = (world.told(), Vec::new());
    let here = told.placed.iter().filter(|(site, ..)| *site == scene.site.id);
    for (_, party, key, order) in here {
        if !rows.orders.contains_key(order) {
            broken.push(format!("{order} was answered and does not exist"));
        }
        let other = |(site, other_party, other_key, other): &&(_, _, String, _)| {
            *site == scene.site.id && other_party == party && other_key == key && other != order
        };
        if told.placed.iter().any(|row| other(&row)) {
            broken.push(format!("the key {key} of {party} had two answers"));
        }
    }
    for party in &scene.parties {
        let asked = told
            .asked
            .iter()
            .filter(|row| **row == (scene.site.id, *party))
            .count();
        let orders = rows.orders.values().filter(|order| order.buyer == *party).count();
        if orders > asked {
            broken.push(format!("{party} asked for {asked} orders and has {orders}"));
        }
    }
    broken
}

/// Each is done, refused for good, or dead for a reason that is known.
fn jobs(world: &World) -> Vec<String> {
    let state = world.db.state();
    let mut broken = Vec::new();
    for job in state.queue.all() {
        let nobodys = job.task == "apply_webhook" && job.last_error.as_deref() == Some(NOBODYS_OBJECT);
        let sweep = job.payload == serde_json::json!({});
        let wrong = match job.state {
            JobState::Done => false,
            JobState::Refused => !sweep && job.task != "apply_webhook",
            JobState::Dead => !nobodys,
            JobState::Waiting | JobState::Running => !nobodys && !sweep,
        };
        if wrong {
            broken.push(format!(
                "job {} {} is {:?}: {:?}",
                job.task, job.payload, job.state, job.last_error
            ));
        }
    }
    broken
}
