//! Why somebody above a buyer got nothing of an order, or what they got: asked about anybody up to the top.

use posx_kernel::{CommissionId, Money, OrderId, PartyId};
use serde::Serialize;

use crate::{NobodyEarned, OrderShares, explain_order};

const NOT_ABOVE: &str = "Nothing: the agent did not stand above the buyer when the order was paid.";

/// Who stood above a buyer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AncestorAt {
    pub agent: PartyId,
    /// 1 is directly above.
    pub level: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WhyNotEntry {
    pub agent: PartyId,
    /// How far above the buyer: 1 is directly. Absent for one who did not stand above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
    /// Zero for one who got nothing.
    pub amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission: Option<CommissionId>,
    /// Why nothing: `not_above_the_buyer`, `not_paid`, `not_decided_yet`, `no_plan`, `beyond_plan_depth`, or what was decided:
    /// `inactive_agent`, `below_minimum_sales`, `rounds_to_zero`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub says: String,
}

/// Says nothing of who the buyer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WhyNot {
    pub order: OrderId,
    pub order_number: String,
    pub total: Money,
    pub items: Vec<WhyNotEntry>,
    /// The level after which the next page begins; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<u32>,
}

/// One answer for each of these, in their order.
pub fn why_not(shares: &OrderShares, ancestors: &[AncestorAt]) -> Vec<WhyNotEntry> {
    let explained = explain_order(shares);
    let answer = |at: &AncestorAt| {
        let decided = explained
            .ancestors
            .iter()
            .find(|decided| decided.agent == at.agent);
        if let Some(decided) = decided {
            return WhyNotEntry {
                agent: at.agent,
                level: Some(at.level),
                amount: decided.amount,
                commission: decided.commission,
                reason: decided.skipped.clone(),
                says: decided.says.clone(),
            };
        }
        let (reason, says) = undecided(explained.nobody, shares, at.level);
        nothing(shares, at.agent, Some(at.level), reason, says)
    };
    ancestors.iter().map(answer).collect()
}

impl WhyNotEntry {
    /// For one who did not stand above the buyer.
    pub fn of_a_stranger(shares: &OrderShares, agent: PartyId) -> Self {
        nothing(shares, agent, None, "not_above_the_buyer", NOT_ABOVE.to_owned())
    }
}

fn undecided(nobody: Option<NobodyEarned>, shares: &OrderShares, level: u32) -> (&'static str, String) {
    match nobody {
        Some(NobodyEarned::NotPaid) => ("not_paid", "Nothing yet: the order is not paid.".to_owned()),
        Some(NobodyEarned::NotDecidedYet) => (
            "not_decided_yet",
            "Nothing yet: the shares are being counted.".to_owned(),
        ),
        Some(NobodyEarned::NoPlan) => (
            "no_plan",
            "Nothing: no commission plan was in force when the order was placed.".to_owned(),
        ),
        _ => {
            let levels = shares
                .snapshot
                .as_ref()
                .map_or(0, |snapshot| u32::from(snapshot.rules.depth()));
            if level > levels {
                let says = format!(
                    "Nothing: the agent stood {level} levels above the buyer, the plan reaches {levels}."
                );
                return ("beyond_plan_depth", says);
            }
            ("not_above_the_buyer", NOT_ABOVE.to_owned())
        }
    }
}

fn nothing(
    shares: &OrderShares,
    agent: PartyId,
    level: Option<u32>,
    reason: &str,
    says: String,
) -> WhyNotEntry {
    WhyNotEntry {
        agent,
        level,
        amount: Money::zero(shares.total.currency()),
        commission: None,
        reason: Some(reason.to_owned()),
        says,
    }
}

#[cfg(test)]
mod tests {
    use posx_kernel::OrderId;
    use uuid::Uuid;

    use super::*;
    use crate::testing::{at, party, two_levels, usd};
    use crate::{AgentFacts, StoredDecision};

    /// Two levels; one stands above the buyer and is suspended.
    fn shares() -> OrderShares {
        OrderShares {
            order: OrderId::from_uuid(Uuid::from_u128(8)),
            number: "NA-1".to_owned(),
            buyer: party(9),
            total: usd(10_000),
            lines: Vec::new(),
            paid_at: Some(at(0)),
            snapshot: Some(two_levels()),
            decided_at: Some(at(0)),
            decisions: vec![StoredDecision {
                level: 1,
                agent: party(1),
                sales: usd(0),
                facts: AgentFacts {
                    inactive: true,
                    ..AgentFacts::default()
                },
                skipped: Some("inactive_agent".to_owned()),
            }],
            commissions: Vec::new(),
            adjustments: Vec::new(),
        }
    }

    fn reason(shares: &OrderShares, agent: u128, level: u32) -> Option<String> {
        let at = AncestorAt {
            agent: party(agent),
            level,
        };
        let answers = why_not(shares, &[at]);
        assert_eq!((answers.len(), answers[0].amount), (1, usd(0)));
        answers[0].reason.clone()
    }

    #[test]
    fn each_one_above_is_told_why_they_got_nothing() {
        let decided = shares();
        assert_eq!(reason(&decided, 1, 1).as_deref(), Some("inactive_agent"));
        assert_eq!(
            reason(&decided, 2, 2).as_deref(),
            Some("not_above_the_buyer"),
            "not when it was counted"
        );
        assert_eq!(reason(&decided, 3, 3).as_deref(), Some("beyond_plan_depth"));
        let stranger = WhyNotEntry::of_a_stranger(&decided, party(7));
        assert_eq!(
            (stranger.level, stranger.reason.as_deref()),
            (None, Some("not_above_the_buyer"))
        );
        let without = |change: fn(&mut OrderShares)| {
            let mut shares = shares();
            shares.decisions.clear();
            change(&mut shares);
            reason(&shares, 1, 1)
        };
        let no_plan = without(|shares| shares.snapshot = None);
        assert_eq!(no_plan.as_deref(), Some("no_plan"));
        let soon = without(|shares| shares.decided_at = None);
        assert_eq!(soon.as_deref(), Some("not_decided_yet"));
        let unpaid = without(|shares| (shares.decided_at, shares.paid_at) = (None, None));
        assert_eq!(unpaid.as_deref(), Some("not_paid"));
    }
}
