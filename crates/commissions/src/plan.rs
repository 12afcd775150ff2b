//! Commission plans and what of them is frozen on an order.

use chrono::Duration;
use posx_kernel::{Currency, Money, PlanId, Rate, Timestamp};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::PlanError;

pub const LEVELS_MAX: usize = 10;

/// What the ancestor at one distance from the buyer earns: level 1 is the buyer's referrer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanLevel {
    /// 1 to 10.
    pub level: u8,
    pub rate: Rate,
    /// What the parties that the agent referred must have bought before, in the site's currency.
    pub minimum_sales: Money,
}

/// The levels of a plan: 1 to 10 of them, contiguous from 1, in one currency, with rates that sum to at most 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Vec<PlanLevel>", into = "Vec<PlanLevel>")]
#[schema(value_type = Vec<PlanLevel>)]
pub struct Levels(Vec<PlanLevel>);

impl Levels {
    pub fn new(levels: Vec<PlanLevel>) -> Result<Self, PlanError> {
        let Some(first) = levels.first() else {
            return Err(PlanError::Levels);
        };
        if levels.len() > LEVELS_MAX
            || levels
                .iter()
                .zip(1..)
                .any(|(level, expected)| level.level != expected)
        {
            return Err(PlanError::Levels);
        }
        let currency = first.minimum_sales.currency();
        if levels.iter().any(|level| level.minimum_sales.is_negative()) {
            return Err(PlanError::MinimumSales);
        }
        if levels
            .iter()
            .any(|level| level.minimum_sales.currency() != currency)
        {
            return Err(PlanError::Currency(currency.code()));
        }
        let levels = Self(levels);
        if levels.rates() > Decimal::ONE {
            return Err(PlanError::RatesAboveOne);
        }
        Ok(levels)
    }

    pub fn as_slice(&self) -> &[PlanLevel] {
        &self.0
    }

    /// How far up the tree the plan reaches.
    pub fn depth(&self) -> u8 {
        self.0.last().map_or(0, |level| level.level)
    }

    /// The sum of the rates, at most 1.
    pub fn rates(&self) -> Decimal {
        self.0.iter().map(|level| level.rate.as_decimal()).sum()
    }

    pub fn currency(&self) -> Option<Currency> {
        self.0.first().map(|level| level.minimum_sales.currency())
    }
}

impl TryFrom<Vec<PlanLevel>> for Levels {
    type Error = PlanError;

    fn try_from(levels: Vec<PlanLevel>) -> Result<Self, PlanError> {
        Self::new(levels)
    }
}

impl From<Levels> for Vec<PlanLevel> {
    fn from(levels: Levels) -> Self {
        levels.0
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

/// One version of a plan. Only `active` ever changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub id: PlanId,
    pub name: String,
    /// Counts from 1 within the name.
    pub version: u32,
    pub levels: Levels,
    pub hold_days: HoldDays,
    pub active: bool,
    pub created_at: Timestamp,
}

impl Plan {
    /// What is frozen on an order that is placed while this plan is the active one.
    pub fn snapshot(&self) -> PlanSnapshot {
        PlanSnapshot {
            plan: self.id,
            name: self.name.clone(),
            version: self.version,
            levels: self.levels.clone(),
            hold_days: self.hold_days,
        }
    }
}

/// The rules by which one order's shares are counted, for ever: the JSON in `orders.plan_snapshot`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSnapshot {
    pub plan: PlanId,
    pub name: String,
    pub version: u32,
    pub levels: Levels,
    pub hold_days: HoldDays,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{level, usd};

    #[test]
    fn levels_are_one_to_ten_contiguous_and_give_away_at_most_everything() {
        let refused = |levels: Vec<PlanLevel>| {
            Levels::new(levels)
                .map_err(|error| error.to_string())
                .expect_err("refused")
        };
        assert_eq!(refused(vec![]), PlanError::Levels.to_string());
        assert_eq!(refused(vec![level(2, "0.1", 0)]), PlanError::Levels.to_string());
        assert_eq!(
            refused(vec![level(1, "0.1", 0), level(3, "0.1", 0)]),
            PlanError::Levels.to_string()
        );
        assert_eq!(
            refused((1..=11).map(|n| level(n, "0.01", 0)).collect()),
            PlanError::Levels.to_string()
        );
        assert_eq!(
            refused(vec![level(1, "0.9", 0), level(2, "0.100001", 0)]),
            PlanError::RatesAboveOne.to_string()
        );
        assert_eq!(
            refused(vec![level(1, "0.1", -1)]),
            PlanError::MinimumSales.to_string()
        );
        assert!(Levels::new((1..=10).map(|n| level(n, "0.1", 0)).collect()).is_ok());
    }

    #[test]
    fn levels_of_two_currencies_are_refused() {
        let mut mixed = vec![level(1, "0.1", 0), level(2, "0.1", 0)];
        mixed[1].minimum_sales = Money::zero(Currency::from_code("KWD").expect("a currency"));
        assert!(matches!(Levels::new(mixed), Err(PlanError::Currency("USD"))));
    }

    #[test]
    fn a_snapshot_reads_back_from_its_json_and_a_broken_one_does_not() {
        let snapshot = crate::testing::two_levels();
        let json = serde_json::to_value(&snapshot).expect("JSON");
        assert_eq!(
            serde_json::from_value::<PlanSnapshot>(json.clone()).expect("and back"),
            snapshot
        );
        assert_eq!(json["plan"], "plan_00000000000000000000000000000001");
        assert_eq!(json["levels"][0]["rate"], "0.12");
        assert_eq!(
            json["levels"][0]["minimum_sales"],
            serde_json::to_value(usd(0)).expect("JSON")
        );
        let mut broken = json;
        broken["levels"][0]["level"] = serde_json::json!(2);
        assert!(serde_json::from_value::<PlanSnapshot>(broken).is_err());
    }

    #[test]
    fn a_commission_is_held_at_most_a_year() {
        assert!(HoldDays::new(365).is_ok());
        assert!(matches!(HoldDays::new(366), Err(PlanError::HoldDays)));
    }
}
