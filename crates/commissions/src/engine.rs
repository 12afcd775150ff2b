//! The engine: what each ancestor of a buyer earns of one order. Pure; asked twice with the same facts, it says the same.
//!
//! One rounding for each agent, level and order: rates are multiplied with the lines' parts of the total, the exact products
//! are summed, and the sum is rounded half-even. What is over a cap is cut after that. All shares together never exceed
//! the total: the nearest to the buyer come first.

mod difference;
mod level;
mod share;
#[cfg(test)]
mod tests;

use posx_kernel::{Money, PartyId, Rate, TierId};
use serde::{Deserialize, Serialize};

pub use share::{Cap, Part, RateFrom, Working};

use crate::{PlanSnapshot, Rules, Terms};

/// What was sold, as the shares are counted from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    pub total: Money,
    /// In their order. Without any, nothing of the total is of a tier.
    pub lines: Vec<SaleLine>,
    /// What holds for the buyer: a plan by difference starts from it.
    pub buyer: Terms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaleLine {
    pub tier: TierId,
    /// Before discount, tax and shipping.
    pub amount: Money,
}

/// One party above the buyer, as it stood when the order was paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    pub agent: PartyId,
    /// What the parties it referred had bought before.
    pub sales: Money,
    pub facts: AgentFacts,
}

/// What the engine is told of an agent beside their sales. Stored with the decision, so that it can be counted again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentFacts {
    #[serde(default, skip_serializing_if = "is_default")]
    pub terms: Terms,
    /// The agent earns nothing new.
    #[serde(default, skip_serializing_if = "is_default")]
    pub inactive: bool,
    /// What they had earned in the order's month before; known where the plan caps months.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Money>,
    /// The best rate below them, where the plan goes by difference. The engine's own; what is given here is not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Rate>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What the engine says of one ancestor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub level: u8,
    pub agent: PartyId,
    pub sales: Money,
    pub facts: AgentFacts,
    /// How the amount came about; what it would have come to, for one who was skipped.
    pub working: Working,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `amount` is `base` × `rate`, rounded half-even once, and cut to what the caps leave. Where lines earn by different
    /// rates, `rate` is their mean to six decimals, and the working has the parts.
    Earned {
        rate: Rate,
        base: Money,
        amount: Money,
    },
    Skipped(SkipReason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// The order cost nothing.
    NothingPaid,
    BelowMinimumSales {
        needed: Money,
        had: Money,
    },
    /// The order came to less than the least that earns.
    OrderTooSmall {
        least: Money,
    },
    /// The order came to more than the most that earns.
    OrderTooLarge {
        most: Money,
    },
    /// Somebody below has as high a rate, or a higher one.
    NoDifference {
        own: Rate,
        passed: Rate,
    },
    /// What the month, or the order, had left for the agent was nothing.
    CapReached(Cap),
    InactiveAgent,
    /// The share is less than half a minor unit, or the level's rate is zero.
    RoundsToZero,
    /// The agent stands nearer to the buyer already: a broken tree pays nobody twice.
    Repeated,
    /// The plan counts sales in another currency than the order's.
    OtherCurrency,
}

impl SkipReason {
    /// The word that is stored and shown.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NothingPaid => "nothing_paid",
            Self::BelowMinimumSales { .. } => "below_minimum_sales",
            Self::OrderTooSmall { .. } => "order_too_small",
            Self::OrderTooLarge { .. } => "order_too_large",
            Self::NoDifference { .. } => "no_difference",
            Self::CapReached(_) => "cap_reached",
            Self::InactiveAgent => "inactive_agent",
            Self::RoundsToZero => "rounds_to_zero",
            Self::Repeated => "repeated",
            Self::OtherCurrency => "other_currency",
        }
    }
}

/// One decision for each ancestor that the plan reaches. `chain` begins with the buyer's referrer.
pub fn calculate(snapshot: &PlanSnapshot, sale: &Sale, chain: &[Ancestor]) -> Vec<Decision> {
    match &snapshot.rules {
        Rules::Levels(levels) => level::decide(levels, sale, chain),
        Rules::Difference(plan) => difference::decide(plan, sale, chain),
    }
}
