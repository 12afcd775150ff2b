//! The in-memory fake beside the ports, builders, and the contract suite that every adapter must pass.

mod adjusting;
mod agents;
mod contract;
mod fake;
mod payout_contract;
mod payouts;
mod plans;

use chrono::{Duration, TimeZone, Utc};
use posx_kernel::{Currency, Money, PartyId, PlanId, Rate, Timestamp};
use uuid::Uuid;

pub use adjusting::{GoesBack, adjusting_contract};
pub use agents::{AgentRows, AgentStore, AgentsGiven, agents_contract};
pub use contract::{Given, contract};
pub use fake::{FakeDb, PayoutRows, World};
pub use payout_contract::{BehindPayouts, payout_contract};
pub use payouts::{FakeKeeper, FakePayoutGateway, SendFault};
pub use plans::plans_contract;

use crate::{
    Difference, DifferenceTerms, Grade, HoldDays, Levels, Limits, PlanLevel, PlanSnapshot, Rules, Sale, Terms,
};

pub fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("USD").expect("USD is in the table"))
}

pub const fn party(name: u128) -> PartyId {
    PartyId::from_uuid(Uuid::from_u128(name))
}

/// Midnight, this many days into 2026.
pub fn at(days: i64) -> Timestamp {
    Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0)
        .single()
        .expect("a date")
        + Duration::days(days)
}

/// Minimum sales in cents of a US dollar.
pub fn level(level: u8, rate: &str, minimum_sales: i64) -> PlanLevel {
    let rate: Rate = rate.parse().expect("a rate");
    PlanLevel {
        level,
        rate,
        minimum_sales: usd(minimum_sales),
        limits: Limits::default(),
        tiers: Vec::new(),
    }
}

/// Held for seven days.
pub fn snapshot(levels: Vec<PlanLevel>) -> PlanSnapshot {
    ruled(Rules::Levels(Levels::new(levels).expect("levels")))
}

/// The first is the default; as deep as can be.
pub fn grades(rates: &[(&str, &str)]) -> DifferenceTerms {
    let grade = |(name, rate): &(&str, &str)| Grade {
        name: (*name).to_owned(),
        rate: rate.parse().expect("a rate"),
    };
    DifferenceTerms {
        grades: rates.iter().map(grade).collect(),
        default_grade: rates
            .first()
            .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        depth: crate::DEPTH_MAX,
        rate_max: None,
        minimum_sales: None,
        limits: Limits::default(),
    }
}

/// Held for seven days; the first grade is the default.
pub fn by_difference(rates: &[(&str, &str)]) -> PlanSnapshot {
    ruled(Rules::Difference(Difference::new(grades(rates)).expect("grades")))
}

/// To a buyer without terms, of nothing in particular.
pub fn sale(total: Money) -> Sale {
    Sale {
        total,
        lines: Vec::new(),
        buyer: Terms::default(),
    }
}

fn ruled(rules: Rules) -> PlanSnapshot {
    PlanSnapshot {
        plan: PlanId::from_uuid(Uuid::from_u128(1)),
        name: "Standard".to_owned(),
        version: 1,
        rules,
        hold_days: HoldDays::new(7).expect("days"),
    }
}

/// 12 % and 4 %.
pub fn two_levels() -> PlanSnapshot {
    snapshot(vec![level(1, "0.12", 0), level(2, "0.04", 0)])
}
