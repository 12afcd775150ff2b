//! What an explanation says in words.

use posx_kernel::Money;

use super::minimum_sales;
use crate::{
    Cap, CommissionView, Decision, ExplainStep, OrderShares, Outcome, Part, PathStep, PlanSnapshot, RateFrom,
    Rules, SkipReason, StoredDecision,
};

pub(super) fn steps(
    commission: &CommissionView,
    shares: &OrderShares,
    snapshot: &PlanSnapshot,
    again: &Decision,
    path: &[PathStep],
) -> Vec<ExplainStep> {
    let path: Vec<_> = path.iter().map(|step| step.party.to_string()).collect();
    let currency = commission.base.currency();
    let paid = shares
        .paid_at
        .map_or_else(String::new, |at| format!(", paid at {}", at.to_rfc3339()));
    let (name, version, level) = (&snapshot.name, snapshot.version, commission.level);
    let (sales, exact) = (again.sales, again.working.exact());
    let needed = minimum_sales(snapshot, level, shares.total);
    let mut steps = vec![
        (
            "order",
            format!("Order {} came to {}{paid}.", shares.number, commission.base),
        ),
        (
            "plan",
            format!("When it was placed, plan \"{name}\" version {version} was in force."),
        ),
        (
            "path",
            format!("From the buyer up to the agent: {}.", path.join(" → ")),
        ),
        (
            "sales",
            format!(
                "Parties that the agent referred had bought for {sales} before; level {level} needs {needed}."
            ),
        ),
        ("rate", rates(snapshot, again)),
        ("share", format!("{} = {exact} {currency}.", products(again))),
        (
            "rounding",
            format!(
                "Rounded once, half to even, to {} decimals: {}.",
                currency.exponent(),
                again.working.rounded
            ),
        ),
    ];
    steps.extend(
        again
            .working
            .cap
            .map(|cap| ("cap", format!("{} {}.", capped(cap), commission.amount))),
    );
    steps.push((
        "hold",
        format!(
            "Held for {} days after payment, until {}.",
            snapshot.hold_days.days(),
            commission.hold_until.to_rfc3339()
        ),
    ));
    let step = |(step, says)| ExplainStep { step, says };
    steps.into_iter().map(step).collect()
}

/// Where the rates are from.
fn rates(snapshot: &PlanSnapshot, again: &Decision) -> String {
    let terms = &again.facts.terms;
    let level = again.level;
    if let Rules::Difference(plan) = &snapshot.rules {
        let own = plan.rate_of(terms);
        let whose = match (terms.difference_rate, plan.grade_of(terms)) {
            (None, Some(grade)) => format!("Grade \"{}\" has {own}", grade.name),
            _ => format!("The agent's own rate is {own}"),
        };
        let passed = again.facts.passed.unwrap_or(posx_kernel::Rate::ZERO);
        let most = match plan.terms().rate_max {
            Some(most) => format!(", at most {most}"),
            None => String::new(),
        };
        return format!("{whose}, the best below is {passed}: the agent earns the difference{most}.");
    }
    let one = |part: &Part| match (part.from, part.tier) {
        (RateFrom::Agent, _) => format!("the agent's own rate of level {level} is {}", part.rate),
        (RateFrom::Tier, Some(tier)) => format!("level {level} earns {} of {tier}", part.rate),
        (_, Some(tier)) => format!("level {level} earns {} of {tier} as of any other", part.rate),
        (_, None) => format!("level {level} earns {}", part.rate),
    };
    let all: Vec<_> = again.working.parts.iter().map(one).collect();
    let mut says = all.join("; ");
    if let Some(first) = says.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{says}.")
}

fn products(again: &Decision) -> String {
    let one = |part: &Part| format!("{} × {}", part.base, part.rate);
    let all: Vec<_> = again.working.parts.iter().map(one).collect();
    all.join(" + ")
}

fn capped(cap: Cap) -> String {
    match cap {
        Cap::PerOrder(most) => format!("A share of one order is at most {most}:"),
        Cap::PerMonth(room) => format!("The month had {room} left for the agent:"),
        Cap::WholeOrder(room) => format!("Those nearer to the buyer left {room} of the order:"),
    }
}

pub(super) fn state(commission: &CommissionView) -> String {
    let state = commission.state.as_str();
    if commission.reversed.is_zero() {
        return format!("Now it is {state}.");
    }
    format!("Now it is {state}, and {} is left of it.", commission.left)
}

/// What an ancestor got, or why nothing: what was stored, in the words of the engine's answer where that is the same.
pub(super) fn outcome(total: Money, stored: &StoredDecision, again: &Decision, amount: Money) -> String {
    match (stored.skipped.as_deref(), &again.outcome) {
        (None, _) => {
            let cap = again
                .working
                .cap
                .map_or_else(String::new, |cap| format!(" {}", capped(cap)));
            let (products, cap) = (products(again), cap.trim_end_matches(':').to_owned());
            let end = if cap.is_empty() { "" } else { "." };
            format!("{products}, rounded half to even: {amount}.{cap}{end}")
        }
        (Some(word), Outcome::Skipped(reason)) if reason.as_str() == word => {
            format!("Nothing: {}.", why(total, reason, again))
        }
        (Some(word), _) => format!("Nothing: {word}."),
    }
}

fn why(total: Money, reason: &SkipReason, again: &Decision) -> String {
    match reason {
        SkipReason::NothingPaid => "the order cost nothing".to_owned(),
        SkipReason::BelowMinimumSales { needed, had } => {
            format!(
                "level {} needs sales of {needed}, the agent had {had}",
                again.level
            )
        }
        SkipReason::OrderTooSmall { least } => {
            format!("orders of less than {least} earn nothing, and this one came to {total}")
        }
        SkipReason::OrderTooLarge { most } => {
            format!("orders of more than {most} earn nothing, and this one came to {total}")
        }
        SkipReason::NoDifference { own, passed } => {
            format!("the agent's rate is {own}, and somebody below has {passed}")
        }
        SkipReason::CapReached(Cap::PerMonth(_)) => "the agent's month had nothing left".to_owned(),
        SkipReason::CapReached(_) => "those nearer to the buyer left nothing of the order".to_owned(),
        SkipReason::InactiveAgent => "the agent was not active".to_owned(),
        SkipReason::RoundsToZero => {
            format!("{} = {} rounds to zero", products(again), again.working.exact())
        }
        SkipReason::Repeated => "the agent stands nearer to the buyer already".to_owned(),
        SkipReason::OtherCurrency => "the plan is in another currency than the order".to_owned(),
    }
}
