//! Difference mode. The base is a running maximum: whoever is passed raises it, also one who was skipped or who has less than
//! somebody below, so that Σ rates ≤ best rate in the chain − the buyer's.

use posx_kernel::Rate;

use super::share::{Judged, Part, RateFrom, Working};
use super::{AgentFacts, Ancestor, Decision, Outcome, Sale, SkipReason};
use crate::Difference;

pub(super) fn decide(plan: &Difference, sale: &Sale, chain: &[Ancestor]) -> Vec<Decision> {
    let mut left = sale.total;
    let mut passed = plan.rate_of(&sale.buyer);
    let reached = chain.iter().take(usize::from(plan.depth())).zip(1..);
    reached
        .map(|(ancestor, level)| {
            let own = plan.rate_of(&ancestor.facts.terms);
            let rate = above(own, passed, plan.terms().rate_max);
            let part = Part {
                tier: None,
                base: sale.total,
                rate,
                from: RateFrom::Difference,
            };
            let mut working = Working::of(vec![part], sale.total);
            let nearer = &chain[..usize::from(level) - 1];
            let judged = Judged {
                ancestor,
                repeated: nearer.iter().any(|nearer| nearer.agent == ancestor.agent),
                minimum_sales: plan.terms().minimum_sales,
                limits: &plan.terms().limits,
                left,
                no_rate: (own <= passed).then_some(SkipReason::NoDifference { own, passed }),
            };
            let outcome = judged.outcome(sale, &mut working);
            if let Outcome::Earned { amount, .. } = outcome {
                left = left.checked_sub(amount).unwrap_or(left);
            }
            let facts = AgentFacts {
                passed: Some(passed),
                ..ancestor.facts.clone()
            };
            passed = passed.max(own);
            Decision {
                level,
                agent: ancestor.agent,
                sales: ancestor.sales,
                facts,
                working,
                outcome,
            }
        })
        .collect()
}

/// Zero when the own rate is not above what was passed.
fn above(own: Rate, passed: Rate, most: Option<Rate>) -> Rate {
    let difference = own.as_decimal() - passed.as_decimal();
    let rate = Rate::new(difference).unwrap_or(Rate::ZERO);
    most.map_or(rate, |most| rate.min(most))
}
