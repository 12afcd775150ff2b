//! Reports agree with the orders and with the books.

use chrono::{Duration, NaiveDate};
use posx_kernel::Money;
use posx_postgres::{AnomalyKind, AnomalyPlace, AnomalyRow, LeadersBy, LeadersOf, Period};
use posx_tenancy::Member;
use sqlx::Row as _;

use crate::server::{by_hand, superuser};
use crate::world::{World, usd};

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

impl World {
    fn period(&self, from: &str, until: &str, zone: chrono_tz::Tz) -> Period {
        Period {
            from: day(from),
            until: day(until),
            time_zone: zone,
            currency: self.site.currency,
        }
    }

    async fn balance(&self, account: &str) -> i64 {
        let sum = sqlx::query(
            "select coalesce(sum(amount), 0)::bigint from postings where site_id = $1 and account like $2 and unit = 'USD'",
        )
        .bind(self.site.id.as_uuid())
        .bind(account)
        .fetch_one(&mut superuser().await)
        .await
        .expect("a sum");
        sum.get(0)
    }

    /// An order of both tiers that is paid.
    async fn sells(
        &self,
        buyer: &Member,
        tiers: [posx_kernel::TierId; 2],
        code: Option<&str>,
    ) -> posx_orders::Order {
        let mut wish = self.wish(buyer, tiers[0], 2);
        wish.lines.push(posx_orders::WishedLine {
            tier: tiers[1],
            quantity: 1,
        });
        wish.promo = code.map(|code| posx_orders::PromoWish {
            code: code.to_owned(),
            required: true,
        });
        let placed = self.place_wish(&wish).await.expect("placed");
        let posx_orders::Placed::New { order, .. } = placed else {
            panic!("no key was given")
        };
        self.pay(&order).await;
        *order
    }
}

#[tokio::test]
async fn sales_of_days_and_tiers_sum_to_the_orders_and_to_the_books() {
    let world = World::new().await;
    let tiers = [world.tier(100, 3_333).await, world.tier(100, 1_001).await];
    world
        .promo_code("THIRD", |terms| {
            terms.discount = Some(posx_tiers::Discount::Rate("0.333333".parse().expect("a rate")));
        })
        .await;
    let (alice, bob) = (world.member(None).await, world.member(None).await);
    let mut orders = Vec::new();
    // noon() is in June; the second and third are paid on the next days.
    for (buyer, code) in [(&alice, Some("third")), (&bob, None), (&alice, Some("third"))] {
        orders.push(world.sells(buyer, tiers, code).await);
        world.clock.advance(Duration::days(1));
    }
    sqlx::query("update orders set returned = 1717 where id = $1")
        .bind(orders[0].id.as_uuid())
        .execute(&mut by_hand().await)
        .await
        .expect("written");
    let period = world.period("2026-06-01", "2026-06-04", chrono_tz::UTC);
    let rows = world
        .database
        .sales_by_day_and_tier(&world.scope, &period)
        .await
        .expect("a report");
    assert_eq!(rows.len(), 6, "two tiers on three days");
    let of_first: Vec<_> = rows.iter().filter(|row| row.day == day("2026-06-01")).collect();
    let sum = |part: fn(&posx_postgres::SalesRow) -> Money| -> i64 {
        of_first.iter().map(|row| part(row).minor()).sum()
    };
    assert_eq!(sum(|row| row.gross), orders[0].subtotal.minor());
    assert_eq!(
        sum(|row| row.sales),
        orders[0].total.minor(),
        "the lines of an order sum to it"
    );
    assert_eq!(sum(|row| row.returned), 1717);
    let sales: i64 = rows.iter().map(|row| row.sales.minor()).sum();
    assert_eq!(sales, -world.balance("sales").await, "as booked");
    assert!(
        rows.iter()
            .all(|row| row.sales.minor() - row.returned.minor() == row.net.minor())
    );
    let double = of_first
        .iter()
        .find(|row| row.tier_id == tiers[0])
        .expect("its row");
    assert_eq!((double.orders, double.units), (1, 2));

    let (one, rest) = world.period("2026-06-01", "2026-12-31", chrono_tz::UTC).step();
    assert_eq!(
        (one.until, rest.map(|rest| rest.from)),
        (day("2026-07-02"), Some(day("2026-07-02")))
    );
    assert_eq!(period.step(), (period, None));
}

#[tokio::test]
async fn a_day_is_the_sites_own() {
    let world = World::new().await;
    let tiers = [world.tier(9, 1_000).await, world.tier(9, 1_000).await];
    let buyer = world.member(None).await;
    // 23:30 in London is past midnight in Kuwait.
    world.clock.advance(Duration::minutes(11 * 60 - 30));
    world.sells(&buyer, tiers, None).await;
    let days = async |zone| {
        let period = world.period("2026-06-01", "2026-06-03", zone);
        let rows = world
            .database
            .sales_by_day_and_tier(&world.scope, &period)
            .await
            .expect("a report");
        rows.iter().map(|row| row.day.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(days(chrono_tz::Europe::London).await, ["2026-06-01"; 2]);
    assert_eq!(days(chrono_tz::Asia::Kuwait).await, ["2026-06-02"; 2]);
    let before = world.period("2026-05-01", "2026-06-02", chrono_tz::Asia::Kuwait);
    let rows = world
        .database
        .sales_by_day_and_tier(&world.scope, &before)
        .await
        .expect("a report");
    assert!(rows.is_empty());
}

#[tokio::test]
async fn the_best_stand_first_and_equals_share_a_rank() {
    let world = World::new().await;
    let tiers = [world.tier(99, 5_000).await, world.tier(99, 1_000).await];
    let (alice, bob) = (world.member(None).await, world.member(None).await);
    for buyer in [&alice, &bob] {
        world.sells(buyer, tiers, None).await;
    }
    let period = world.period("2026-06-01", "2026-06-02", chrono_tz::UTC);
    let list = async |of, by| {
        let rows = world
            .database
            .ranked_sales(&world.scope, &period, (of, by), 10)
            .await;
        rows.expect("a list")
    };
    let of_tiers = list(LeadersOf::Tiers, LeadersBy::Net).await;
    let ids: Vec<_> = of_tiers
        .iter()
        .map(|row| (row.rank, row.id.clone(), row.net))
        .collect();
    assert_eq!(
        ids,
        [
            (1, tiers[0].to_string(), usd(20_000)),
            (2, tiers[1].to_string(), usd(2_000))
        ]
    );
    let by_units = list(LeadersOf::Tiers, LeadersBy::Units).await;
    assert_eq!((by_units[0].units, by_units[1].units), (4, 2));
    let buyers = list(LeadersOf::Buyers, LeadersBy::Orders).await;
    assert_eq!(buyers.iter().map(|row| row.rank).collect::<Vec<_>>(), [1, 1]);
    let named: Vec<_> = buyers.iter().map(|row| row.id.clone()).collect();
    assert!(named.contains(&alice.party.to_string()) && named.contains(&bob.party.to_string()));
}

#[tokio::test]
async fn p21_commissions_by_state_and_level_are_what_is_booked() {
    let world = World::lived_in().await;
    let rows = world
        .database
        .commissions_by_state_and_level(&world.scope)
        .await
        .expect("a report");
    assert!(!rows.is_empty());
    assert!(
        rows.iter().any(|row| row.reversed.is_positive()),
        "a dollar went back: {rows:?}"
    );
    assert!(rows.iter().all(|row| row.difference.is_zero()), "{rows:?}");
    assert!(rows.iter().any(|row| row.booked.is_positive()), "{rows:?}");
    // The database keeps the sums together; only a hand beside it parts them.
    let mut hand = by_hand().await;
    sqlx::query("update commissions set amount = amount + 1 where site_id = $1")
        .bind(world.site.id.as_uuid())
        .execute(&mut hand)
        .await
        .expect("written");
    let rows = world
        .database
        .commissions_by_state_and_level(&world.scope)
        .await
        .expect("a report");
    let off: i64 = rows.iter().map(|row| row.difference.minor()).sum();
    assert_eq!(off, rows.iter().map(|row| row.commissions).sum::<i64>());
}

async fn all_anomalies(world: &World, now: posx_kernel::Timestamp) -> Vec<AnomalyRow> {
    let (mut found, mut place) = (Vec::new(), Some(AnomalyPlace::START));
    while let Some(here) = place {
        let (rows, next) = world
            .database
            .anomalies(&world.scope, now, here)
            .await
            .expect("a step");
        found.extend(rows);
        place = next;
    }
    found
}

#[tokio::test]
async fn what_stands_still_too_long_is_listed_and_what_moves_is_not() {
    let world = World::lived_in().await;
    let now = posx_kernel::Clock::now(world.clock.as_ref());
    let kinds = |rows: &[AnomalyRow]| rows.iter().map(|row| row.kind).collect::<Vec<_>>();
    let young = kinds(&all_anomalies(&world, now + Duration::hours(1)).await);
    assert!(
        young.contains(&AnomalyKind::OrderNeedsPerson),
        "it was paid twice: {young:?}"
    );
    for kind in [
        AnomalyKind::CommissionStuck,
        AnomalyKind::AllocationStuck,
        AnomalyKind::AgentIdle,
    ] {
        assert!(!young.contains(&kind), "{kind:?}");
    }
    let old = all_anomalies(&world, now + Duration::days(200)).await;
    for kind in [
        AnomalyKind::CommissionStuck,
        AnomalyKind::AllocationStuck,
        AnomalyKind::AgentIdle,
    ] {
        assert!(kinds(&old).contains(&kind), "{kind:?}: {old:?}");
    }
    let mut sorted = old.clone();
    sorted.sort_by_key(|row| {
        (
            AnomalyKind::ALL.iter().position(|kind| *kind == row.kind),
            row.since,
        )
    });
    assert_eq!(old.len(), sorted.len());
    assert_eq!(kinds(&old), kinds(&sorted), "kind by kind");
    let elsewhere = World::new().await;
    assert!(
        all_anomalies(&elsewhere, now + Duration::days(200))
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn an_overview_counts_the_period_and_what_is_open_now() {
    let world = World::new().await;
    let tiers = [world.tier(99, 5_000).await, world.tier(99, 1_000).await];
    let buyer = world.member(None).await;
    world.sells(&buyer, tiers, None).await;
    world.place(&buyer, tiers[0], 1).await.expect("placed");
    let figures = async |from, until| {
        let period = world.period(from, until, chrono_tz::UTC);
        let rows = world
            .database
            .overview(&world.scope, &period)
            .await
            .expect("an overview");
        move |metric: &str| {
            let row = rows.iter().find(|row| row.metric == metric).expect("the figure");
            format!("{} {}", row.value, row.unit)
        }
    };
    let june = figures("2026-06-01", "2026-06-02").await;
    for (metric, expected) in [
        ("orders_placed", "2 count"),
        ("orders_paid", "1 count"),
        ("buyers", "1 count"),
        ("sales", "110.00 USD"),
        ("net", "110.00 USD"),
        ("orders_open", "1 count"),
        ("disputes_open", "0 count"),
    ] {
        assert_eq!(june(metric), expected, "{metric}");
    }
    let july = figures("2026-07-01", "2026-08-01").await;
    assert_eq!(
        (july("orders_placed"), july("sales")),
        ("0 count".to_owned(), "0.00 USD".to_owned())
    );
    assert_eq!(july("orders_open"), "1 count", "open is open now");
}
