//! Releases sum to their line, and what has unlocked is allocated (p25).

use posx_allocations::{Release, ReleaseState};
use posx_kernel::VestingPolicyId;
use posx_orders::{Lifecycle, Line, Order};

use crate::store::rows::Rows;

/// What of a release is not at an allocation: taken by a refund or a revocation.
pub(super) fn taken(release: &Release) -> u128 {
    match release.state {
        ReleaseState::Revoked => release.amount.base_units(),
        _ => release.cut.base_units(),
    }
}

/// Those of the line that no allocation has.
pub(super) fn releases_of<'a>(rows: &'a Rows, line: &'a Line) -> impl Iterator<Item = &'a Release> {
    let of_line = rows.releases.values().filter(|release| release.line == line.id);
    of_line.filter(|release| release.state.allocation().is_none())
}

/// Something is still to unlock.
pub(super) fn is_open(rows: &Rows) -> bool {
    rows.releases.values().any(|release| still_locked(rows, release))
}

fn still_locked(rows: &Rows, release: &Release) -> bool {
    let started = rows
        .policies
        .get(&release.policy)
        .is_some_and(|policy| policy.starts_on.is_some());
    started && !release.left().is_zero()
}

pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    let locked = rows
        .releases
        .values()
        .filter(|release| still_locked(rows, release));
    for release in locked {
        broken.push(format!("unfinished: {} is {:?}", release.id, release.state));
    }
    for schedule in rows.schedules.values() {
        let releases = rows
            .releases
            .values()
            .filter(|release| release.schedule == schedule.id);
        let sum: u128 = releases.clone().map(|release| release.amount.base_units()).sum();
        if sum != schedule.total.base_units() {
            broken.push(format!("{} releases {sum} of {}", schedule.id, schedule.total));
        }
        let policy = rows.policies.get(&schedule.policy);
        let planned = policy
            .map(|policy| policy.amounts(schedule.total))
            .unwrap_or_default();
        let made: Vec<_> = releases.map(|release| (release.number, release.amount)).collect();
        let mut sorted = made.clone();
        sorted.sort_unstable();
        if sorted != planned {
            broken.push(format!("{} has {made:?}, by its policy {planned:?}", schedule.id));
        }
    }
    for release in rows.releases.values() {
        if let Some(allocation) = release.state.allocation()
            && !rows.allocations.contains_key(&allocation)
        {
            broken.push(format!("{} was handed to no allocation", release.id));
        }
    }
    for order in rows.orders.values() {
        let paid = matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled);
        for line in order.lines.iter().filter(|_| paid) {
            let schedule = rows.schedules.values().find(|schedule| schedule.line == line.id);
            let (made, said) = (schedule.map(|schedule| schedule.policy), said(rows, order, line));
            if made != said {
                broken.push(format!("{} vests by {made:?}; its tier said {said:?}", line.id));
            }
        }
    }
    broken
}

/// By what held for its tier when the order was placed.
fn said(rows: &Rows, order: &Order, line: &Line) -> Option<VestingPolicyId> {
    let terms = rows.tier_terms.iter();
    let then = terms.filter(|((tier, since), _)| *tier == line.tier && *since <= order.placed_at);
    then.max_by_key(|((_, since), _)| *since)
        .and_then(|(_, policy)| *policy)
}
