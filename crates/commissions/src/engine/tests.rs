mod properties;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::*;
use crate::testing::{by_difference, grades, level, party, sale, snapshot, two_levels, usd};
use crate::{Difference, LevelRate, Limits, PlanLevel, TierRate};

fn ancestor(name: u128, sales: i64) -> Ancestor {
    Ancestor {
        agent: party(name),
        sales: usd(sales),
        facts: AgentFacts::default(),
    }
}

/// With their own rate in a plan by difference.
fn worth(name: u128, rate: &str) -> Ancestor {
    let mut ancestor = ancestor(name, 0);
    ancestor.facts.terms.difference_rate = Some(rate.parse().expect("a rate"));
    ancestor
}

fn amounts(decisions: &[Decision]) -> Vec<i64> {
    let amount = |decision: &Decision| match &decision.outcome {
        Outcome::Earned { amount, .. } => amount.minor(),
        Outcome::Skipped(_) => 0,
    };
    decisions.iter().map(amount).collect()
}

fn words(decisions: &[Decision]) -> Vec<&'static str> {
    let word = |decision: &Decision| match &decision.outcome {
        Outcome::Earned { .. } => "earned",
        Outcome::Skipped(reason) => reason.as_str(),
    };
    decisions.iter().map(word).collect()
}

fn limited(limits: Limits) -> PlanSnapshot {
    let mut one = level(1, "0.1", 0);
    one.limits = limits;
    snapshot(vec![one])
}

fn tier(name: u128) -> TierId {
    TierId::from_uuid(Uuid::from_u128(name))
}

#[test]
fn the_referrer_gets_twelve_per_cent_and_theirs_four() {
    let decisions = calculate(
        &two_levels(),
        &sale(usd(10_000)),
        &[ancestor(1, 0), ancestor(2, 0), ancestor(3, 0)],
    );
    assert_eq!(amounts(&decisions), [1200, 400]);
}

#[test]
fn a_half_minor_unit_is_rounded_to_even_once_per_level_and_the_order_is_not_exceeded() {
    let plan = snapshot(vec![level(1, "0.5", 0), level(2, "0.5", 0)]);
    let chain = [ancestor(1, 0), ancestor(2, 0)];
    assert_eq!(amounts(&calculate(&plan, &sale(usd(5)), &chain)), [2, 2]);
    let seven = calculate(&plan, &sale(usd(7)), &chain);
    assert_eq!(amounts(&seven), [4, 3], "3.5 and 3.5, and no more than 7");
    assert_eq!(seven[1].working.cap, Some(Cap::WholeOrder(usd(3))));
    let plan = snapshot(vec![level(1, "0.5", 0), level(2, "0.25", 0)]);
    assert_eq!(amounts(&calculate(&plan, &sale(usd(7)), &chain)), [4, 2]);
}

#[test]
fn an_agent_below_the_minimum_is_skipped_and_the_next_one_is_not_moved_up() {
    let plan = snapshot(vec![level(1, "0.12", 500), level(2, "0.04", 500)]);
    let decisions = calculate(&plan, &sale(usd(10_000)), &[ancestor(1, 499), ancestor(2, 500)]);
    let reason = SkipReason::BelowMinimumSales {
        needed: usd(500),
        had: usd(499),
    };
    assert_eq!(decisions[0].outcome, Outcome::Skipped(reason));
    assert_eq!(amounts(&decisions), [0, 400]);
}

#[test]
fn an_order_that_cost_nothing_earns_nothing_and_says_so() {
    let decisions = calculate(&two_levels(), &sale(usd(0)), &[ancestor(1, 0)]);
    assert_eq!(decisions[0].outcome, Outcome::Skipped(SkipReason::NothingPaid));
}

#[test]
fn a_share_below_half_a_minor_unit_is_skipped_not_stored_as_zero() {
    let decisions = calculate(&two_levels(), &sale(usd(4)), &[ancestor(1, 0), ancestor(2, 0)]);
    assert_eq!(words(&decisions), ["rounds_to_zero", "rounds_to_zero"]);
}

#[test]
fn p20_an_agent_who_stands_twice_in_the_chain_is_paid_once() {
    let decisions = calculate(
        &two_levels(),
        &sale(usd(10_000)),
        &[ancestor(1, 0), ancestor(1, 0)],
    );
    assert_eq!(amounts(&decisions), [1200, 0]);
    assert_eq!(words(&decisions), ["earned", "repeated"]);
}

#[test]
fn amounts_in_another_currency_are_never_compared() {
    let kwd = Money::zero(posx_kernel::Currency::from_code("KWD").expect("a currency"));
    let foreign = Ancestor {
        sales: kwd,
        ..ancestor(1, 0)
    };
    let decisions = calculate(&two_levels(), &sale(usd(10_000)), &[foreign]);
    assert_eq!(words(&decisions), ["other_currency"]);
    let order = sale(Money::from_minor(10_000, kwd.currency()));
    let own = Ancestor {
        sales: kwd,
        ..ancestor(1, 0)
    };
    assert_eq!(
        words(&calculate(&two_levels(), &order, &[own])),
        ["other_currency"]
    );
}

#[test]
fn an_inactive_agent_earns_nothing_and_the_next_one_is_not_moved_up() {
    let mut chain = [ancestor(1, 0), ancestor(2, 0)];
    chain[0].facts.inactive = true;
    let decisions = calculate(&two_levels(), &sale(usd(10_000)), &chain);
    assert_eq!(words(&decisions), ["inactive_agent", "earned"]);
    assert_eq!(amounts(&decisions), [0, 400]);
}

#[test]
fn an_order_outside_the_plans_amounts_earns_nothing() {
    let plan = limited(Limits {
        order_min: Some(usd(100)),
        order_max: Some(usd(200)),
        ..Limits::default()
    });
    let word = |minor: i64| words(&calculate(&plan, &sale(usd(minor)), &[ancestor(1, 0)]))[0];
    assert_eq!(
        [99, 100, 200, 201].map(word),
        ["order_too_small", "earned", "earned", "order_too_large"]
    );
}

#[test]
fn the_tightest_cap_cuts_a_share_and_an_empty_month_leaves_nothing() {
    let plan = limited(Limits {
        cap_per_order: Some(usd(300)),
        cap_per_month: Some(usd(1000)),
        ..Limits::default()
    });
    let earns = |month: i64| {
        let mut one = ancestor(1, 0);
        one.facts.month = Some(usd(month));
        let decided = calculate(&plan, &sale(usd(5000)), &[one]).remove(0);
        (amounts(std::slice::from_ref(&decided))[0], decided.working.cap)
    };
    assert_eq!(earns(0), (300, Some(Cap::PerOrder(usd(300)))));
    assert_eq!(earns(700), (300, Some(Cap::PerOrder(usd(300)))));
    assert_eq!(earns(701), (299, Some(Cap::PerMonth(usd(299)))));
    assert_eq!(earns(1000), (0, Some(Cap::PerMonth(usd(0)))));
    assert_eq!(earns(5000), (0, Some(Cap::PerMonth(usd(0)))));
}

#[test]
fn lines_earn_by_their_tiers_rate_with_one_rounding_over_all_of_them() {
    let mut one = level(1, "0.1", 0);
    one.tiers = vec![TierRate {
        tier: tier(7),
        rate: "0.25".parse().expect("a rate"),
    }];
    let plan = snapshot(vec![one]);
    let lines = [(7, 101), (8, 203)].map(|(name, amount)| SaleLine {
        tier: tier(name),
        amount: usd(amount),
    });
    let order = Sale {
        lines: lines.to_vec(),
        ..sale(usd(304))
    };
    let decided = calculate(&plan, &order, &[ancestor(1, 0)]).remove(0);
    // 25.25 + 20.30 = 45.55; rounded line by line it would be 25 + 20.
    assert_eq!(amounts(std::slice::from_ref(&decided)), [46]);
    assert_eq!(decided.working.exact(), "0.4555");
    let froms: Vec<_> = decided.working.parts.iter().map(|part| part.from).collect();
    assert_eq!(froms, [RateFrom::Tier, RateFrom::Level]);
    // A discount of a half is spread over the lines: 50.5 and 101.5 of 152 are 50 and 102, or 51 and 101.
    let halved = Sale {
        total: usd(152),
        ..order
    };
    let decided = calculate(&plan, &halved, &[ancestor(1, 0)]).remove(0);
    let bases: i64 = decided.working.parts.iter().map(|part| part.base.minor()).sum();
    assert_eq!(bases, 152);
}

#[test]
fn an_agents_own_rate_wins_over_the_levels_and_the_tiers() {
    let mut one = level(1, "0.1", 0);
    one.tiers = vec![TierRate {
        tier: tier(7),
        rate: "0.25".parse().expect("a rate"),
    }];
    let plan = snapshot(vec![one, level(2, "0.04", 0)]);
    let own = LevelRate {
        level: 1,
        rate: "0.3".parse().expect("a rate"),
    };
    let mut chain = [ancestor(1, 0), ancestor(2, 0)];
    for ancestor in &mut chain {
        ancestor.facts.terms.levels = vec![own];
    }
    let order = Sale {
        lines: vec![SaleLine {
            tier: tier(7),
            amount: usd(1000),
        }],
        ..sale(usd(1000))
    };
    let decisions = calculate(&plan, &order, &chain);
    assert_eq!(amounts(&decisions), [300, 40], "the own rate is of level 1");
    assert_eq!(decisions[0].working.parts[0].from, RateFrom::Agent);
}

#[test]
fn agents_own_rates_never_give_away_more_than_the_order() {
    let plan = snapshot(vec![level(1, "0.5", 0), level(2, "0.3", 0), level(3, "0.2", 0)]);
    let mut chain = [ancestor(1, 0), ancestor(2, 0), ancestor(3, 0)];
    chain[0].facts.terms.levels = vec![LevelRate {
        level: 1,
        rate: "0.9".parse().expect("a rate"),
    }];
    let decisions = calculate(&plan, &sale(usd(1000)), &chain);
    assert_eq!(amounts(&decisions), [900, 100, 0]);
    assert_eq!(words(&decisions), ["earned", "earned", "cap_reached"]);
}

#[test]
fn by_difference_each_earns_what_is_above_the_best_below_and_the_base_never_falls() {
    let plan = by_difference(&[
        ("bronze", "0.10"),
        ("silver", "0.15"),
        ("gold", "0.20"),
        ("platinum", "0.25"),
    ]);
    let chain: Vec<_> = ["silver", "bronze", "silver", "platinum", "gold"]
        .into_iter()
        .zip(1..)
        .map(|(grade, name)| {
            let mut one = ancestor(name, 0);
            one.facts.terms.grade = Some(grade.to_owned());
            one
        })
        .collect();
    let decisions = calculate(&plan, &sale(usd(10_000)), &chain);
    // A base that fell back to bronze would pay the second silver once more, and platinum from there.
    assert_eq!(amounts(&decisions), [500, 0, 0, 1000, 0]);
    assert_eq!(
        words(&decisions),
        [
            "earned",
            "no_difference",
            "no_difference",
            "earned",
            "no_difference"
        ]
    );
    let passed: Vec<_> = decisions
        .iter()
        .filter_map(|decision| decision.facts.passed)
        .map(|rate| rate.to_string())
        .collect();
    assert_eq!(passed, ["0.1", "0.15", "0.15", "0.15", "0.25"]);
}

#[test]
fn by_difference_whoever_is_skipped_raises_the_base_all_the_same() {
    let plan = by_difference(&[("bronze", "0.1")]);
    let mut chain = [worth(1, "0.2"), worth(2, "0.25")];
    chain[0].facts.inactive = true;
    let decisions = calculate(&plan, &sale(usd(10_000)), &chain);
    assert_eq!(amounts(&decisions), [0, 500]);
}

#[test]
fn by_difference_one_ancestor_earns_at_most_the_plans_most_and_the_depth_ends_it() {
    let mut terms = grades(&[("bronze", "0.1")]);
    terms.rate_max = Some("0.05".parse().expect("a rate"));
    terms.depth = 2;
    let plan = PlanSnapshot {
        rules: Rules::Difference(Difference::new(terms).expect("grades")),
        ..two_levels()
    };
    let chain = [worth(1, "0.2"), worth(2, "0.22"), worth(3, "0.9")];
    assert_eq!(amounts(&calculate(&plan, &sale(usd(10_000)), &chain)), [500, 200]);
}

fn millionths(rate: u32) -> Rate {
    Rate::new(Decimal::new(i64::from(rate), 6)).expect("a rate")
}
