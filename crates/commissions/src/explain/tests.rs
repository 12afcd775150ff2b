use posx_kernel::{CommissionId, OrderId, PlanId, TierId};

use super::*;
use crate::testing::{at, by_difference, level, party, sale, snapshot, usd};
use crate::{AgentFacts, CommissionState, SaleLine, SkipReason, TierRate};

fn commission(amount: i64) -> CommissionView {
    CommissionView {
        id: CommissionId::from_uuid(uuid::Uuid::from_u128(9)),
        order: OrderId::from_uuid(uuid::Uuid::from_u128(8)),
        agent: party(2),
        level: 1,
        rate: "0.125".parse().expect("a rate"),
        base: usd(10_001),
        amount: usd(amount),
        reversed: usd(0),
        left: usd(amount),
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
        facts: AgentFacts::default(),
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
        lines: Vec::new(),
        paid_at: Some(at(0)),
        snapshot: Some(snapshot(vec![level(1, "0.125", 0), level(2, "0.04", 500)])),
        decided_at: Some(at(0)),
        decisions: vec![decision(1, 2, 40, None), decision(2, 1, 0, Some(below))],
        commissions: vec![commission(1250)],
        adjustments: Vec::new(),
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
            "order", "plan", "path", "sales", "rate", "share", "rounding", "hold", "state"
        ]
    );
    assert_eq!(explained.steps[5].says, "100.01 USD × 0.125 = 12.50125 USD.");
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

/// One who earned, decided by the engine on these facts.
fn decided(snapshot: &PlanSnapshot, sale: &Sale, ancestors: &[Ancestor]) -> OrderShares {
    let decisions = calculate(snapshot, sale, ancestors);
    let mut shares = OrderShares {
        total: sale.total,
        lines: sale.lines.clone(),
        snapshot: Some(snapshot.clone()),
        ..shares()
    };
    let stored = |decision: &Decision| StoredDecision {
        level: decision.level,
        agent: decision.agent,
        sales: decision.sales,
        facts: decision.facts.clone(),
        skipped: match &decision.outcome {
            Outcome::Earned { .. } => None,
            Outcome::Skipped(reason) => Some(reason.as_str().to_owned()),
        },
    };
    shares.decisions = decisions.iter().map(stored).collect();
    let earned = |decision: &Decision| match decision.outcome {
        Outcome::Earned { rate, base, amount } => Some(CommissionView {
            agent: decision.agent,
            level: decision.level,
            rate,
            base,
            ..commission(amount.minor())
        }),
        Outcome::Skipped(_) => None,
    };
    shares.commissions = decisions.iter().filter_map(earned).collect();
    shares
}

fn ancestor(name: u128, facts: AgentFacts) -> Ancestor {
    Ancestor {
        agent: party(name),
        sales: usd(0),
        facts,
    }
}

fn says<'a>(explained: &'a CommissionExplanation, step: &str) -> &'a str {
    let found = explained.steps.iter().find(|found| found.step == step);
    &found.expect("the step").says
}

#[test]
fn lines_of_tiers_and_a_cap_are_explained_and_counted_again() {
    let tier = |name| TierId::from_uuid(uuid::Uuid::from_u128(name));
    let mut one = level(1, "0.1", 0);
    one.tiers = vec![TierRate {
        tier: tier(7),
        rate: "0.25".parse().expect("a rate"),
    }];
    one.limits.cap_per_month = Some(usd(5000));
    let order = Sale {
        lines: [(7, 101), (8, 203)]
            .map(|(name, amount)| SaleLine {
                tier: tier(name),
                amount: usd(amount),
            })
            .to_vec(),
        ..sale(usd(304))
    };
    let facts = AgentFacts {
        month: Some(usd(4960)),
        ..AgentFacts::default()
    };
    let shares = decided(&snapshot(vec![one]), &order, &[ancestor(2, facts)]);
    let explained = explain_commission(&shares.commissions[0], &shares).expect("facts");
    assert!(explained.agrees, "{explained:#?}");
    assert_eq!(
        (explained.exact.as_str(), explained.recomputed),
        ("0.4555", usd(40))
    );
    assert_eq!(
        says(&explained, "share"),
        "1.01 USD × 0.25 + 2.03 USD × 0.1 = 0.4555 USD."
    );
    assert_eq!(
        says(&explained, "rounding"),
        "Rounded once, half to even, to 2 decimals: 0.46 USD."
    );
    assert_eq!(
        says(&explained, "cap"),
        "The month had 0.40 USD left for the agent: 0.40 USD."
    );
    assert_eq!(explained.parts.len(), 2);
    // Without the fact that was stored, the engine would not come to the same.
    let mut forgetful = shares;
    forgetful.decisions[0].facts = AgentFacts::default();
    let explained = explain_commission(&forgetful.commissions[0], &forgetful).expect("facts");
    assert!(!explained.agrees);
}

#[test]
fn a_difference_explains_the_grade_and_the_rate_below_also_to_who_has_none() {
    let plan = by_difference(&[("bronze", "0.1"), ("silver", "0.15"), ("gold", "0.2")]);
    let graded = |grade: &str| AgentFacts {
        terms: Terms {
            grade: Some(grade.to_owned()),
            ..Terms::default()
        },
        ..AgentFacts::default()
    };
    let mut order = sale(usd(10_000));
    order.buyer.difference_rate = Some("0.05".parse().expect("a rate"));
    let chain = [
        ancestor(2, graded("gold")),
        ancestor(1, graded("silver")),
        ancestor(4, AgentFacts::default()),
    ];
    let shares = decided(&plan, &order, &chain);
    let explained = explain_commission(&shares.commissions[0], &shares).expect("facts");
    assert!(explained.agrees);
    assert_eq!(
        says(&explained, "rate"),
        "Grade \"gold\" has 0.2, the best below is 0.05: the agent earns the difference."
    );
    let explained = explain_order(&shares);
    assert!(explained.ancestors.iter().all(|ancestor| ancestor.agrees));
    assert_eq!(
        explained.ancestors[1].says,
        "Nothing: the agent's rate is 0.15, and somebody below has 0.2."
    );
    assert_eq!(explained.ancestors[2].skipped.as_deref(), Some("no_difference"));
    assert_eq!(explained.ceiling.as_deref(), Some("15"), "0.2 − 0.05 of 100.00");
}

#[test]
fn a_decision_from_before_facts_were_stored_is_still_counted_again() {
    let facts: AgentFacts = serde_json::from_str("{}").expect("facts");
    assert_eq!(facts, AgentFacts::default());
    let explained = explain_order(&shares());
    assert!(explained.ancestors.iter().all(|ancestor| ancestor.agrees));
}
