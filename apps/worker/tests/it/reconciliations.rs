//! The nightly comparison of the books with the providers' accounts.

use chrono::TimeDelta;
use posx_kernel::{Clock as _, PageRequest};
use posx_ledger::reconcile::{Day, Line, Movement, Provider, ReconciliationQueries as _, ReconciliationView};
use posx_worker::{Tick, drain_site, reconcile_day, tick_site};

use crate::world::World;

impl World {
    async fn runs_after_a_tick(&self) -> Vec<ReconciliationView> {
        tick_site(&self.services, self.site.id, Tick::Statements)
            .await
            .unwrap();
        let drained = drain_site(&self.services, self.site.id).await.unwrap();
        assert!(drained.failures.is_empty(), "{drained:?}");
        let page = PageRequest::new(None, None);
        let found = self
            .services
            .database
            .reconciliations(&self.scope, None, page)
            .await;
        found.unwrap().items
    }
}

#[tokio::test]
async fn s49_a_day_is_compared_once_two_hours_after_it_is_over_and_missed_days_are_made_up_for() {
    let world = World::shared().await;
    let zone = world.site.time_zone;
    let next = |now: chrono::DateTime<chrono::Utc>| {
        let today = now.with_timezone(&zone).date_naive();
        Day::of(today + chrono::Days::new(1), zone).unwrap()
    };
    let day = next(world.clock.now());
    world
        .clock
        .advance(day.from + TimeDelta::hours(9) - world.clock.now());
    let (tier, buyer) = (world.tier().await, world.joins("carol", None).await);
    let order = world.order(&buyer, tier).await;
    let intent = world.checkout(&order).await.intent;
    world.gateway.pays(&intent, order.total);
    world
        .services
        .orders
        .apply_intent(&world.scope, &intent)
        .await
        .unwrap();
    let (at, minor) = (world.clock.now(), order.total.minor());
    world.lines.add(Line::of_balance(
        "txn_1",
        Movement::Payment,
        &intent.0,
        at,
        "USD",
        (minor, 610),
    ));

    let due = day.until + TimeDelta::hours(2);
    world
        .clock
        .advance(due - world.clock.now() - TimeDelta::minutes(1));
    let before = world.runs_after_a_tick().await;
    assert_eq!(before.len(), 1, "the first one ever is of the day before");
    world.clock.advance(TimeDelta::minutes(1));
    let runs = world.runs_after_a_tick().await;
    let run = &runs[0];
    assert_eq!(
        (runs.len(), run.day, run.provider),
        (2, day.date, Provider::Stripe)
    );
    assert_eq!(
        (run.lines, run.matched, run.booked, run.unexplained),
        (2, 2, 1, 0)
    );
    assert_eq!(
        world.runs_after_a_tick().await,
        runs,
        "the custodian has no account of the site's"
    );

    // Of three nights without a worker the last day is compared by hand: the other two are made up for.
    world.clock.advance(TimeDelta::days(3));
    let last = day.date + chrono::Days::new(3);
    let by_hand = reconcile_day(&world.services, &world.site, Provider::Stripe, last).await;
    assert_eq!(by_hand.unwrap().run.day, last);
    let runs = world.runs_after_a_tick().await;
    let mut days: Vec<_> = runs.iter().map(|run| run.day).collect();
    days.sort_unstable();
    let all: Vec<_> = (0..5)
        .map(|number| day.date.pred_opt().unwrap() + chrono::Days::new(number))
        .collect();
    assert_eq!(days, all);
    // By command it is compared again.
    let again = reconcile_day(&world.services, &world.site, Provider::Stripe, day.date).await;
    let again = again.unwrap().run;
    assert_eq!(
        (again.lines, again.matched, again.booked, again.unexplained),
        (2, 2, 0, 0)
    );
}
