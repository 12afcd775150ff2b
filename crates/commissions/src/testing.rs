//! The in-memory fake beside the ports, builders, and the contract suite that every adapter must pass.

mod contract;
mod fake;

use chrono::{Duration, TimeZone, Utc};
use posx_kernel::{Currency, Money, PartyId, PlanId, Rate, Timestamp};
use uuid::Uuid;

pub use contract::{Given, contract};
pub use fake::{FakeDb, World};

use crate::{HoldDays, Levels, PlanLevel, PlanSnapshot};

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
    }
}

/// Held for seven days.
pub fn snapshot(levels: Vec<PlanLevel>) -> PlanSnapshot {
    PlanSnapshot {
        plan: PlanId::from_uuid(Uuid::from_u128(1)),
        name: "Standard".to_owned(),
        version: 1,
        levels: Levels::new(levels).expect("levels"),
        hold_days: HoldDays::new(7).expect("days"),
    }
}

/// 12 % and 4 %.
pub fn two_levels() -> PlanSnapshot {
    snapshot(vec![level(1, "0.12", 0), level(2, "0.04", 0)])
}
