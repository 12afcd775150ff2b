//! Makes what happened, and mistakes.

use super::*;

pub(super) struct Chance {
    pub(super) ids: SeededIds,
    pub(super) zone: Tz,
    pub(super) day: Day,
    made: u32,
}

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        let zone = [
            Tz::UTC,
            Tz::Asia__Kuwait,
            Tz::America__New_York,
            Tz::Europe__Berlin,
        ];
        let mut chance = Self {
            ids: SeededIds::new(seed),
            zone: Tz::UTC,
            day: Day::of("2026-03-29".parse().unwrap(), Tz::UTC).unwrap(),
            made: 0,
        };
        chance.zone = zone[usize::try_from(chance.below(4)).unwrap()];
        chance.day = Day::of("2026-03-29".parse().unwrap(), chance.zone).unwrap();
        chance
    }

    pub(super) fn below(&self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.ids.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }

    pub(super) fn one_in(&self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub(super) fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}_{}", self.made)
    }

    /// Of the day before, the day, or the day after; often close to midnight.
    pub(super) fn instant(&self) -> Timestamp {
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
    pub(super) fn later(&self, than: Timestamp) -> Timestamp {
        let seconds = match self.below(12) {
            0 => self.below(6 * 86_400),
            1 => self.below(6 * 3_600),
            _ => self.below(1_200),
        };
        than + TimeDelta::seconds(i64::try_from(seconds).unwrap())
    }

    pub(super) fn minor(&self) -> i64 {
        1 + i64::try_from(self.below(10_u64.pow(u32::try_from(1 + self.below(12)).unwrap()))).unwrap()
    }

    pub(super) fn unit(&self) -> &'static str {
        UNITS[usize::try_from(self.below(3)).unwrap()]
    }

    pub(super) fn entry(&self, line: &Line, named: bool, at: Timestamp) -> Booked {
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
    pub(super) fn booked(&mut self, movement: Movement, reference: &str, amount: i64, fee: i64) -> Vec<Fact> {
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
                lost: false,
            }
        };
        parts.into_iter().map(fact).collect()
    }

    pub(super) fn refund(&mut self) -> Vec<Fact> {
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
                let since = facts.iter().map(|fact| fact.lines[0].at).min().unwrap();
                let unit = facts[0].lines[0].moved.unit.clone();
                for fact in &mut facts {
                    fact.lines[0].moved.unit.clone_from(&unit);
                    fact.entries.clear();
                    fact.unbooked = Some(Unbooked::CameToNothing { since });
                }
                // Its money did not come back.
                if self.one_in(3) {
                    facts.pop();
                    facts[0].lost = true;
                }
            }
            2 => facts.extend(self.booked(Movement::RefundFailure, &reference, amount, 0)),
            _ => {}
        }
        facts
    }

    pub(super) fn dispute(&mut self) -> Vec<Fact> {
        let (reference, amount) = (self.name("dp"), self.minor());
        let mut facts = self.booked(Movement::Dispute, &reference, -amount, 1_500);
        if self.one_in(2) {
            facts.extend(self.booked(Movement::Dispute, &reference, amount, -1_500));
        }
        facts
    }

    pub(super) fn transfer(&mut self) -> Vec<Fact> {
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
                lost: false,
            });
        } else {
            facts.extend(reversals);
        }
        since_the_oldest(&mut facts);
        facts
    }

    pub(super) fn delivery(&mut self) -> Vec<Fact> {
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
            lost: false,
        }]
    }

    pub(super) fn history(&mut self) -> Vec<Fact> {
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
    pub(super) fn injure(&mut self, fact: &mut Fact) {
        let ([line], [entry]) = (fact.lines.as_mut_slice(), fact.entries.as_mut_slice()) else {
            return;
        };
        if line.movement.is_booked_by_line() {
            return;
        }
        fact.injected = true;
        match self.below(6) {
            0 => fact.lines.clear(),
            1 => fact.entries.clear(),
            2 => line.moved.amount -= 1,
            3 => {
                let id = format!("{}-again", line.id);
                let again = Line { id, ..line.clone() };
                fact.lines.push(again);
            }
            4 => entry.at += TimeDelta::days(1),
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
