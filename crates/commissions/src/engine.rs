//! The engine, level mode: the ancestor at distance n earns the rate of level n.

use posx_kernel::{Money, PartyId, Rate};

use crate::PlanSnapshot;

/// One party above the buyer, and what the parties it referred had bought before this order was paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    pub agent: PartyId,
    pub sales: Money,
}

/// What the engine says of one ancestor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub level: u8,
    pub agent: PartyId,
    pub sales: Money,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `amount` is `base` × `rate`, rounded half-even once.
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
            Self::RoundsToZero => "rounds_to_zero",
            Self::Repeated => "repeated",
            Self::OtherCurrency => "other_currency",
        }
    }
}

/// One decision for each ancestor that a level of the plan reaches. `chain` begins with the buyer's referrer.
pub fn calculate(snapshot: &PlanSnapshot, base: Money, chain: &[Ancestor]) -> Vec<Decision> {
    let levels = snapshot.levels.as_slice().iter();
    levels
        .zip(chain)
        .enumerate()
        .map(|(at, (level, ancestor))| {
            let repeated = chain[..at].iter().any(|nearer| nearer.agent == ancestor.agent);
            let skip = if repeated {
                Some(SkipReason::Repeated)
            } else {
                skip(level.minimum_sales, base, ancestor.sales)
            };
            let amount = base.share(level.rate);
            let outcome = match skip {
                Some(reason) => Outcome::Skipped(reason),
                None if amount.is_zero() => Outcome::Skipped(SkipReason::RoundsToZero),
                None => Outcome::Earned {
                    rate: level.rate,
                    base,
                    amount,
                },
            };
            Decision {
                level: level.level,
                agent: ancestor.agent,
                sales: ancestor.sales,
                outcome,
            }
        })
        .collect()
}

fn skip(needed: Money, base: Money, had: Money) -> Option<SkipReason> {
    if !base.is_positive() {
        return Some(SkipReason::NothingPaid);
    }
    match had.checked_sub(needed) {
        Err(_) => Some(SkipReason::OtherCurrency),
        Ok(surplus) if surplus.is_negative() => Some(SkipReason::BelowMinimumSales { needed, had }),
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;
    use crate::testing::{level, party, snapshot, two_levels, usd};

    fn ancestor(name: u128, sales: i64) -> Ancestor {
        Ancestor {
            agent: party(name),
            sales: usd(sales),
        }
    }

    fn amounts(decisions: &[Decision]) -> Vec<i64> {
        let amount = |decision: &Decision| match &decision.outcome {
            Outcome::Earned { amount, .. } => amount.minor(),
            Outcome::Skipped(_) => 0,
        };
        decisions.iter().map(amount).collect()
    }

    #[test]
    fn the_referrer_gets_twelve_per_cent_and_theirs_four() {
        let decisions = calculate(
            &two_levels(),
            usd(10_000),
            &[ancestor(1, 0), ancestor(2, 0), ancestor(3, 0)],
        );
        assert_eq!(amounts(&decisions), [1200, 400]);
    }

    #[test]
    fn a_half_minor_unit_is_rounded_to_even_once_per_level() {
        let plan = snapshot(vec![level(1, "0.5", 0), level(2, "0.5", 0)]);
        assert_eq!(
            amounts(&calculate(&plan, usd(5), &[ancestor(1, 0), ancestor(2, 0)])),
            [2, 2]
        );
        assert_eq!(
            amounts(&calculate(&plan, usd(7), &[ancestor(1, 0), ancestor(2, 0)])),
            [4, 4]
        );
    }

    #[test]
    fn an_agent_below_the_minimum_is_skipped_and_the_next_one_is_not_moved_up() {
        let plan = snapshot(vec![level(1, "0.12", 500), level(2, "0.04", 500)]);
        let decisions = calculate(&plan, usd(10_000), &[ancestor(1, 499), ancestor(2, 500)]);
        let reason = SkipReason::BelowMinimumSales {
            needed: usd(500),
            had: usd(499),
        };
        assert_eq!(decisions[0].outcome, Outcome::Skipped(reason));
        assert_eq!(amounts(&decisions), [0, 400]);
    }

    #[test]
    fn an_order_that_cost_nothing_earns_nothing_and_says_so() {
        let decisions = calculate(&two_levels(), usd(0), &[ancestor(1, 0)]);
        assert_eq!(decisions[0].outcome, Outcome::Skipped(SkipReason::NothingPaid));
    }

    #[test]
    fn a_share_below_half_a_minor_unit_is_skipped_not_stored_as_zero() {
        let decisions = calculate(&two_levels(), usd(4), &[ancestor(1, 0), ancestor(2, 0)]);
        assert_eq!(decisions[0].outcome, Outcome::Skipped(SkipReason::RoundsToZero));
    }

    #[test]
    fn p20_an_agent_who_stands_twice_in_the_chain_is_paid_once() {
        let decisions = calculate(&two_levels(), usd(10_000), &[ancestor(1, 0), ancestor(1, 0)]);
        assert_eq!(amounts(&decisions), [1200, 0]);
        assert_eq!(decisions[1].outcome, Outcome::Skipped(SkipReason::Repeated));
    }

    #[test]
    fn sales_in_another_currency_are_never_compared() {
        let foreign = Ancestor {
            agent: party(1),
            sales: Money::zero(posx_kernel::Currency::from_code("KWD").expect("a currency")),
        };
        let decisions = calculate(&two_levels(), usd(10_000), &[foreign]);
        assert_eq!(decisions[0].outcome, Outcome::Skipped(SkipReason::OtherCurrency));
    }

    prop_compose! {
        /// Up to ten levels whose rates, in millionths, sum to at most one.
        fn plans()(parts in prop::collection::vec(0_u32..=100_000, 1..=10), minima in prop::collection::vec(0_i64..1000, 10)) -> PlanSnapshot {
            snapshot(parts.into_iter().zip(minima).zip(1..).map(|((millionths, minimum), number)| {
                level(number, &Decimal::new(i64::from(millionths), 6).to_string(), minimum)
            }).collect())
        }
    }

    prop_compose! {
        fn chains()(sales in prop::collection::vec(0_i64..2000, 0..14)) -> Vec<Ancestor> {
            sales.into_iter().zip(1..).map(|(sales, name)| ancestor(name, sales)).collect()
        }
    }

    proptest! {
        #[test]
        fn p17_the_same_snapshot_and_facts_give_the_same_decisions(
            plan in plans(), base in 0_i64..=i64::MAX / 2, chain in chains(),
        ) {
            let thawed: PlanSnapshot = serde_json::from_str(&serde_json::to_string(&plan).expect("JSON")).expect("and back");
            prop_assert_eq!(calculate(&plan, usd(base), &chain), calculate(&thawed, usd(base), &chain));
        }

        #[test]
        fn p18_the_shares_are_within_the_rates_but_for_one_rounding_a_level(
            plan in plans(), base in 0_i64..=i64::MAX / 2, chain in chains(),
        ) {
            let decisions = calculate(&plan, usd(base), &chain);
            let sum: i64 = amounts(&decisions).iter().sum();
            // Half a minor unit a level is all that rounding can add.
            let ceiling = Decimal::from(base) * plan.levels.rates() + Decimal::new(5, 1) * Decimal::from(decisions.len());
            prop_assert!(Decimal::from(sum) <= ceiling, "{sum} > {ceiling}");
            prop_assert!(amounts(&decisions).iter().all(|&amount| amount >= 0));
        }

        #[test]
        fn p20_nobody_beyond_the_plan_is_decided_upon(plan in plans(), base in 0_i64..1_000_000, chain in chains()) {
            let decisions = calculate(&plan, usd(base), &chain);
            prop_assert_eq!(decisions.len(), chain.len().min(usize::from(plan.levels.depth())));
            for (decision, ancestor) in decisions.iter().zip(&chain) {
                prop_assert_eq!(decision.agent, ancestor.agent);
            }
        }
    }
}
