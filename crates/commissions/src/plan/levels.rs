//! Level mode: the ancestor at distance n earns the rate of level n.

use posx_kernel::{Currency, Money, Rate, TierId};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Limits;
use crate::PlanError;

pub const LEVELS_MAX: usize = 10;
pub const TIER_RATES_MAX: usize = 100;

/// What the ancestor at one distance from the buyer earns: level 1 is the buyer's referrer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanLevel {
    /// 1 to 10.
    pub level: u8,
    pub rate: Rate,
    /// What the parties that the agent referred must have bought before, in the site's currency.
    pub minimum_sales: Money,
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// Order lines of these tiers earn by another rate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<TierRate>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TierRate {
    pub tier: TierId,
    pub rate: Rate,
}

impl PlanLevel {
    /// Of a line of that tier, and whether it is the tier's own.
    pub fn rate_of(&self, tier: Option<TierId>) -> (Rate, bool) {
        let own = tier.and_then(|tier| self.tiers.iter().find(|own| own.tier == tier));
        own.map_or((self.rate, false), |own| (own.rate, true))
    }

    fn tiers_are_named_once(&self) -> bool {
        let mut tiers: Vec<_> = self.tiers.iter().map(|own| own.tier).collect();
        tiers.sort_unstable();
        tiers.windows(2).all(|two| two[0] != two[1])
    }
}

/// The levels of a plan: 1 to 10 of them, contiguous from 1, in one currency, with rates that sum to at most 1 for every
/// tier.
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
        for level in &levels {
            level.limits.check(currency)?;
            if level.tiers.len() > TIER_RATES_MAX || !level.tiers_are_named_once() {
                return Err(PlanError::Tiers);
            }
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

    /// The sum of the rates, at most 1; of the tier that earns most, where tiers have their own.
    pub fn rates(&self) -> Decimal {
        let tiers = self.0.iter().flat_map(|level| level.tiers.iter());
        let sum = |tier: Option<TierId>| -> Decimal {
            self.0
                .iter()
                .map(|level| level.rate_of(tier).0.as_decimal())
                .sum()
        };
        tiers.map(|own| sum(Some(own.tier))).fold(sum(None), Decimal::max)
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::{level, usd};

    fn refused(levels: Vec<PlanLevel>) -> String {
        let refused = Levels::new(levels).map_err(|error| error.to_string());
        refused.expect_err("refused")
    }

    #[test]
    fn levels_are_one_to_ten_contiguous_and_give_away_at_most_everything() {
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
        let kwd = Money::zero(Currency::from_code("KWD").expect("a currency"));
        let mut mixed = vec![level(1, "0.1", 0), level(2, "0.1", 0)];
        mixed[1].minimum_sales = kwd;
        assert!(matches!(Levels::new(mixed), Err(PlanError::Currency("USD"))));
        let mut mixed = vec![level(1, "0.1", 0)];
        mixed[0].limits.cap_per_month = Some(kwd);
        assert!(matches!(Levels::new(mixed), Err(PlanError::Currency("USD"))));
    }

    #[test]
    fn limits_leave_something_to_be_earned() {
        let limited = |limits: Limits| {
            let mut levels = vec![level(1, "0.1", 0)];
            levels[0].limits = limits;
            Levels::new(levels)
        };
        let caps = |per_order: i64, per_month: i64| Limits {
            cap_per_order: Some(usd(per_order)),
            cap_per_month: Some(usd(per_month)),
            ..Limits::default()
        };
        assert!(limited(caps(1, 1)).is_ok());
        assert!(matches!(limited(caps(0, 1)), Err(PlanError::Limits)));
        assert!(matches!(limited(caps(1, -1)), Err(PlanError::Limits)));
        let between = |from: i64, to: i64| Limits {
            order_min: Some(usd(from)),
            order_max: Some(usd(to)),
            ..Limits::default()
        };
        assert!(limited(between(5, 5)).is_ok());
        assert!(matches!(limited(between(6, 5)), Err(PlanError::Limits)));
    }

    #[test]
    fn the_rates_of_each_tier_sum_to_at_most_one() {
        let tier = TierId::from_uuid(Uuid::from_u128(5));
        let own = |rate: &str| TierRate {
            tier,
            rate: rate.parse().expect("a rate"),
        };
        let mut levels = vec![level(1, "0.5", 0), level(2, "0.3", 0)];
        levels[0].tiers = vec![own("0.7")];
        assert_eq!(
            Levels::new(levels.clone()).expect("levels").rates(),
            Decimal::ONE,
            "0.7 of the tier and 0.3 of the second level"
        );
        levels[0].tiers = vec![own("0.700001")];
        assert_eq!(refused(levels.clone()), PlanError::RatesAboveOne.to_string());
        levels[0].tiers = vec![own("0.1"), own("0.1")];
        assert_eq!(refused(levels), PlanError::Tiers.to_string());
    }
}
