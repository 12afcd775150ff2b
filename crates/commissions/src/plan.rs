//! Commission plans and what of them is frozen on an order.

mod difference;
mod levels;

use chrono::Duration;
use posx_kernel::{Currency, Money, PlanId, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

pub use difference::{DEPTH_MAX, Difference, DifferenceTerms, GRADE_NAME_MAX, Grade};
pub use levels::{LEVELS_MAX, Levels, PlanLevel, TierRate};

use crate::PlanError;

/// Which orders earn at all, and how much at most. What is absent does not limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// An order that came to less earns nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_min: Option<Money>,
    /// An order that came to more earns nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_max: Option<Money>,
    /// The most that one share of one order is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_per_order: Option<Money>,
    /// The most that an agent earns in a calendar month of the site, by every level and plan together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_per_month: Option<Money>,
}

impl Limits {
    pub fn is_none(&self) -> bool {
        self.amounts().next().is_none()
    }

    pub fn amounts(&self) -> impl Iterator<Item = Money> {
        let all = [
            self.order_min,
            self.order_max,
            self.cap_per_order,
            self.cap_per_month,
        ];
        all.into_iter().flatten()
    }

    fn check(&self, currency: Currency) -> Result<(), PlanError> {
        if self.amounts().any(|amount| amount.currency() != currency) {
            return Err(PlanError::Currency(currency.code()));
        }
        let nothing = |cap: Option<Money>| cap.is_some_and(|cap| !cap.is_positive());
        let empty = match (self.order_min, self.order_max) {
            (Some(least), Some(most)) => most.minor() < least.minor(),
            _ => false,
        };
        if empty
            || nothing(self.cap_per_order)
            || nothing(self.cap_per_month)
            || self.amounts().any(Money::is_negative)
        {
            return Err(PlanError::Limits);
        }
        Ok(())
    }
}

/// How shares are counted: by distance from the buyer, or by difference of grades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rules {
    Levels(Levels),
    Difference(Difference),
}

impl Rules {
    /// Levels, or a difference in their place.
    pub fn of(levels: Vec<PlanLevel>, difference: Option<Difference>) -> Result<Self, PlanError> {
        match difference {
            Some(_) if !levels.is_empty() => Err(PlanError::Mode),
            Some(difference) => Ok(Self::Difference(difference)),
            None => Levels::new(levels).map(Self::Levels),
        }
    }

    pub fn levels(&self) -> Option<&Levels> {
        match self {
            Self::Levels(levels) => Some(levels),
            Self::Difference(_) => None,
        }
    }

    pub const fn difference(&self) -> Option<&Difference> {
        match self {
            Self::Levels(_) => None,
            Self::Difference(difference) => Some(difference),
        }
    }

    /// How far up the tree it reaches.
    pub fn depth(&self) -> u8 {
        match self {
            Self::Levels(levels) => levels.depth(),
            Self::Difference(difference) => difference.depth(),
        }
    }

    pub fn currency(&self) -> Option<Currency> {
        match self {
            Self::Levels(levels) => levels.currency(),
            Self::Difference(difference) => difference.currency(),
        }
    }

    /// Whether what an agent has earned in the month must be known.
    pub fn caps_months(&self) -> bool {
        let caps = |limits: &Limits| limits.cap_per_month.is_some();
        match self {
            Self::Levels(levels) => levels.as_slice().iter().any(|level| caps(&level.limits)),
            Self::Difference(difference) => caps(&difference.terms().limits),
        }
    }

    /// Whether an agent's sales decide anything.
    pub fn counts_sales(&self) -> bool {
        match self {
            Self::Levels(levels) => {
                let mut levels = levels.as_slice().iter();
                levels.any(|level| level.minimum_sales.is_positive())
            }
            Self::Difference(difference) => difference.terms().minimum_sales.is_some_and(Money::is_positive),
        }
    }

    /// The part of an order that its rates can give away, before an agent's own; agents' own rates can give away more.
    pub fn rates(&self) -> Decimal {
        match self {
            Self::Levels(levels) => levels.rates(),
            Self::Difference(difference) => difference.best(),
        }
    }
}

/// How long a commission is held after the order was paid: 0 to 365 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "u16", into = "u16")]
#[schema(value_type = u16, minimum = 0, maximum = 365)]
pub struct HoldDays(u16);

impl HoldDays {
    pub const MAX: u16 = 365;

    pub const fn new(days: u16) -> Result<Self, PlanError> {
        if days <= Self::MAX {
            Ok(Self(days))
        } else {
            Err(PlanError::HoldDays)
        }
    }

    pub const fn days(self) -> u16 {
        self.0
    }

    pub fn after(self, paid_at: Timestamp) -> Timestamp {
        paid_at + Duration::days(i64::from(self.0))
    }
}

impl TryFrom<u16> for HoldDays {
    type Error = PlanError;

    fn try_from(days: u16) -> Result<Self, PlanError> {
        Self::new(days)
    }
}

impl From<HoldDays> for u16 {
    fn from(days: HoldDays) -> Self {
        days.0
    }
}

/// When a version is in force, unless a later one begins. Neither end changes any more once it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    /// Not at that moment any more.
    pub until: Option<Timestamp>,
    /// Counts the activations of a site: of two that begin at the same time, the later one holds.
    pub activation: u32,
}

impl Window {
    pub fn has_begun(&self, now: Timestamp) -> bool {
        self.from <= now
    }

    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// One version of a plan. Only its window ever changes, and only what of it is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub id: PlanId,
    pub name: String,
    /// Counts from 1 within the name.
    pub version: u32,
    pub rules: Rules,
    pub hold_days: HoldDays,
    /// Absent: it was never meant to be in force.
    pub window: Option<Window>,
    pub created_at: Timestamp,
}

impl Plan {
    /// What is frozen on an order that is placed while this plan is in force.
    pub fn snapshot(&self) -> PlanSnapshot {
        PlanSnapshot {
            plan: self.id,
            name: self.name.clone(),
            version: self.version,
            rules: self.rules.clone(),
            hold_days: self.hold_days,
        }
    }

    /// Gives it a time to be in force, if that of before has not begun.
    pub fn schedule(&mut self, window: Window, now: Timestamp) -> Result<(), PlanError> {
        if self.window.is_some_and(|given| given.has_begun(now)) {
            return Err(PlanError::Begun);
        }
        if window.from < now || window.until.is_some_and(|until| until <= window.from) {
            return Err(PlanError::Window);
        }
        self.window = Some(window);
        Ok(())
    }

    /// Takes it out of force, or off the schedule. False: it was not in force and not to be.
    pub fn end(&mut self, now: Timestamp) -> bool {
        let Some(window) = self.window.as_mut().filter(|window| !window.has_ended(now)) else {
            return false;
        };
        if window.has_begun(now) {
            window.until = Some(now);
        } else {
            self.window = None;
        }
        true
    }
}

/// The rules by which one order's shares are counted, for ever: the JSON in `orders.plan_snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SnapshotJson", into = "SnapshotJson")]
pub struct PlanSnapshot {
    pub plan: PlanId,
    pub name: String,
    pub version: u32,
    pub rules: Rules,
    pub hold_days: HoldDays,
}

/// As it lies on the order. What came later has a default, so that the first ones are read for ever.
#[derive(Serialize, Deserialize)]
struct SnapshotJson {
    plan: PlanId,
    name: String,
    version: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    levels: Vec<PlanLevel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
    hold_days: HoldDays,
}

impl TryFrom<SnapshotJson> for PlanSnapshot {
    type Error = PlanError;

    fn try_from(json: SnapshotJson) -> Result<Self, PlanError> {
        Ok(Self {
            plan: json.plan,
            name: json.name,
            version: json.version,
            rules: Rules::of(json.levels, json.difference)?,
            hold_days: json.hold_days,
        })
    }
}

impl From<PlanSnapshot> for SnapshotJson {
    fn from(snapshot: PlanSnapshot) -> Self {
        let (levels, difference) = match snapshot.rules {
            Rules::Levels(levels) => (levels.into(), None),
            Rules::Difference(difference) => (Vec::new(), Some(difference)),
        };
        Self {
            plan: snapshot.plan,
            name: snapshot.name,
            version: snapshot.version,
            levels,
            difference,
            hold_days: snapshot.hold_days,
        }
    }
}

#[cfg(test)]
mod tests;
