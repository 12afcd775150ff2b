//! One share: its parts, its one rounding, what limits it.

use posx_kernel::{Money, Rate, TierId};
use rust_decimal::Decimal;
use serde::Serialize;

use super::{AgentFacts, Ancestor, Outcome, Sale, SkipReason};
use crate::Limits;

/// Rates have at most six decimals, so a share is exact in millionths of a minor unit.
const MILLION: i128 = 1_000_000;

/// Which rule a rate is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateFrom {
    /// The plan's, for the level.
    Level,
    /// The plan's, for the line's tier at this level.
    Tier,
    /// The agent's own.
    Agent,
    /// What the agent's grade is above the best rate below.
    Difference,
}

impl RateFrom {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Level => "level",
            Self::Tier => "tier",
            Self::Agent => "agent",
            Self::Difference => "difference",
        }
    }
}

/// A part of the total that earns by one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Part {
    /// Of the line; absent where the whole order earns by one rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierId>,
    /// The line's part of the order's total.
    pub base: Money,
    pub rate: Rate,
    pub from: RateFrom,
}

/// What cut a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "cap", content = "room", rename_all = "snake_case")]
pub enum Cap {
    /// The most that a share of one order is.
    PerOrder(Money),
    /// What the month's cap had left.
    PerMonth(Money),
    /// What those nearer to the buyer had left of the order's total.
    WholeOrder(Money),
}

impl Cap {
    pub const fn room(self) -> Money {
        match self {
            Self::PerOrder(room) | Self::PerMonth(room) | Self::WholeOrder(room) => room,
        }
    }
}

/// How an amount came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Working {
    pub parts: Vec<Part>,
    /// Σ base × rate, in millionths of a minor unit.
    exact: i128,
    /// That, rounded.
    pub rounded: Money,
    /// What cut it, if anything did: the tightest.
    pub cap: Option<Cap>,
}

impl Working {
    /// Of parts in the sale's currency whose bases sum to its total.
    pub(super) fn of(parts: Vec<Part>, total: Money) -> Self {
        let exact = parts
            .iter()
            .map(|part| i128::from(part.base.minor()) * i128::from(part.rate.millionths()))
            .sum();
        Self {
            parts,
            exact,
            rounded: Money::from_minor(half_even(exact, MILLION), total.currency()),
            cap: None,
        }
    }

    /// Before rounding, in the currency's unit.
    pub fn exact(&self) -> String {
        let scale = 6 + u32::from(self.rounded.currency().exponent());
        // 64 bits of minor units × 10^6 are within a decimal's 96.
        let exact = Decimal::try_from_i128_with_scale(self.exact, scale);
        exact.map_or_else(|_| String::new(), |exact| exact.normalize().to_string())
    }

    /// Of the whole: the parts' one rate, or their mean to six decimals.
    pub fn rate(&self, total: Money) -> Rate {
        match self.parts.as_slice() {
            [part] => part.rate,
            _ if !total.is_positive() => Rate::ZERO,
            _ => {
                let mean = half_even(self.exact, i128::from(total.minor()));
                Rate::new(Decimal::new(mean, 6)).unwrap_or(Rate::ZERO)
            }
        }
    }
}

/// Of non-negative numbers whose quotient is at most 64 bits: rates are at most 1.
fn half_even(numerator: i128, denominator: i128) -> i64 {
    let (floor, rest) = (
        numerator.div_euclid(denominator),
        numerator.rem_euclid(denominator),
    );
    let up = match (rest * 2).cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => floor % 2 != 0,
        std::cmp::Ordering::Greater => true,
    };
    i64::try_from(floor + i128::from(up)).unwrap_or(i64::MAX)
}

/// The lines' parts of the total, in whole minor units that sum to it: discount, tax and shipping are spread in proportion.
pub(super) fn bases(sale: &Sale) -> Vec<(TierId, Money)> {
    let weight = |amount: Money| u64::try_from(amount.minor()).unwrap_or(0);
    let weights: Vec<_> = sale.lines.iter().map(|line| weight(line.amount)).collect();
    let even = || vec![1; weights.len()];
    let parts = sale.total.split(&weights).or_else(|| sale.total.split(&even()));
    let tiers = sale.lines.iter().map(|line| line.tier);
    tiers.zip(parts.unwrap_or_default()).collect()
}

/// What one ancestor is judged by.
pub(super) struct Judged<'a> {
    pub ancestor: &'a Ancestor,
    /// Stands nearer to the buyer already.
    pub repeated: bool,
    pub minimum_sales: Option<Money>,
    pub limits: &'a Limits,
    /// What those nearer to the buyer have left of the total.
    pub left: Money,
    /// Why their rate earns nothing, if so.
    pub no_rate: Option<SkipReason>,
}

impl Judged<'_> {
    /// The first reason that holds, or the amount.
    pub fn outcome(self, sale: &Sale, working: &mut Working) -> Outcome {
        if let Some(reason) = self.skipped(sale) {
            return Outcome::Skipped(reason);
        }
        if working.rounded.is_zero() {
            return Outcome::Skipped(SkipReason::RoundsToZero);
        }
        let rooms = [
            self.limits.cap_per_order.map(Cap::PerOrder),
            self.limits
                .cap_per_month
                .map(|cap| Cap::PerMonth(room(cap, &self.ancestor.facts))),
            Some(Cap::WholeOrder(self.left)),
        ];
        let over = |cap: &Cap| cap.room().minor() < working.rounded.minor();
        working.cap = rooms
            .into_iter()
            .flatten()
            .filter(over)
            .min_by_key(|cap| cap.room().minor());
        let amount = working.cap.map_or(working.rounded, Cap::room);
        match working.cap {
            Some(cap) if amount.is_zero() => Outcome::Skipped(SkipReason::CapReached(cap)),
            _ => Outcome::Earned {
                rate: working.rate(sale.total),
                base: sale.total,
                amount,
            },
        }
    }

    fn skipped(&self, sale: &Sale) -> Option<SkipReason> {
        let (total, had) = (sale.total, self.ancestor.sales);
        if self.repeated {
            return Some(SkipReason::Repeated);
        }
        if !total.is_positive() {
            return Some(SkipReason::NothingPaid);
        }
        if self.ancestor.facts.inactive {
            return Some(SkipReason::InactiveAgent);
        }
        let mut amounts = self.limits.amounts().chain(self.minimum_sales);
        if amounts.any(|amount| amount.currency() != total.currency()) {
            return Some(SkipReason::OtherCurrency);
        }
        if let Some(least) = self
            .limits
            .order_min
            .filter(|least| total.minor() < least.minor())
        {
            return Some(SkipReason::OrderTooSmall { least });
        }
        if let Some(most) = self.limits.order_max.filter(|most| total.minor() > most.minor()) {
            return Some(SkipReason::OrderTooLarge { most });
        }
        match self.minimum_sales.map(|needed| (needed, had.checked_sub(needed))) {
            Some((_, Err(_))) => return Some(SkipReason::OtherCurrency),
            Some((needed, Ok(surplus))) if surplus.is_negative() => {
                return Some(SkipReason::BelowMinimumSales { needed, had });
            }
            _ => {}
        }
        self.no_rate.clone()
    }
}

/// What the month's cap leaves; nothing, when it is over.
fn room(cap: Money, facts: &AgentFacts) -> Money {
    let earned = facts.month.map_or(0, Money::minor);
    Money::from_minor(cap.minor().saturating_sub(earned).max(0), cap.currency())
}
