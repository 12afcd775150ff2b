//! Commissions equal what the engine says of the frozen plan and the tree as it stood.

use posx_commissions::{
    AgentFacts, Ancestor, CommissionState, Outcome, PlanSnapshot, Sale, SaleLine, Terms, calculate,
};
use posx_kernel::{Money, PartyId};
use posx_orders::{Lifecycle, Order};

use crate::store::rows::Rows;

pub(super) fn check(rows: &Rows) -> Vec<String> {
    let mut broken = circles(rows);
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
            if void != commission.left().is_zero() || frozen && !order.disputed {
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
    let ancestor = |agent| Ancestor {
        agent,
        sales: Money::zero(order.currency()),
        facts: AgentFacts::default(),
    };
    let chain: Vec<_> = chain.into_iter().map(ancestor).collect();
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
