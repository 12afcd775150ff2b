//! Whose limit holds, and when a day of the site begins.

use chrono::NaiveDate;
use posx_assistant::testing::{reservation, spent};
use posx_assistant::{
    Asker, BudgetKey, BudgetQueries as _, BudgetScope, BudgetView, Limits, Period, Purpose, Quota as _,
    QuotaError, Reservation,
};
use posx_kernel::Timestamp;
use posx_postgres::PgQuota;

use super::{call, limit, micros, number};
use crate::server::superuser;
use crate::world::{World, noon};

/// Left of the budget that refused it.
fn refused(outcome: Result<(), QuotaError>) -> Option<u64> {
    match outcome {
        Ok(()) => None,
        Err(QuotaError::UsedUp { left, .. }) => Some(left.get()),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn the_operators_limit_is_a_ceiling_while_the_operator_pays() {
    let world = World::new().await;
    let asker = Asker::Member(world.member(None).await.identity);
    let operators = Limits::new(vec![limit(BudgetScope::Site, Period::Month, 100)]).expect("limits");
    let quota = PgQuota::new(world.database.clone(), operators);
    let wish = |cost, operator_pays| Reservation {
        operator_pays,
        ..reservation(call(), asker, Purpose::StaffChat, cost, noon())
    };
    let month = async || -> BudgetView {
        let budgets = quota.budgets(&world.scope, noon()).await.expect("a read");
        let is_month = |view: &BudgetView| (view.scope, view.period) == (BudgetScope::Site, Period::Month);
        budgets.into_iter().find(is_month).expect("the site's month")
    };
    world
        .limits(vec![limit(BudgetScope::Site, Period::Month, 1_000)])
        .await;
    let view = month().await;
    assert_eq!((view.limit_micros, view.own), (Some(micros(100)), false));
    let of_operator = quota.reserve(&world.scope, &wish(101, true)).await;
    assert_eq!(refused(of_operator), Some(100));
    let of_site = wish(150, false);
    assert_eq!(refused(quota.reserve(&world.scope, &of_site).await), None);
    quota
        .settle(&world.scope, of_site.call, &spent(150, noon()))
        .await
        .expect("settled");
    // Both are counted in one budget.
    let of_operator = quota.reserve(&world.scope, &wish(1, true)).await;
    assert_eq!(refused(of_operator), Some(0));
    let of_site = quota.reserve(&world.scope, &wish(851, false)).await;
    assert_eq!(refused(of_site), Some(850));
    // The next month: of the smaller limit is told once, however often calls come that it is not for.
    let next = noon() + chrono::TimeDelta::days(31);
    for (cost, operator_pays) in [(90, true), (1, false), (1, true), (1, false), (1, true)] {
        let wish = Reservation {
            made_at: next,
            expires_at: next + chrono::TimeDelta::minutes(15),
            ..wish(cost, operator_pays)
        };
        assert_eq!(refused(quota.reserve(&world.scope, &wish).await), None);
        let settled = quota.settle(&world.scope, wish.call, &spent(cost, next)).await;
        settled.expect("settled");
    }
    let warnings = "select count(*) from events where site_id = $1 and kind = 'model_budget.warned'";
    assert_eq!(number(warnings, &world).await, 1);
    world
        .limits(vec![limit(BudgetScope::Site, Period::Month, 40)])
        .await;
    let view = month().await;
    assert_eq!((view.limit_micros, view.own), (Some(micros(40)), true));
}

#[tokio::test]
async fn a_call_across_midnight_is_of_the_day_of_the_site_on_which_it_was_reserved() {
    let world = World::new().await;
    let asker = Asker::Member(world.member(None).await.identity);
    let moved = "update sites set time_zone = 'Asia/Kuwait' where id = $1";
    sqlx::query(moved)
        .bind(world.site.id.as_uuid())
        .execute(&mut superuser().await)
        .await
        .expect("moved");
    world
        .limits(vec![limit(BudgetScope::Site, Period::Day, 10)])
        .await;
    let quota = world.quota();
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let wish = |text| reservation(call(), asker, Purpose::StaffChat, 10, at(text));
    let before = wish("2026-06-30T20:59:59Z");
    quota.reserve(&world.scope, &before).await.expect("held");
    match quota.reserve(&world.scope, &wish("2026-06-30T20:59:59Z")).await {
        Err(QuotaError::UsedUp { resets_at, .. }) => assert_eq!(resets_at, at("2026-06-30T21:00:00Z")),
        other => panic!("{other:?}"),
    }
    let after = wish("2026-06-30T21:00:00Z");
    quota.reserve(&world.scope, &after).await.expect("a new day");
    let ended = spent(7, at("2026-06-30T21:00:30Z"));
    quota
        .settle(&world.scope, before.call, &ended)
        .await
        .expect("settled");
    let counted = async |period, day: u32, month: u32| {
        let day = NaiveDate::from_ymd_opt(2026, month, day).expect("a day");
        let keys = BudgetKey::of_call(Purpose::StaffChat, asker, day);
        let mut keys = keys.into_iter();
        let key = keys.find(|key| (key.scope, key.period) == (BudgetScope::Site, period));
        let counter = super::counter(&world, &key.expect("the site's")).await;
        (counter.reserved.get(), counter.spent.get())
    };
    // It is a new month as well.
    for period in Period::ALL {
        let (day, next) = (if period == Period::Day { 30 } else { 1 }, 1);
        assert_eq!(counted(period, day, 6).await, (0, 7), "{period:?}");
        assert_eq!(counted(period, next, 7).await, (10, 0), "{period:?}");
    }
}
