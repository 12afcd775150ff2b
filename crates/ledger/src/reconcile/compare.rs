//! The comparison itself: no clock, no store, no network.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::day::Day;
use super::line::{Booked, Line, Moved, Movement, Unbooked};

/// A line and its entry that are nearer than this are of one day, also with midnight between them.
const NEAR: TimeDelta = TimeDelta::hours(1);
/// Our clock and a provider's may differ by this much.
pub(super) const CLOCKS_DIFFER_BY: TimeDelta = TimeDelta::minutes(10);
/// The line of an entry is no later than this after it: an old entry is never that of a new line.
pub(super) const LATE_BY: TimeDelta = TimeDelta::days(2);

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// Why a line or an entry stands alone, or with one that is not quite its own.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, utoipa::ToSchema,
        )]
        #[serde(rename_all = "snake_case")]
        pub enum Reason {
            $($(#[$doc])* $name,)+
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    /// The provider has a line, and the books no entry.
    MissingHere = "missing_here";
    /// The books have an entry, and the provider no line.
    MissingThere = "missing_there";
    AmountDiffers = "amount_differs";
    /// Another one says the same, and that one has its match.
    Twice = "twice";
    /// Matched, and on different days.
    OtherDay = "other_day";
    /// The provider has taken the money of a refund that is not through yet.
    OnItsWay = "on_its_way";
    /// A refund that was never paid: its money left and came back.
    CameToNothing = "came_to_nothing";
}

impl Reason {
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }

    /// Nobody need look: both sides are right, at different times.
    pub const fn is_explained(self) -> bool {
        matches!(self, Self::OtherDay | Self::OnItsWay | Self::CameToNothing)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub reason: Reason,
    pub line: Option<Line>,
    pub entry: Option<Booked>,
}

/// What a day's comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Of the day.
    pub lines: usize,
    /// Of the day.
    pub entries: usize,
    /// Lines of the day with their entry, whatever the entry's day.
    pub matched: usize,
    pub differences: Vec<Difference>,
}

impl Comparison {
    pub fn unexplained(&self) -> usize {
        self.differences
            .iter()
            .filter(|difference| !difference.reason.is_explained())
            .count()
    }
}

/// Lines and entries of other days may be among them: they explain what is of the day, and are not shown by themselves.
/// `unbooked` is by reference.
pub fn compare(
    day: &Day,
    lines: &[Line],
    entries: &[Booked],
    unbooked: &BTreeMap<String, Unbooked>,
) -> Comparison {
    let mut groups: BTreeMap<(Movement, &str), Group<'_>> = BTreeMap::new();
    let mut found = Comparison {
        lines: lines.iter().filter(|line| day.holds(line.at)).count(),
        entries: entries.iter().filter(|entry| day.holds(entry.at)).count(),
        ..Comparison::default()
    };
    for line in lines {
        let group = groups.entry((line.movement, &line.reference)).or_default();
        group.lines.push(line);
    }
    for entry in entries {
        match &entry.reference {
            Some(reference) => groups
                .entry((entry.movement, reference))
                .or_default()
                .entries
                .push(entry),
            // The provider cannot know of it.
            None => found.differs(day, Reason::MissingThere, None, Some(entry)),
        }
    }
    for ((movement, reference), group) in groups {
        group.settle(movement, unbooked.get(reference).copied(), day, &mut found);
    }
    found
}

impl Comparison {
    fn differs(&mut self, day: &Day, reason: Reason, line: Option<&Line>, entry: Option<&Booked>) {
        let of_day =
            line.is_some_and(|line| day.holds(line.at)) || entry.is_some_and(|entry| day.holds(entry.at));
        if of_day {
            self.differences.push(Difference {
                reason,
                line: line.cloned(),
                entry: entry.cloned(),
            });
        }
    }

    fn matches(&mut self, day: &Day, line: &Line, entry: &Booked) {
        let (there, here) = (day.holds(line.at), day.holds(entry.at));
        self.matched += usize::from(there);
        let apart = (entry.at - line.at).abs();
        if there != here && apart >= NEAR && !line.movement.is_booked_by_line() {
            self.differs(day, Reason::OtherDay, Some(line), Some(entry));
        }
    }
}

/// What is about one thing.
#[derive(Default)]
struct Group<'a> {
    lines: Vec<&'a Line>,
    entries: Vec<&'a Booked>,
}

impl Group<'_> {
    fn settle(mut self, movement: Movement, unbooked: Option<Unbooked>, day: &Day, found: &mut Comparison) {
        self.lines
            .sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        self.entries.sort_by_key(|entry| (entry.at, entry.entry));
        let seen = self.match_alike(day, found);
        if movement == Movement::TransferReversal {
            self.match_together(day, found);
        }
        // The same again is worth another word than a wrong amount.
        self.lines.retain(|line| {
            let again = seen.contains(&&line.moved);
            if again {
                found.differs(day, Reason::Twice, Some(line), None);
            }
            !again
        });
        self.entries.retain(|entry| {
            let again = seen.contains(&&entry.moved);
            if again {
                found.differs(day, Reason::Twice, None, Some(entry));
            }
            !again
        });
        // One that names its line differs from no other.
        let (named, mut open): (Vec<_>, Vec<_>) =
            self.entries.into_iter().partition(|entry| entry.line.is_some());
        open.retain(|entry| {
            let at = self.lines.iter().position(|line| may_be_of(line, entry));
            if let Some(at) = at {
                found.differs(
                    day,
                    Reason::AmountDiffers,
                    Some(self.lines.remove(at)),
                    Some(entry),
                );
            }
            at.is_none()
        });
        let alone = match (movement, unbooked) {
            (Movement::Refund | Movement::RefundFailure, Some(Unbooked::CameToNothing { .. })) => {
                Reason::CameToNothing
            }
            (Movement::Refund, Some(Unbooked::OnItsWay)) => Reason::OnItsWay,
            _ => Reason::MissingHere,
        };
        for line in self.lines {
            found.differs(day, alone, Some(line), None);
        }
        for entry in named.into_iter().chain(open) {
            found.differs(day, Reason::MissingThere, None, Some(entry));
        }
    }
}

impl<'a> Group<'a> {
    /// Takes out what is alike on both sides, and says what that was. An entry that names its line waits for that one alone.
    /// Older entries choose first: what they may choose from, later ones may too.
    fn match_alike(&mut self, day: &Day, found: &mut Comparison) -> Vec<&'a Moved> {
        let mut seen = Vec::new();
        let mut left = Vec::new();
        let mut lines = std::mem::take(&mut self.lines);
        let entries = std::mem::take(&mut self.entries);
        let (named, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.line.is_some());
        for entry in named.into_iter().chain(others) {
            match position(&lines, entry) {
                Some(at) => {
                    let line = lines.remove(at);
                    if line.moved == entry.moved {
                        found.matches(day, line, entry);
                        seen.push(&line.moved);
                    } else {
                        found.differs(day, Reason::AmountDiffers, Some(line), Some(entry));
                    }
                }
                None => left.push(entry),
            }
        }
        (self.lines, self.entries) = (lines, left);
        seen
    }

    /// A transfer that was taken back in steps is booked in one, when it is looked at late: each entry is then of the steps
    /// since the one before.
    fn match_together(&mut self, day: &Day, found: &mut Comparison) {
        for entry in std::mem::take(&mut self.entries) {
            let steps = steps(&self.lines, entry);
            if steps == 0 {
                self.entries.push(entry);
            }
            for line in self.lines.drain(..steps) {
                found.matches(day, line, entry);
            }
        }
    }
}

/// Of the lines that say what the entry says: the last one before it, or else the first one after. So an entry takes the same
/// line whether the lines of days before are known or not.
fn position(lines: &[&Line], entry: &Booked) -> Option<usize> {
    if let Some(id) = &entry.line {
        return lines.iter().position(|line| line.id == *id);
    }
    let fits = |line: &&Line| line.moved == entry.moved && may_be_of(line, entry);
    let before = |line: &&Line| line.at <= entry.at + CLOCKS_DIFFER_BY;
    let last = lines.iter().rposition(|line| fits(line) && before(line));
    last.or_else(|| lines.iter().position(fits))
}

/// A custodian dates a transfer anew when it learns more of it. An external id is given to one alone, so that nothing can be mixed up.
fn may_be_of(line: &Line, entry: &Booked) -> bool {
    line.movement == Movement::Delivery || line.at <= entry.at + LATE_BY
}

/// How many lines from the first one on make up the entry; 0: none do.
fn steps(lines: &[&Line], entry: &Booked) -> usize {
    let alike = |line: &&&Line| {
        (&line.moved.unit, line.moved.side) == (&entry.moved.unit, entry.moved.side) && may_be_of(line, entry)
    };
    let mut sum = 0_u128;
    for (before, line) in lines.iter().take_while(alike).enumerate() {
        sum = sum.saturating_add(line.moved.amount);
        if sum >= entry.moved.amount {
            return if sum == entry.moved.amount { before + 1 } else { 0 };
        }
    }
    0
}
