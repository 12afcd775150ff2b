//! Windows, terms and caps on the in-memory store.

use super::*;
use crate::testing::{by_difference, plans_contract};
use crate::{Limits, NewTerms, PlanSnapshot, Schedule, Terms};

#[tokio::test]
async fn the_fake_passes_the_plans_contract() {
    let shop = shop();
    let given = given(&shop);
    shop.db.arrange(&shop.scope, |world| {
        world.parties.extend([ALICE, BOB, CAROL]);
    });
    plans_contract(Arc::new(shop.db.clone()), &given).await;
}

impl Shop {
    fn paid_by(&self, plan: &PlanSnapshot, name: u128, buyer: PartyId, minor: i64, day: i64) -> OrderId {
        let order = self.paid(name, buyer, minor, day);
        self.db.arrange(&self.scope, |world| {
            if let Some(order) = world.orders.get_mut(&order) {
                order.snapshot = Some(plan.clone());
            }
        });
        order
    }

    async fn grade(&self, agent: PartyId, grade: &str) {
        let wish = NewTerms {
            terms: Terms {
                grade: Some(grade.to_owned()),
                ..Terms::default()
            },
            effective_from: None,
        };
        let recorded = self.service.record_terms(&self.scope, agent, wish, None).await;
        recorded.expect("recorded");
    }
}

#[tokio::test]
async fn an_agents_month_is_never_over_its_cap_whatever_the_number_of_orders() {
    let shop = shop();
    shop.bound(CAROL, BOB, 0);
    let mut one = level(1, "0.1", 0);
    one.limits = Limits {
        cap_per_month: Some(usd(2500)),
        ..Limits::default()
    };
    let plan = snapshot(vec![one]);
    for (name, day) in [(1, 1), (2, 2), (3, 3), (4, 4), (5, 40)] {
        let order = shop.paid_by(&plan, name, CAROL, 10_000, day);
        shop.accrue(order).await;
    }
    let world = shop.db.world(&shop.scope);
    let outcome = |name: u128| world.decisions[&(order_id(name), 1)].outcome.clone();
    let amounts: Vec<_> = (1..=5)
        .map(|name| match outcome(name) {
            Outcome::Earned { amount, .. } => amount.minor(),
            Outcome::Skipped(reason) => {
                assert_eq!(reason.as_str(), "cap_reached");
                0
            }
        })
        .collect();
    assert_eq!(amounts, [1000, 1000, 500, 0, 1000]);
}

#[tokio::test]
async fn a_grade_counts_for_what_is_paid_after_it_was_given_and_not_before() {
    let shop = shop();
    shop.family();
    shop.db.arrange(&shop.scope, |world| {
        world.parties.extend([ALICE, BOB, CAROL]);
    });
    let plan = by_difference(&[("bronze", "0.1"), ("silver", "0.15"), ("gold", "0.2")]);
    let before = shop.paid_by(&plan, 1, CAROL, 10_000, 0);
    shop.clock.advance(chrono::Duration::days(1));
    shop.grade(ALICE, "gold").await;
    shop.grade(BOB, "silver").await;
    let after = shop.paid_by(&plan, 2, CAROL, 10_000, 2);
    for order in [after, before] {
        shop.accrue(order).await;
    }
    assert_eq!(shop.shares(), [(ALICE, 500), (BOB, 500)]);
    let world = shop.db.world(&shop.scope);
    assert_eq!(
        world.decisions[&(before, 1)].outcome,
        Outcome::Skipped(SkipReason::NoDifference {
            own: "0.1".parse().expect("a rate"),
            passed: "0.1".parse().expect("a rate")
        })
    );
    assert!(shop.event_kinds().contains(&"agent_terms.recorded"));
}

#[tokio::test]
async fn a_suspended_agent_earns_nothing_new() {
    let shop = shop();
    shop.family();
    shop.db.arrange(&shop.scope, |world| {
        world.inactive.insert(BOB);
    });
    let order = shop.paid(1, CAROL, 10_000, 0);
    shop.accrue(order).await;
    assert_eq!(shop.shares(), [(ALICE, 400)]);
    let world = shop.db.world(&shop.scope);
    assert_eq!(
        world.decisions[&(order, 1)].outcome,
        Outcome::Skipped(SkipReason::InactiveAgent)
    );
}

#[tokio::test]
async fn what_went_back_is_not_sales() {
    let shop = shop();
    shop.family();
    let plan = snapshot(vec![level(1, "0.1", 6000)]);
    let first = shop.paid(1, CAROL, 10_000, 0);
    shop.db.arrange(&shop.scope, |world| {
        if let Some(order) = world.orders.get_mut(&first) {
            order.returned = usd(4001);
        }
    });
    let second = shop.paid_by(&plan, 2, CAROL, 10_000, 1);
    shop.accrue(second).await;
    let world = shop.db.world(&shop.scope);
    assert_eq!(world.decisions[&(second, 1)].sales, usd(5999));
    assert!(shop.shares().is_empty());
}

#[tokio::test]
async fn a_plan_has_levels_or_grades_and_activating_ending_and_scheduling_are_events() {
    let shop = shop();
    let wish = |levels, difference| NewPlan {
        name: "Solar".to_owned(),
        levels,
        difference,
        hold_days: 7,
    };
    let grades = || Some(crate::testing::grades(&[("bronze", "0.1")]));
    let usd = usd(0).currency();
    let make = async |wish| shop.service.create_plan(&shop.scope, usd, wish, None).await;
    let both = make(wish(vec![level(1, "0.1", 0)], grades())).await;
    assert!(matches!(both, Err(PlanError::Mode)), "{both:?}");
    let neither = make(wish(vec![], None)).await;
    assert!(matches!(neither, Err(PlanError::Levels)), "{neither:?}");
    let plan = make(wish(vec![], grades())).await.expect("by difference").id;
    let later = Schedule {
        from: at(1),
        until: None,
    };
    let scheduled = shop.service.schedule_plan(&shop.scope, plan, later, None).await;
    scheduled.expect("scheduled");
    let activated = shop.service.activate_plan(&shop.scope, plan, None).await;
    activated.expect("at once instead");
    let ended = shop.service.end_plan(&shop.scope, plan, None).await;
    ended.expect("ended");
    assert_eq!(
        shop.event_kinds(),
        [
            "commission_plan.created",
            "commission_plan.scheduled",
            "commission_plan.activated",
            "commission_plan.ended"
        ]
    );
}
