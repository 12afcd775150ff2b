//! Level mode.

use posx_kernel::Money;

use super::share::{Judged, Part, RateFrom, Working, bases};
use super::{Ancestor, Decision, Outcome, Sale};
use crate::{Levels, PlanLevel};

pub(super) fn decide(levels: &Levels, sale: &Sale, chain: &[Ancestor]) -> Vec<Decision> {
    let mut left = sale.total;
    let lines = bases(sale);
    let reached = levels.as_slice().iter().zip(chain).enumerate();
    reached
        .map(|(at, (level, ancestor))| {
            let mut working = Working::of(parts(level, ancestor, sale, &lines), sale.total);
            let judged = Judged {
                ancestor,
                repeated: chain[..at].iter().any(|nearer| nearer.agent == ancestor.agent),
                minimum_sales: Some(level.minimum_sales),
                limits: &level.limits,
                left,
                no_rate: None,
            };
            let outcome = judged.outcome(sale, &mut working);
            if let Outcome::Earned { amount, .. } = outcome {
                left = left.checked_sub(amount).unwrap_or(left);
            }
            Decision {
                level: level.level,
                agent: ancestor.agent,
                sales: ancestor.sales,
                facts: ancestor.facts.clone(),
                working,
                outcome,
            }
        })
        .collect()
}

/// An agent's own rate holds for the whole order; else each line has its tier's, or the level's.
fn parts(
    level: &PlanLevel,
    ancestor: &Ancestor,
    sale: &Sale,
    lines: &[(posx_kernel::TierId, Money)],
) -> Vec<Part> {
    let whole = |rate, from| Part {
        tier: None,
        base: sale.total,
        rate,
        from,
    };
    if let Some(rate) = ancestor.facts.terms.rate_at(level.level) {
        return vec![whole(rate, RateFrom::Agent)];
    }
    if level.tiers.is_empty() || lines.is_empty() {
        return vec![whole(level.rate, RateFrom::Level)];
    }
    let part = |(tier, base): &(posx_kernel::TierId, Money)| {
        let (rate, own) = level.rate_of(Some(*tier));
        let from = if own { RateFrom::Tier } else { RateFrom::Level };
        Part {
            tier: Some(*tier),
            base: *base,
            rate,
            from,
        }
    };
    lines.iter().map(part).collect()
}
