//! Commissions equal what the engine says of the frozen plan and the tree as it stood.

use std::collections::BTreeMap;

use posx_commissions::{Ancestor, CommissionState, Outcome, PlanSnapshot, Sale, SaleLine, Terms, calculate};
use posx_kernel::{Money, PartyId};
use posx_orders::{Lifecycle, Order};

use crate::store::rows::Rows;
use crate::store::terms::month_of;

pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = circles(rows);
    broken.extend(months(rows));
    broken.extend(terms(rows));
    for order in rows.orders.values() {
        let paid = matches!(order.lifecycle, Lifecycle::Confirmed | Lifecycle::Fulfilled);
        let mut stored: Vec<_> = rows
            .commissions
            .values()
            .filter(|commission| commission.order == order.id)
            .map(|commission| (commission.level, commission.agent, commission.amount))
            .collect();
        stored.sort_by_key(|(level, ..)| *level);
        let expected = if paid { earned(rows, order) } else { Vec::new() };
        if stored != expected {
            broken.push(format!(
                "{} shares {stored:?}, by the engine {expected:?}",
                order.id
            ));
        }
        for commission in rows
            .commissions
            .values()
            .filter(|commission| commission.order == order.id)
        {
            let target = commission.amount.proportion(order.returned, order.total);
            if target != Some(commission.reversed) {
                broken.push(format!(
                    "{} of {} has {} taken back for {} of {}",
                    commission.id, commission.amount, commission.reversed, order.returned, order.total
                ));
            }
            let void = commission.state == CommissionState::Void;
            let frozen = commission.state == CommissionState::Frozen;
            let out = matches!(commission.state, CommissionState::Paid | CommissionState::Batched);
            if void != (commission.left().is_zero() && !out) || frozen && !order.disputed {
                broken.push(format!(
                    "{} is {:?}, {} is left",
                    commission.id,
                    commission.state,
                    commission.left()
                ));
            }
        }
        if paid && !rows.decided.contains_key(&order.id) {
            broken.push(format!("nobody decided who earns of {}", order.id));
        }
    }
    broken
}

fn earned(rows: &Rows, order: &Order) -> Vec<(u8, PartyId, Money)> {
    let (Some(paid_at), Some(snapshot)) = (order.paid_at, &order.plan_snapshot) else {
        return Vec::new();
    };
    let Ok(snapshot) = serde_json::from_value::<PlanSnapshot>(snapshot.clone()) else {
        return Vec::new();
    };
    let Some(seen) = rows.decided.get(&order.id) else {
        return Vec::new();
    };
    // A binding with an earlier time that was committed after the decision could not be seen by it.
    let up = |party: &PartyId| {
        let (referrer, since) = rows.referrals.get(party)?;
        (*since <= paid_at && seen.contains(party)).then_some(*referrer)
    };
    let mut chain: Vec<_> = std::iter::successors(up(&order.buyer), up)
        .take(usize::from(snapshot.rules.depth()))
        .collect();
    chain.truncate(chain.iter().take_while(|agent| **agent != order.buyer).count());
    // What stood for them is kept with the decision; whether it stood is looked at for itself.
    let facts = |level: u8, agent| {
        let decided = rows.decisions.get(&(order.id, level));
        let of_agent = decided.filter(|decision| decision.agent == agent);
        of_agent
            .map(|decision| decision.facts.clone())
            .unwrap_or_default()
    };
    let ancestor = |(level, agent)| Ancestor {
        agent,
        sales: Money::zero(order.currency()),
        facts: facts(level, agent),
    };
    let chain: Vec<_> = (1..).zip(chain).map(ancestor).collect();
    let line = |line: &posx_orders::Line| SaleLine {
        tier: line.tier,
        amount: line.amount,
    };
    let sale = Sale {
        total: order.total,
        lines: order.lines.iter().map(line).collect(),
        buyer: Terms::default(),
    };
    let decisions = calculate(&snapshot, &sale, &chain);
    let share = |decision: &posx_commissions::Decision| match decision.outcome {
        Outcome::Earned { amount, .. } => Some((decision.level, decision.agent, amount)),
        Outcome::Skipped(_) => None,
    };
    decisions.iter().filter_map(share).collect()
}

/// Nobody earns more in a month than the site's plans allow.
fn months(rows: &Rows) -> Vec<String> {
    let Some(cap) = rows.month_cap else {
        return Vec::new();
    };
    let mut earned: BTreeMap<_, i64> = BTreeMap::new();
    for commission in rows.commissions.values() {
        if let Some(paid_at) = rows.orders.get(&commission.order).and_then(|order| order.paid_at) {
            *earned.entry((commission.agent, month_of(paid_at))).or_default() += commission.amount.minor();
        }
    }
    let over = earned.into_iter().filter(|(_, minor)| *minor > cap.minor());
    over.map(|((agent, _), minor)| format!("{agent} earned {minor} in a month that is capped at {cap}"))
        .collect()
}

/// A share is counted by terms that held when its order was paid.
fn terms(rows: &Rows) -> Vec<String> {
    let mut broken = Vec::new();
    for ((order, _), decision) in &rows.decisions {
        let Some(paid_at) = rows.orders.get(order).and_then(|order| order.paid_at) else {
            continue;
        };
        let of_agent = rows.terms.values().filter(|terms| terms.agent == decision.agent);
        let begun = |terms: &&posx_commissions::AgentTerms| terms.effective_from <= paid_at;
        let held = of_agent
            .filter(begun)
            .any(|terms| terms.terms == decision.facts.terms);
        if !held && decision.facts.terms != Terms::default() {
            broken.push(format!(
                "{order}: {} is counted by terms that did not hold",
                decision.agent
            ));
        }
    }
    broken
}

/// p20
fn circles(rows: &Rows) -> Vec<String> {
    let up = |party: &PartyId| rows.referrals.get(party).map(|(referrer, _)| *referrer);
    let in_circle = |party: &&PartyId| {
        std::iter::successors(up(party), up)
            .take(64)
            .any(|above| above == **party)
    };
    let parties = rows.referrals.keys().filter(in_circle);
    parties
        .map(|party| format!("a circle of referrers: {party}"))
        .collect()
}
