//! Budgets: whose spending is limited, in which period, and to how much.

mod manage;
mod ports;

use chrono::{Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use posx_kernel::{Event, IdentityId, ModelCallId, Timestamp, VisitorId};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use self::manage::{AddCredit, BudgetError, ModelBudgets};
pub use self::ports::{BudgetQueries, BudgetRepository, BudgetView, BudgetsTx, SiteLimits};
use crate::{Asker, BudgetScope, Micros, Period, Purpose};

/// One limit that a site or the operator has set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub scope: BudgetScope,
    /// Of the scope `purpose`, and of no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    pub period: Period,
    /// Millionths of the price book's currency. Zero: nothing may be spent.
    pub limit_micros: Micros,
}

impl Limit {
    const fn key(&self) -> (BudgetScope, Option<Purpose>, Period) {
        (self.scope, self.purpose, self.period)
    }
}

/// Limits, one for each scope, purpose and period at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Limits(Vec<Limit>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitsError {
    #[error("a limit of the scope purpose names one, and no other does")]
    Purpose { at: usize },
    #[error("this limit is there twice")]
    Twice { at: usize },
    #[error("a limit is at most {}", Micros::MAX.get())]
    TooLarge { at: usize },
}

impl Limits {
    pub fn new(limits: Vec<Limit>) -> Result<Self, LimitsError> {
        for (at, limit) in limits.iter().enumerate() {
            if (limit.scope == BudgetScope::Purpose) != limit.purpose.is_some() {
                return Err(LimitsError::Purpose { at });
            }
            if limits[..at].iter().any(|other| other.key() == limit.key()) {
                return Err(LimitsError::Twice { at });
            }
            // Read from JSON, it may be larger than what is counted.
            if limit.limit_micros > Micros::MAX {
                return Err(LimitsError::TooLarge { at });
            }
        }
        Ok(Self(limits))
    }

    pub fn all(&self) -> &[Limit] {
        &self.0
    }

    pub fn of(&self, scope: BudgetScope, purpose: Option<Purpose>, period: Period) -> Option<Micros> {
        let mut limits = self.0.iter();
        let found = limits.find(|limit| limit.key() == (scope, purpose, period));
        found.map(|limit| limit.limit_micros)
    }

    /// Of the site, where it has set one, and no more than the operator's where the operator pays; else of the operator; else there
    /// is none.
    pub fn in_force(&self, operators: &Self, budget: &BudgetKey, operator_pays: bool) -> Micros {
        let purpose = match budget.subject {
            Subject::Purpose(purpose) => Some(purpose),
            _ => None,
        };
        let (scope, period) = (budget.scope, budget.period);
        let own = self.of(scope, purpose, period);
        match (own, operators.of(scope, purpose, period)) {
            (Some(own), Some(ceiling)) if operator_pays => own.min(ceiling),
            (own, operators) => own.or(operators).unwrap_or(Micros::MAX),
        }
    }
}

/// Whose budget it is, within its scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// The site, or all its visitors.
    All,
    Purpose(Purpose),
    Member(IdentityId),
    Visitor(VisitorId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Purpose(purpose) => f.write_str(purpose.as_str()),
            Self::Member(member) => write!(f, "{member}"),
            Self::Visitor(visitor) => write!(f, "{visitor}"),
        }
    }
}

/// Names one counter of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BudgetKey {
    pub scope: BudgetScope,
    pub subject: Subject,
    pub period: Period,
    /// The period's first day, of the site's calendar.
    pub starts_on: NaiveDate,
}

impl BudgetKey {
    /// Every budget that a call falls under, the most shared one last: the site's month. Whoever takes several takes them in
    /// this order.
    pub fn of_call(purpose: Purpose, asker: Asker, day: NaiveDate) -> Vec<Self> {
        let own = match asker {
            Asker::Member(member) => vec![(BudgetScope::Member, Subject::Member(member))],
            Asker::Visitor(visitor) => vec![
                (BudgetScope::Visitor, Subject::Visitor(visitor)),
                (BudgetScope::Visitors, Subject::All),
            ],
        };
        let shared = [
            (BudgetScope::Purpose, Subject::Purpose(purpose)),
            (BudgetScope::Site, Subject::All),
        ];
        let both = |(scope, subject)| {
            [Period::Day, Period::Month].map(|period| Self {
                scope,
                subject,
                period,
                starts_on: period.starts_on(day),
            })
        };
        own.into_iter().chain(shared).flat_map(both).collect()
    }

    /// The budget that credits add to.
    pub fn takes_credits(&self) -> bool {
        self.scope == BudgetScope::Site && self.period == Period::Month
    }

    pub fn resets_at(&self, zone: Tz) -> Timestamp {
        first_instant(self.period.ends_before(self.starts_on), zone)
    }
}

impl BudgetScope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Purpose => "purpose",
            Self::Member => "member",
            Self::Visitor => "visitor",
            Self::Visitors => "visitors",
        }
    }

    pub const ALL: [Self; 5] = [
        Self::Site,
        Self::Purpose,
        Self::Member,
        Self::Visitor,
        Self::Visitors,
    ];
}

impl Period {
    pub const ALL: [Self; 2] = [Self::Day, Self::Month];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    pub fn starts_on(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    fn ends_before(self, start: NaiveDate) -> NaiveDate {
        let end = match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
        };
        end.unwrap_or(NaiveDate::MAX)
    }
}

/// The day of the site's calendar.
pub fn day_of(at: Timestamp, zone: Tz) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// Of a day: where clocks go forward at midnight, the day begins later.
fn first_instant(day: NaiveDate, zone: Tz) -> Timestamp {
    let midnight = day.and_time(NaiveTime::MIN);
    (0..=4)
        .filter_map(|half_hours| midnight.checked_add_signed(TimeDelta::minutes(30 * half_hours)))
        .find_map(|local| zone.from_local_datetime(&local).earliest())
        .map_or_else(|| midnight.and_utc(), |at| at.to_utc())
}

/// A counter: what is held for calls under way, and what was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    pub reserved: Micros,
    pub spent: Micros,
}

impl Counter {
    /// A limit that was lowered leaves nothing, never less.
    pub const fn left_of(&self, limit: Micros) -> Micros {
        limit.saturating_sub(self.reserved.saturating_add(self.spent))
    }
}

/// Four fifths, where a budget has a limit.
pub fn is_warning(spent: Micros, limit: Micros) -> bool {
    limit < Micros::MAX && spent > Micros::ZERO && u128::from(spent.get()) * 5 >= u128::from(limit.get()) * 4
}

/// Once for a budget and period, when the settled spending reaches four fifths of it.
pub fn budget_warned(key: &BudgetKey, spent: Micros, limit: Micros, by: ModelCallId, at: Timestamp) -> Event {
    Event {
        kind: "model_budget.warned",
        subject: by.as_uuid(),
        payload: json!({
            "scope": key.scope, "subject": key.subject.to_string(), "period": key.period, "starts_on": key.starts_on,
            "spent_micros": spent, "limit_micros": limit,
        }),
        at,
    }
}

#[cfg(test)]
mod tests;
