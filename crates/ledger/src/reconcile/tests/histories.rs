//! Random days at a provider and in the books, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use chrono_tz::Tz;
use posx_kernel::{EntryId, Ids as _, Randomness as _, SeededIds, Timestamp};
use proptest::prelude::*;

use super::super::*;
use crate::Side;

const UNITS: [&str; 3] = ["USD", "KWD", "JPY"];

/// One thing that happened: its line, its entry, and what is to be found of it.
#[derive(Debug, Clone)]
struct Fact {
    lines: Vec<Line>,
    entries: Vec<Booked>,
    unbooked: Option<Unbooked>,
    injected: bool,
}

struct Chance {
    ids: SeededIds,
    day: Day,
    made: u32,
}

impl Chance {
    fn new(seed: u64) -> Self {
        let zone = [
            Tz::UTC,
            Tz::Asia__Kuwait,
            Tz::America__New_York,
            Tz::Europe__Berlin,
        ];
        let mut chance = Self {
            ids: SeededIds::new(seed),
            day: Day::of("2026-03-29".parse().unwrap(), Tz::UTC).unwrap(),
            made: 0,
        };
        let zone = zone[usize::try_from(chance.below(4)).unwrap()];
        chance.day = Day::of("2026-03-29".parse().unwrap(), zone).unwrap();
        chance
    }

    fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.ids.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }

    fn one_in(&self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}_{}", self.made)
    }

    /// Of the day before, the day, or the day after; often close to midnight.
    fn instant(&self) -> Timestamp {
        let around = if self.one_in(3) {
            self.day.from
        } else {
            self.day.until
        };
        let spread = if self.one_in(3) { 7_200 } else { 86_400 };
        around - TimeDelta::hours(12)
            + TimeDelta::seconds(43_200 - i64::try_from(self.below(spread)).unwrap())
    }

    /// Mostly at once; sometimes after hours, or after days.
    fn later(&self, than: Timestamp) -> Timestamp {
        let seconds = match self.below(12) {
            0 => self.below(6 * 86_400),
            1 => self.below(6 * 3_600),
            _ => self.below(1_200),
        };
        than + TimeDelta::seconds(i64::try_from(seconds).unwrap())
    }

    fn minor(&self) -> i64 {
        1 + i64::try_from(self.below(10_u64.pow(u32::try_from(1 + self.below(12)).unwrap()))).unwrap()
    }

    fn unit(&self) -> &'static str {
        UNITS[usize::try_from(self.below(3)).unwrap()]
    }

    fn entry(&self, line: &Line, named: bool, at: Timestamp) -> Booked {
        Booked {
            entry: EntryId::from_uuid(self.ids.uuid(at)),
            kind: line.movement.kinds()[0].as_str().to_owned(),
            movement: line.movement,
            reference: Some(line.reference.clone()),
            line: named.then(|| line.id.clone()),
            moved: line.moved.clone(),
            at,
            since: line.at,
        }
    }

    /// A line of a balance, each part with its entry.
    fn booked(&mut self, movement: Movement, reference: &str, amount: i64, fee: i64) -> Vec<Fact> {
        let (id, at, unit) = (self.name("txn"), self.instant(), self.unit());
        let parts = Line::of_balance(&id, movement, reference, at, unit, (amount, fee));
        let fact = |line: Line| {
            let by_run = line.movement.is_booked_by_line();
            let named = by_run || matches!(line.movement, Movement::Dispute | Movement::DisputeFee);
            let at = if by_run {
                self.day.until + TimeDelta::hours(3)
            } else {
                self.later(line.at)
            };
            let entry = self.entry(&line, named, at);
            Fact {
                lines: vec![line],
                entries: vec![entry],
                unbooked: None,
                injected: false,
            }
        };
        parts.into_iter().map(fact).collect()
    }

    fn refund(&mut self) -> Vec<Fact> {
        let (reference, amount) = (self.name("re"), self.minor());
        let mut facts = self.booked(Movement::Refund, &reference, -amount, 0);
        match self.below(6) {
            // Not through yet; never to be.
            0 => {
                facts[0].entries.clear();
                facts[0].unbooked = Some(Unbooked::OnItsWay);
            }
            1 => {
                facts.extend(self.booked(Movement::RefundFailure, &reference, amount, 0));
                for fact in &mut facts {
                    fact.entries.clear();
                    fact.unbooked = Some(Unbooked::CameToNothing);
                }
            }
            2 => facts.extend(self.booked(Movement::RefundFailure, &reference, amount, 0)),
            _ => {}
        }
        facts
    }

    fn dispute(&mut self) -> Vec<Fact> {
        let (reference, amount) = (self.name("dp"), self.minor());
        let mut facts = self.booked(Movement::Dispute, &reference, -amount, 1_500);
        if self.one_in(2) {
            facts.extend(self.booked(Movement::Dispute, &reference, amount, -1_500));
        }
        facts
    }

    fn transfer(&mut self) -> Vec<Fact> {
        let reference = self.name("tr");
        let (amount, steps) = (self.minor() + 3, self.below(4));
        let mut facts = self.booked(Movement::Transfer, &reference, -amount, 0);
        let mut reversals = Vec::new();
        for step in 0..i64::try_from(steps).unwrap() {
            reversals.extend(self.booked(Movement::TransferReversal, &reference, 10 * (1 + step), 0));
        }
        // Looked at late: one entry for all steps.
        if reversals.len() > 1 && self.one_in(2) {
            let unit = self.unit();
            let mut lines: Vec<Line> = reversals.into_iter().flat_map(|fact| fact.lines).collect();
            for line in &mut lines {
                line.moved.unit = unit.to_owned();
            }
            let last = lines.iter().map(|line| line.at).max().unwrap();
            let mut entry = self.entry(&lines[0], false, self.later(last));
            entry.moved.amount = lines.iter().map(|line| line.moved.amount).sum();
            facts.push(Fact {
                lines,
                entries: vec![entry],
                unbooked: None,
                injected: false,
            });
        } else {
            facts.extend(reversals);
        }
        facts
    }

    fn delivery(&mut self) -> Vec<Fact> {
        let line = Line {
            id: self.name("tx"),
            movement: Movement::Delivery,
            reference: self.name("alc"),
            moved: Moved {
                unit: "asset".to_owned(),
                side: Side::Debit,
                amount: u128::MAX - u128::from(self.below(1_000)),
            },
            at: self.instant(),
        };
        let entry = self.entry(&line, false, self.later(line.at));
        vec![Fact {
            lines: vec![line],
            entries: vec![entry],
            unbooked: None,
            injected: false,
        }]
    }

    fn history(&mut self) -> Vec<Fact> {
        let mut facts = Vec::new();
        for _ in 0..self.below(24) {
            let (minor, name) = (self.minor(), self.name("ref"));
            let fee = minor / 40;
            facts.extend(match self.below(8) {
                0..=2 => self.booked(Movement::Payment, &name, minor, fee),
                3 => self.refund(),
                4 => self.dispute(),
                5 => self.transfer(),
                6 if self.one_in(2) => self.booked(Movement::PaidOut, &name, -minor, 0),
                6 => self.booked(Movement::Fee, &name, -minor, 0),
                _ => self.delivery(),
            });
        }
        facts
    }

    /// Makes one thing wrong with it.
    fn injure(&mut self, fact: &mut Fact) {
        let ([line], [entry]) = (fact.lines.as_mut_slice(), fact.entries.as_mut_slice()) else {
            return;
        };
        fact.injected = true;
        match self.below(6) {
            0 => fact.lines.clear(),
            1 => fact.entries.clear(),
            2 => line.moved.amount -= 1,
            3 if !line.movement.is_booked_by_line() => {
                let id = format!("{}-again", line.id);
                let again = Line { id, ..line.clone() };
                fact.lines.push(again);
            }
            4 if !line.movement.is_booked_by_line() => entry.at += TimeDelta::days(1),
            _ => {
                let id = EntryId::from_uuid(self.ids.uuid(entry.at));
                let again = Booked {
                    entry: id,
                    ..entry.clone()
                };
                fact.entries.push(again);
                fact.entries.sort_by_key(|entry| entry.entry);
            }
        }
    }
}

type Found = BTreeSet<(Reason, Option<(Movement, String)>, Option<EntryId>)>;

impl Fact {
    /// What is to be said of it, from how it was made.
    fn expected(&self, day: &Day) -> Found {
        let line = |line: &Line| Some((line.movement, line.id.clone()));
        let mut expected = Found::new();
        let mut says = |reason, of_line: Option<&Line>, of_entry: Option<&Booked>| {
            let there = of_line.is_some_and(|line| day.holds(line.at));
            if there || of_entry.is_some_and(|entry| day.holds(entry.at)) {
                expected.insert((reason, of_line.and_then(line), of_entry.map(|entry| entry.entry)));
            }
        };
        let together = |line: &Line, entry: &Booked| {
            let other_day = day.holds(line.at) != day.holds(entry.at);
            other_day
                && (entry.at - line.at).num_seconds().abs() >= 3_600
                && !line.movement.is_booked_by_line()
        };
        match (self.lines.as_slice(), self.entries.as_slice()) {
            ([there], []) => {
                let reason = match self.unbooked {
                    Some(Unbooked::OnItsWay) => Reason::OnItsWay,
                    Some(Unbooked::CameToNothing) => Reason::CameToNothing,
                    None => Reason::MissingHere,
                };
                says(reason, Some(there), None);
            }
            ([], [here]) => says(Reason::MissingThere, None, Some(here)),
            ([there, again @ ..], [here]) if self.injected && !again.is_empty() => {
                if together(there, here) {
                    says(Reason::OtherDay, Some(there), Some(here));
                }
                says(Reason::Twice, Some(&again[0]), None);
            }
            ([there], [here, again @ ..]) => {
                if there.moved != here.moved {
                    says(Reason::AmountDiffers, Some(there), Some(here));
                } else if together(there, here) {
                    says(Reason::OtherDay, Some(there), Some(here));
                }
                for again in again {
                    says(Reason::Twice, None, Some(again));
                }
            }
            (several, [here]) => {
                for there in several.iter().filter(|there| together(there, here)) {
                    says(Reason::OtherDay, Some(there), Some(here));
                }
            }
            other => panic!("{other:?}"),
        }
        expected
    }
}

fn found(day: &Day, facts: &[Fact]) -> (Comparison, Found) {
    let lines: Vec<_> = facts.iter().flat_map(|fact| fact.lines.clone()).collect();
    let entries: Vec<_> = facts.iter().flat_map(|fact| fact.entries.clone()).collect();
    let unbooked: BTreeMap<_, _> = facts
        .iter()
        .filter_map(|fact| Some((fact.lines.first()?.reference.clone(), fact.unbooked?)))
        .collect();
    let comparison = compare(day, &lines, &entries, &unbooked);
    let said = comparison.differences.iter().map(|difference| {
        let line = difference
            .line
            .as_ref()
            .map(|line| (line.movement, line.id.clone()));
        (
            difference.reason,
            line,
            difference.entry.as_ref().map(|entry| entry.entry),
        )
    });
    let said = said.collect();
    (comparison, said)
}

fn expected(day: &Day, facts: &[Fact]) -> Found {
    facts.iter().flat_map(|fact| fact.expected(day)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s49_a_history_without_a_mistake_has_nothing_unexplained(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let facts = chance.history();
        let (comparison, said) = found(&chance.day, &facts);
        prop_assert_eq!(comparison.unexplained(), 0, "{:?}", said);
        prop_assert_eq!(&said, &expected(&chance.day, &facts));
        let lines = facts.iter().flat_map(|fact| &fact.lines).filter(|line| chance.day.holds(line.at)).count();
        let unbooked = comparison.differences.iter().filter(|one| one.entry.is_none()).count();
        prop_assert_eq!(comparison.lines, lines);
        prop_assert_eq!(comparison.matched + unbooked, lines, "each line is matched or listed");
    }

    #[test]
    fn s49_exactly_the_injected_mistakes_are_found(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let mut facts = chance.history();
        for _ in 0..chance.below(6) {
            if facts.is_empty() {
                break;
            }
            let at = usize::try_from(chance.below(u64::try_from(facts.len()).unwrap())).unwrap();
            // Two mistakes about one thing may look like a third.
            let of = |fact: &Fact| fact.lines.first().map(|line| (line.movement, line.reference.clone()));
            let mut fact = facts[at].clone();
            if !facts.iter().any(|other| other.injected && (of(other).is_none() || of(other) == of(&fact))) {
                chance.injure(&mut fact);
                facts[at] = fact;
            }
        }
        let (comparison, said) = found(&chance.day, &facts);
        prop_assert_eq!(&said, &expected(&chance.day, &facts));
        prop_assert_eq!(comparison.differences.len(), said.len(), "nothing is listed twice");
    }
}
