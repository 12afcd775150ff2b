//! Explanations: pure functions of what is stored, with the amount counted again.

mod adjustments;
mod says;
#[cfg(test)]
mod tests;

use posx_kernel::Money;
use rust_decimal::Decimal;

use crate::{
    Ancestor, AncestorExplanation, CommissionExplanation, CommissionView, Decision, ExplainStep,
    NobodyEarned, OrderExplanation, OrderShares, Outcome, PathStep, PlanRef, PlanSnapshot, Rules, Sale,
    StoredDecision, Terms, calculate,
};
use adjustments::{adjustments_of, reversed_agrees, steps_of};

/// `None` when the stored facts do not contain this commission's decision.
pub fn explain_commission(
    commission: &CommissionView,
    shares: &OrderShares,
) -> Option<CommissionExplanation> {
    let snapshot = shares.snapshot.as_ref()?;
    let decision = shares
        .decisions
        .iter()
        .find(|decision| decision.level == commission.level)?;
    let again = recompute(shares)
        .into_iter()
        .find(|again| again.level == commission.level)?;
    let recomputed = amount_of(&again, commission.base);
    let adjustments = adjustments_of(commission, shares);
    let path = path(commission, shares);
    let mut steps = says::steps(commission, shares, snapshot, &again, &path);
    steps.extend(steps_of(commission, &adjustments));
    steps.push(ExplainStep {
        step: "state",
        says: says::state(commission),
    });
    Some(CommissionExplanation {
        order_number: shares.number.clone(),
        plan: plan_ref(snapshot),
        steps,
        path,
        agent_sales: decision.sales,
        minimum_sales: minimum_sales(snapshot, decision.level, shares.total),
        exact: again.working.exact(),
        parts: again.working.parts.clone(),
        cap: again.working.cap,
        recomputed,
        agrees: recomputed == commission.amount
            && decision.agent == commission.agent
            && decision.skipped.is_none()
            && reversed_agrees(commission, &adjustments),
        commission: commission.clone(),
        adjustments,
    })
}

fn path(commission: &CommissionView, shares: &OrderShares) -> Vec<PathStep> {
    let buyer = PathStep {
        level: 0,
        party: shares.buyer,
    };
    let above = shares
        .decisions
        .iter()
        .take_while(|above| above.level <= commission.level);
    let above = above.map(|step| PathStep {
        level: step.level,
        party: step.agent,
    });
    std::iter::once(buyer).chain(above).collect()
}

/// Every ancestor that the plan reaches, also those who got nothing.
pub fn explain_order(shares: &OrderShares) -> OrderExplanation {
    let zero = Money::zero(shares.total.currency());
    let again = recompute(shares);
    let ancestors: Vec<_> = shares
        .decisions
        .iter()
        .filter_map(|decision| {
            let snapshot = shares.snapshot.as_ref()?;
            let again = again.iter().find(|again| again.level == decision.level)?;
            Some(ancestor(shares, decision, snapshot, again))
        })
        .collect();
    let sum = ancestors
        .iter()
        .try_fold(zero, |sum, ancestor| sum.checked_add(ancestor.amount))
        .unwrap_or(zero);
    OrderExplanation {
        order: shares.order,
        order_number: shares.number.clone(),
        buyer: shares.buyer,
        total: shares.total,
        plan: shares.snapshot.as_ref().map(plan_ref),
        decided_at: shares.decided_at,
        nobody: nobody(shares),
        ancestors,
        sum,
        ceiling: shares
            .snapshot
            .as_ref()
            .map(|snapshot| product(shares.total, ceiling(snapshot, &again))),
    }
}

/// What the shares of this order can be at most, of its total.
fn ceiling(snapshot: &PlanSnapshot, decisions: &[Decision]) -> Decimal {
    let sum: Decimal = match &snapshot.rules {
        Rules::Levels(levels) => {
            let own = |decision: &Decision| {
                let own = decision.facts.terms.rate_at(decision.level)?.as_decimal();
                let level = &levels.as_slice()[usize::from(decision.level).checked_sub(1)?];
                Some(own - level.rate.as_decimal())
            };
            levels.rates()
                + decisions
                    .iter()
                    .filter_map(own)
                    .filter(Decimal::is_sign_positive)
                    .sum::<Decimal>()
        }
        Rules::Difference(plan) => {
            let own = |decision: &Decision| plan.rate_of(&decision.facts.terms).as_decimal();
            let buyer = decisions.first().and_then(|nearest| nearest.facts.passed);
            let buyer = buyer.map_or(Decimal::ZERO, posx_kernel::Rate::as_decimal);
            decisions.iter().map(own).fold(buyer, Decimal::max) - buyer
        }
    };
    sum.min(Decimal::ONE)
}

fn nobody(shares: &OrderShares) -> Option<NobodyEarned> {
    match (shares.paid_at, shares.decided_at, &shares.snapshot) {
        (None, None, _) => Some(NobodyEarned::NotPaid),
        (Some(_), None, _) => Some(NobodyEarned::NotDecidedYet),
        (_, Some(_), None) => Some(NobodyEarned::NoPlan),
        (_, Some(_), Some(_)) if shares.decisions.is_empty() => Some(NobodyEarned::NoReferrer),
        _ => None,
    }
}

fn ancestor(
    shares: &OrderShares,
    decision: &StoredDecision,
    snapshot: &PlanSnapshot,
    again: &Decision,
) -> AncestorExplanation {
    let commission = shares
        .commissions
        .iter()
        .find(|commission| commission.level == decision.level);
    let zero = Money::zero(shares.total.currency());
    let amount = commission.map_or(zero, |commission| commission.amount);
    let recomputed = amount_of(again, shares.total);
    let skipped_again = match &again.outcome {
        Outcome::Earned { .. } => None,
        Outcome::Skipped(reason) => Some(reason.as_str()),
    };
    AncestorExplanation {
        level: decision.level,
        agent: decision.agent,
        rate: again.working.rate(shares.total),
        sales: decision.sales,
        minimum_sales: minimum_sales(snapshot, decision.level, shares.total),
        commission: commission.map(|commission| commission.id),
        amount,
        skipped: decision.skipped.clone(),
        says: says::outcome(shares.total, decision, again, amount),
        recomputed,
        agrees: recomputed == amount && skipped_again == decision.skipped.as_deref(),
    }
}

/// The engine once more, on the frozen plan and on the facts that it was told.
fn recompute(shares: &OrderShares) -> Vec<Decision> {
    let Some(snapshot) = &shares.snapshot else {
        return Vec::new();
    };
    let chain: Vec<_> = shares
        .decisions
        .iter()
        .map(|decision| Ancestor {
            agent: decision.agent,
            sales: decision.sales,
            facts: decision.facts.clone(),
        })
        .collect();
    let sale = Sale {
        total: shares.total,
        lines: shares.lines.clone(),
        // The buyer's own rate is what the nearest ancestor passed.
        buyer: Terms {
            difference_rate: shares.decisions.first().and_then(|nearest| nearest.facts.passed),
            ..Terms::default()
        },
    };
    calculate(snapshot, &sale, &chain)
}

fn amount_of(decision: &Decision, base: Money) -> Money {
    match &decision.outcome {
        Outcome::Earned { amount, .. } => *amount,
        Outcome::Skipped(_) => Money::zero(base.currency()),
    }
}

/// Zero where the plan asks for none.
fn minimum_sales(snapshot: &PlanSnapshot, level: u8, total: Money) -> Money {
    let needed = match &snapshot.rules {
        Rules::Levels(levels) => {
            let mut levels = levels.as_slice().iter();
            levels
                .find(|found| found.level == level)
                .map(|found| found.minimum_sales)
        }
        Rules::Difference(plan) => plan.terms().minimum_sales,
    };
    needed.unwrap_or_else(|| Money::zero(total.currency()))
}

fn plan_ref(snapshot: &PlanSnapshot) -> PlanRef {
    PlanRef {
        id: snapshot.plan,
        name: snapshot.name.clone(),
        version: snapshot.version,
    }
}

/// Exact, in the currency's unit: 19 digits × at most 7 stay within a decimal's 28.
fn product(base: Money, rate: Decimal) -> String {
    let base = Decimal::from_i128_with_scale(i128::from(base.minor()), u32::from(base.currency().exponent()));
    (base * rate).normalize().to_string()
}
