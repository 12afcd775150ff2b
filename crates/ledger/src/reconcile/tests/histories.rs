//! Random days at a provider and in the books, and what is wrong with them.

mod chance;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{Days, TimeDelta};
use chrono_tz::Tz;
use posx_kernel::{
    ChainAssetId, EntryId, Ids as _, ManualClock, Randomness as _, SeededIds, SiteId, SiteScope, Timestamp,
};
use proptest::prelude::*;

use self::chance::Chance;
use super::super::testing::{FakeBooks, FakeLines};
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
    /// Its money left, and is nowhere.
    lost: bool,
}

/// All are about one thing, which began before any of them.
fn since_the_oldest(facts: &mut [Fact]) {
    let since = facts
        .iter()
        .flat_map(|fact| &fact.lines)
        .map(|line| line.at)
        .min();
    for entry in facts.iter_mut().flat_map(|fact| &mut fact.entries) {
        entry.since = since.unwrap_or(entry.since);
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
                    Some(Unbooked::CameToNothing { .. }) if !self.lost => Reason::CameToNothing,
                    _ => Reason::MissingHere,
                };
                says(reason, Some(there), None);
            }
            ([], [here]) => says(Reason::MissingThere, None, Some(here)),
            ([one, again], [here]) if self.injected => {
                // The last one before the entry, unless it names its line.
                let (there, again) = if here.line.is_some() {
                    (one, again)
                } else {
                    (again, one)
                };
                if together(there, here) {
                    says(Reason::OtherDay, Some(there), Some(here));
                }
                says(Reason::Twice, Some(again), None);
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

/// The provider's account and the books after all of it, and the site's runs.
struct Lived {
    runs: Reconciliations,
    scope: SiteScope,
    zone: Tz,
    days: Vec<Day>,
}

impl Lived {
    fn through(chance: &Chance, facts: &[Fact]) -> Self {
        let (books, stripe, fireblocks) = (FakeBooks::default(), FakeLines::default(), FakeLines::default());
        let lines = facts.iter().flat_map(|fact| fact.lines.clone());
        let (sent, lines): (Vec<_>, Vec<_>) = lines.partition(|line| line.movement == Movement::Delivery);
        stripe.add(lines);
        fireblocks.add(sent);
        books.arrange(|rows| {
            rows.wallets.push(Wallet {
                asset: ChainAssetId::from_uuid(chance.ids.uuid(chance.day.from)),
                provider_asset: "USDC_POLYGON".to_owned(),
                vault: "7".to_owned(),
                decimals: 6,
            });
            // What only the provider knows is booked by the runs.
            let entries = facts.iter().flat_map(|fact| fact.entries.clone());
            rows.entries
                .extend(entries.filter(|entry| !entry.movement.is_booked_by_line()));
            let unbooked = facts
                .iter()
                .filter_map(|fact| Some((fact.lines.first()?.reference.clone(), fact.unbooked?)));
            rows.unbooked.extend(unbooked);
        });
        let days = (27..=31).map(|day| format!("2026-03-{day}"));
        let days = days.chain((1..9).map(|day| format!("2026-04-0{day}")));
        let days: Vec<_> = days
            .map(|date| Day::of(date.parse().unwrap(), chance.zone).unwrap())
            .collect();
        let clock = ManualClock::stopped_at(chance.day.until + Days::new(14));
        Self {
            runs: Reconciliations::new(
                &Arc::new(books),
                Arc::new(stripe),
                Arc::new(fireblocks),
                Arc::new(clock),
                Arc::new(SeededIds::new(7)),
            ),
            scope: SiteScope::of_claimed_job(SiteId::from_uuid(chance.ids.uuid(chance.day.from))),
            zone: chance.zone,
            days,
        }
    }

    /// What the runs of one day say, of both providers together.
    fn compared(&self, day: &Day) -> (Reconciliation, Found) {
        let run = async |provider| {
            let run = self.runs.reconcile(&self.scope, self.zone, provider, day.date);
            run.await.unwrap()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut one, other) =
            runtime.block_on(async { (run(Provider::Stripe).await, run(Provider::Fireblocks).await) });
        one.run.lines += other.run.lines;
        one.run.matched += other.run.matched;
        one.run.unexplained += other.run.unexplained;
        one.differences.extend(other.differences);
        let said: Vec<_> = one
            .differences
            .iter()
            .map(|difference| {
                let line = difference.line.as_ref();
                let entry = difference.entry.as_ref();
                (
                    difference.reason,
                    line.map(|line| (line.movement, line.id.clone())),
                    entry.map(|entry| entry.entry),
                )
            })
            .collect();
        let found: Found = said.iter().cloned().collect();
        assert_eq!(said.len(), found.len(), "nothing is listed twice");
        (one.run, found)
    }
}

fn expected(day: &Day, facts: &[Fact]) -> Found {
    facts.iter().flat_map(|fact| fact.expected(day)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn s49_a_history_without_a_mistake_has_nothing_unexplained_on_any_day(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let mut facts = chance.history();
        facts.retain(|fact| !fact.lost);
        let lived = Lived::through(&chance, &facts);
        for day in &lived.days {
            let (run, said) = lived.compared(day);
            prop_assert_eq!(run.unexplained, 0, "{:?}", said);
            prop_assert_eq!(&said, &expected(day, &facts));
            let lines = facts.iter().flat_map(|fact| &fact.lines).filter(|line| day.holds(line.at)).count();
            prop_assert_eq!(usize::try_from(run.lines).unwrap(), lines);
            let unbooked = said.iter().filter(|(_, _, entry)| entry.is_none()).count();
            let matched = usize::try_from(run.matched).unwrap();
            prop_assert_eq!(matched + unbooked, lines, "each line is matched or listed");
        }
    }

    #[test]
    fn s49_exactly_the_injected_mistakes_are_found_by_the_runs_of_their_days(seed in any::<u64>()) {
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
        let lived = Lived::through(&chance, &facts);
        for day in &lived.days {
            let (_, said) = lived.compared(day);
            prop_assert_eq!(&said, &expected(day, &facts), "{}", day.date);
        }
    }

    #[test]
    fn s49_of_steps_that_look_alike_as_many_stand_alone_as_lack_their_half(seed in any::<u64>()) {
        let mut chance = Chance::new(seed);
        let mut facts = Vec::new();
        for _ in 0..2 + chance.below(5) {
            facts.extend(chance.booked(Movement::TransferReversal, "tr", 10, 0));
        }
        for fact in &mut facts {
            fact.lines[0].moved.unit = "USD".to_owned();
            fact.entries[0].moved.unit = "USD".to_owned();
        }
        since_the_oldest(&mut facts);
        let lacks = chance.below(3);
        match lacks {
            1 => facts[0].lines.clear(),
            2 => facts[0].entries.clear(),
            _ => {}
        }
        let lived = Lived::through(&chance, &facts);
        let alone: u32 = lived.days.iter().map(|day| lived.compared(day).0.unexplained).sum();
        prop_assert_eq!(alone, u32::from(lacks > 0));
    }
}
