//! Explanations: pure functions of what is stored, with the amount counted again.

use posx_kernel::{Money, Rate};
use rust_decimal::Decimal;

use crate::{
    Ancestor, AncestorExplanation, CommissionExplanation, CommissionView, Decision, ExplainStep,
    NobodyEarned, OrderExplanation, OrderShares, Outcome, PathStep, PlanLevel, PlanRef, PlanSnapshot,
    StoredDecision, calculate,
};

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
    let level = level_of(snapshot, commission.level)?;
    let recomputed = recompute(shares)
        .into_iter()
        .find(|again| again.level == commission.level)?;
    let recomputed = amount_of(&recomputed, commission.base);
    let exact = product(commission.base, commission.rate.as_decimal());
    let buyer = PathStep {
        level: 0,
        party: shares.buyer,
    };
    let above = shares
        .decisions
        .iter()
        .take_while(|above| above.level <= commission.level);
    let path: Vec<_> = std::iter::once(buyer)
        .chain(above.map(|step| PathStep {
            level: step.level,
            party: step.agent,
        }))
        .collect();
    Some(CommissionExplanation {
        order_number: shares.number.clone(),
        plan: plan_ref(snapshot),
        steps: steps(commission, shares, snapshot, decision, level, &path, &exact),
        path,
        agent_sales: decision.sales,
        minimum_sales: level.minimum_sales,
        exact,
        recomputed,
        agrees: recomputed == commission.amount
            && decision.agent == commission.agent
            && decision.skipped.is_none(),
        commission: commission.clone(),
    })
}

fn steps(
    commission: &CommissionView,
    shares: &OrderShares,
    snapshot: &PlanSnapshot,
    decision: &StoredDecision,
    level: &PlanLevel,
    path: &[PathStep],
    exact: &str,
) -> Vec<ExplainStep> {
    let step = |step, says| ExplainStep { step, says };
    let path: Vec<_> = path.iter().map(|step| step.party.to_string()).collect();
    let currency = commission.base.currency();
    let paid = shares
        .paid_at
        .map_or_else(String::new, |at| format!(", paid at {}", at.to_rfc3339()));
    vec![
        step(
            "order",
            format!("Order {} came to {}{paid}.", shares.number, commission.base),
        ),
        step(
            "plan",
            format!(
                "When it was placed, plan \"{}\" version {} was in force: level {} earns {}.",
                snapshot.name, snapshot.version, level.level, level.rate
            ),
        ),
        step(
            "path",
            format!("From the buyer up to the agent: {}.", path.join(" → ")),
        ),
        step(
            "sales",
            format!(
                "Parties that the agent referred had bought for {} before; level {} needs {}.",
                decision.sales, level.level, level.minimum_sales
            ),
        ),
        step(
            "share",
            format!("{} × {} = {exact} {currency}.", commission.base, commission.rate),
        ),
        step(
            "rounding",
            format!(
                "Rounded once, half to even, to {} decimals: {}.",
                currency.exponent(),
                commission.amount
            ),
        ),
        step(
            "hold",
            format!(
                "Held for {} days after payment, until {}.",
                snapshot.hold_days.days(),
                commission.hold_until.to_rfc3339()
            ),
        ),
        step("state", format!("Now it is {}.", commission.state.as_str())),
    ]
}

/// Every ancestor that the plan reaches, also those who got nothing.
pub fn explain_order(shares: &OrderShares) -> OrderExplanation {
    let zero = Money::zero(shares.total.currency());
    let again = recompute(shares);
    let ancestors: Vec<_> = shares
        .decisions
        .iter()
        .filter_map(|decision| {
            let level = level_of(shares.snapshot.as_ref()?, decision.level)?;
            let again = again.iter().find(|again| again.level == decision.level)?;
            Some(ancestor(shares, decision, level, again))
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
            .map(|snapshot| product(shares.total, snapshot.levels.rates())),
    }
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
    level: &PlanLevel,
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
        rate: level.rate,
        sales: decision.sales,
        minimum_sales: level.minimum_sales,
        commission: commission.map(|commission| commission.id),
        amount,
        skipped: decision.skipped.clone(),
        says: says(shares.total, level.rate, level, decision, amount),
        recomputed,
        agrees: recomputed == amount && skipped_again == decision.skipped.as_deref(),
    }
}

fn says(total: Money, rate: Rate, level: &PlanLevel, decision: &StoredDecision, amount: Money) -> String {
    match decision.skipped.as_deref() {
        None => format!("{total} × {rate}, rounded half to even: {amount}."),
        Some("below_minimum_sales") => {
            format!(
                "Nothing: level {} needs sales of {}, the agent had {}.",
                level.level, level.minimum_sales, decision.sales
            )
        }
        Some("nothing_paid") => "Nothing: the order cost nothing.".to_owned(),
        Some("rounds_to_zero") => {
            let exact = product(total, rate.as_decimal());
            format!("Nothing: {total} × {rate} = {exact} rounds to zero.")
        }
        Some("repeated") => "Nothing: the agent stands nearer to the buyer already.".to_owned(),
        Some("other_currency") => {
            format!(
                "Nothing: the plan counts sales in {}.",
                level.minimum_sales.currency()
            )
        }
        Some(other) => format!("Nothing: {other}."),
    }
}

/// The engine once more, on the frozen plan and on the sales that it saw.
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
        })
        .collect();
    calculate(snapshot, shares.total, &chain)
}

fn amount_of(decision: &Decision, base: Money) -> Money {
    match &decision.outcome {
        Outcome::Earned { amount, .. } => *amount,
        Outcome::Skipped(_) => Money::zero(base.currency()),
    }
}

fn level_of(snapshot: &PlanSnapshot, level: u8) -> Option<&PlanLevel> {
    snapshot
        .levels
        .as_slice()
        .iter()
        .find(|found| found.level == level)
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

#[cfg(test)]
mod tests {
    use posx_kernel::{CommissionId, OrderId, PlanId};

    use super::*;
    use crate::testing::{at, level, party, snapshot, usd};
    use crate::{CommissionState, SkipReason};

    fn commission(amount: i64) -> CommissionView {
        CommissionView {
            id: CommissionId::from_uuid(uuid::Uuid::from_u128(9)),
            order: OrderId::from_uuid(uuid::Uuid::from_u128(8)),
            agent: party(2),
            level: 1,
            rate: "0.125".parse().expect("a rate"),
            base: usd(10_001),
            amount: usd(amount),
            state: CommissionState::Held,
            hold_until: at(7),
            plan: PlanId::from_uuid(uuid::Uuid::from_u128(1)),
            created_at: at(0),
            updated_at: at(0),
        }
    }

    fn shares() -> OrderShares {
        let decision = |level, agent, sales, skipped: Option<SkipReason>| StoredDecision {
            level,
            agent: party(agent),
            sales: usd(sales),
            skipped: skipped.map(|reason| reason.as_str().to_owned()),
        };
        let below = SkipReason::BelowMinimumSales {
            needed: usd(500),
            had: usd(0),
        };
        OrderShares {
            order: OrderId::from_uuid(uuid::Uuid::from_u128(8)),
            number: "NA-1".to_owned(),
            buyer: party(3),
            total: usd(10_001),
            paid_at: Some(at(0)),
            snapshot: Some(snapshot(vec![level(1, "0.125", 0), level(2, "0.04", 500)])),
            decided_at: Some(at(0)),
            decisions: vec![decision(1, 2, 40, None), decision(2, 1, 0, Some(below))],
            commissions: vec![commission(1250)],
        }
    }

    #[test]
    fn a_commission_explains_its_path_its_exact_product_and_its_rounding() {
        let explained = explain_commission(&commission(1250), &shares()).expect("facts");
        assert!(explained.agrees);
        assert_eq!(explained.exact, "12.50125");
        assert_eq!(
            explained.path.iter().map(|step| step.party).collect::<Vec<_>>(),
            [party(3), party(2)]
        );
        let steps: Vec<_> = explained.steps.iter().map(|step| step.step).collect();
        assert_eq!(
            steps,
            [
                "order", "plan", "path", "sales", "share", "rounding", "hold", "state"
            ]
        );
        assert_eq!(explained.steps[4].says, "100.01 USD × 0.125 = 12.50125 USD.");
    }

    #[test]
    fn p17_a_stored_amount_that_the_engine_does_not_confirm_is_called_out() {
        let explained = explain_commission(&commission(1251), &shares()).expect("facts");
        assert!(!explained.agrees);
        assert_eq!(explained.recomputed, usd(1250));
    }

    #[test]
    fn an_order_explains_also_who_got_none() {
        let explained = explain_order(&shares());
        assert_eq!(explained.nobody, None);
        assert_eq!(explained.sum, usd(1250));
        assert_eq!(explained.ceiling.as_deref(), Some("16.50165"));
        assert!(explained.ancestors.iter().all(|ancestor| ancestor.agrees));
        assert_eq!(
            explained.ancestors[1].says,
            "Nothing: level 2 needs sales of 5.00 USD, the agent had 0.00 USD."
        );
    }

    #[test]
    fn an_order_without_ancestors_says_why() {
        let nobody = |change: fn(&mut OrderShares)| {
            let mut shares = shares();
            shares.decisions.clear();
            shares.commissions.clear();
            change(&mut shares);
            explain_order(&shares).nobody
        };
        assert_eq!(nobody(|_| {}), Some(NobodyEarned::NoReferrer));
        assert_eq!(
            nobody(|shares| shares.snapshot = None),
            Some(NobodyEarned::NoPlan)
        );
        assert_eq!(
            nobody(|shares| shares.decided_at = None),
            Some(NobodyEarned::NotDecidedYet)
        );
        assert_eq!(
            nobody(|shares| {
                shares.decided_at = None;
                shares.paid_at = None;
            }),
            Some(NobodyEarned::NotPaid)
        );
    }
}
