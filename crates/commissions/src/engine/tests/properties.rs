use proptest::prelude::*;

use super::*;

prop_compose! {
    /// Up to ten levels whose rates, in millionths, sum to at most one.
    fn plans()(parts in prop::collection::vec(0_u32..=100_000, 1..=10), minima in prop::collection::vec(0_i64..1000, 10)) -> PlanSnapshot {
        snapshot(parts.into_iter().zip(minima).zip(1..).map(|((rate, minimum), number)| {
            PlanLevel { rate: millionths(rate), ..level(number, "0", minimum) }
        }).collect())
    }
}

prop_compose! {
    fn chains()(sales in prop::collection::vec(0_i64..2000, 0..14)) -> Vec<Ancestor> {
        sales.into_iter().zip(1..).map(|(sales, name)| ancestor(name, sales)).collect()
    }
}

prop_compose! {
    /// Rates of everybody's own, caps of some, some of them inactive or standing there twice.
    fn graded()(rates in prop::collection::vec((0_u32..=1_000_000, any::<bool>(), 1_u128..80), 0..70)) -> Vec<Ancestor> {
        rates.into_iter().map(|(rate, inactive, name)| {
            let mut one = ancestor(name, 0);
            one.facts.terms.difference_rate = Some(millionths(rate));
            one.facts.inactive = inactive;
            one
        }).collect()
    }
}

proptest! {
    #[test]
    fn p17_the_same_snapshot_and_facts_give_the_same_decisions(
        plan in plans(), base in 0_i64..=i64::MAX / 2, chain in chains(),
    ) {
        let thawed: PlanSnapshot = serde_json::from_str(&serde_json::to_string(&plan).expect("JSON")).expect("and back");
        let order = sale(usd(base));
        prop_assert_eq!(calculate(&plan, &order, &chain), calculate(&thawed, &order, &chain));
    }

    #[test]
    fn p18_the_shares_are_within_the_rates_but_for_one_rounding_a_level(
        plan in plans(), base in 0_i64..=i64::MAX / 2, chain in chains(),
    ) {
        let decisions = calculate(&plan, &sale(usd(base)), &chain);
        let sum: i64 = amounts(&decisions).iter().sum();
        // Half a minor unit a level is all that rounding can add.
        let ceiling = Decimal::from(base) * plan.rules.rates() + Decimal::new(5, 1) * Decimal::from(decisions.len());
        prop_assert!(Decimal::from(sum) <= ceiling, "{sum} > {ceiling}");
        prop_assert!(sum <= base, "not more than the order");
        prop_assert!(amounts(&decisions).iter().all(|&amount| amount >= 0));
    }

    #[test]
    fn a_share_of_one_rate_is_what_money_says_of_it(rate in 0_u32..=1_000_000, base in 0_i64..=i64::MAX) {
        let plan = snapshot(vec![PlanLevel { rate: millionths(rate), ..level(1, "0", 0) }]);
        let decisions = calculate(&plan, &sale(usd(base)), &[ancestor(1, 0)]);
        prop_assert_eq!(decisions[0].working.rounded, usd(base).share(millionths(rate)));
    }

    #[test]
    fn p18_of_many_lines_the_share_is_the_exact_sum_rounded_once(
        amounts_of in prop::collection::vec(0_i64..1_000_000_000_000, 1..8), rates in prop::collection::vec(0_u32..=1_000_000, 8),
        part in 0_u32..=1_000_000,
    ) {
        let lines: Vec<_> = amounts_of.iter().zip(0..).map(|(amount, name)| SaleLine { tier: tier(name), amount: usd(*amount) }).collect();
        let total = usd(amounts_of.iter().sum()).share(millionths(part));
        let mut one = level(1, "0", 0);
        one.tiers = rates.iter().zip(0..).map(|(rate, name)| TierRate { tier: tier(name), rate: millionths(*rate) }).collect();
        let decided = calculate(&snapshot(vec![one]), &Sale { lines, ..sale(total) }, &[ancestor(1, 0)]).remove(0);
        let parts = &decided.working.parts;
        prop_assert_eq!(parts.iter().map(|part| part.base.minor()).sum::<i64>(), total.minor());
        let exact: Decimal = parts.iter().map(|part| Decimal::from(part.base.minor()) * part.rate.as_decimal()).sum();
        prop_assert_eq!(Decimal::from(decided.working.rounded.minor()), exact.round());
    }

    #[test]
    fn p19_by_difference_the_rates_sum_to_at_most_the_best_less_the_buyers_and_the_base_never_falls(
        chain in graded(), buyer in 0_u32..=1_000_000, base in 0_i64..=i64::MAX / 2, most in prop::option::of(0_u32..=1_000_000),
    ) {
        let mut terms = grades(&[("bronze", "0.1")]);
        terms.rate_max = most.map(millionths);
        let plan = PlanSnapshot { rules: Rules::Difference(Difference::new(terms).expect("grades")), ..two_levels() };
        let mut order = sale(usd(base));
        order.buyer.difference_rate = Some(millionths(buyer));
        let decisions = calculate(&plan, &order, &chain);
        prop_assert_eq!(decisions.len(), chain.len().min(64));
        let reached = &chain[..decisions.len()];
        let best = reached.iter().filter_map(|one| one.facts.terms.difference_rate).fold(millionths(buyer), Rate::max);
        let paid: Decimal = decisions.iter().filter(|decision| matches!(decision.outcome, Outcome::Earned { .. }))
            .map(|decision| decision.working.rate(order.total).as_decimal()).sum();
        prop_assert!(paid <= best.as_decimal() - millionths(buyer).as_decimal(), "{paid} of {best}");
        let bases: Vec<_> = decisions.iter().filter_map(|decision| decision.facts.passed).collect();
        prop_assert!(bases.is_sorted());
        prop_assert!(amounts(&decisions).iter().sum::<i64>() <= base);
        // Counted again from what is stored, with the buyer's rate read back from the nearest ancestor.
        let again: Vec<_> = decisions.iter().map(|decision| {
            let facts = serde_json::from_str(&serde_json::to_string(&decision.facts).expect("JSON")).expect("and back");
            Ancestor { agent: decision.agent, sales: decision.sales, facts }
        }).collect();
        prop_assert_eq!(calculate(&plan, &order, &again), decisions);
    }

    #[test]
    fn p20_nobody_beyond_the_plan_is_decided_upon(plan in plans(), base in 0_i64..1_000_000, chain in chains()) {
        let decisions = calculate(&plan, &sale(usd(base)), &chain);
        prop_assert_eq!(decisions.len(), chain.len().min(usize::from(plan.rules.depth())));
        for (decision, ancestor) in decisions.iter().zip(&chain) {
            prop_assert_eq!(decision.agent, ancestor.agent);
        }
    }
}
