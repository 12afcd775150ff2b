//! Which lines of other days a comparison needs.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use posx_kernel::Timestamp;

use super::compare::{CLOCKS_DIFFER_BY, Comparison, LATE_BY};
use super::day::Day;
use super::line::{Booked, Line, Movement, Unbooked};
use crate::Side;

/// Lines of other days are looked for this far back, and this far on.
const LOOKED_AROUND_MAX: TimeDelta = TimeDelta::days(31);

/// Where the lines may be that the day's own do not tell of: those of entries that found none, and those that entries have which
/// seem to be of a line of the day. `None`: nothing is to be looked for.
pub(super) fn window(
    day: &Day,
    now: Timestamp,
    found: &Comparison,
    (lines, entries): (&[Line], &[Booked]),
    unbooked: &BTreeMap<String, Unbooked>,
) -> Option<(Timestamp, Timestamp)> {
    let differing = found.differences.iter().filter_map(|one| one.entry.as_ref());
    let mut last: HashMap<_, Timestamp> = HashMap::new();
    for line in lines {
        let last = last
            .entry((line.movement, line.reference.as_str()))
            .or_insert(line.at);
        *last = line.at.max(*last);
    }
    // Of the day, and before a line; or of another day, and not too old to be of a line of the day.
    let doubtful = entries.iter().filter(|entry| {
        let thing = (entry.movement, entry.reference.as_deref().unwrap_or_default());
        entry.line.is_none()
            && if day.holds(entry.at) {
                last.get(&thing)
                    .is_some_and(|line| *line > entry.at + CLOCKS_DIFFER_BY)
            } else {
                entry.at + LATE_BY >= day.from
            }
    });
    let sought = differing
        .chain(doubtful)
        .filter(|entry| entry.reference.is_some());
    let of_entries = sought.map(|entry| (entry.since, entry.at + LATE_BY));
    let of_refunds = unbooked.values().filter_map(|why| match why {
        Unbooked::OnItsWay => None,
        Unbooked::CameToNothing { since } => Some((*since, now)),
    });
    let (since, until) = of_entries
        .chain(of_refunds)
        .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))?;
    Some((
        (since - CLOCKS_DIFFER_BY).clamp(day.from - LOOKED_AROUND_MAX, day.from),
        until.clamp(day.until, (day.until + LOOKED_AROUND_MAX).min(now)),
    ))
}

/// What was taken for a refund was given back.
pub(super) fn came_back(refund: &str, lines: &[Line]) -> bool {
    let about = lines.iter().filter(|line| {
        line.reference == refund && matches!(line.movement, Movement::Refund | Movement::RefundFailure)
    });
    let mut sums: BTreeMap<&str, (u128, u128)> = BTreeMap::new();
    for line in about {
        let (debit, credit) = sums.entry(&line.moved.unit).or_default();
        let side = if line.moved.side == Side::Debit {
            debit
        } else {
            credit
        };
        *side = side.saturating_add(line.moved.amount);
    }
    sums.values().all(|(debit, credit)| debit == credit)
}
