//! The guarded counter under many hands.

use std::sync::Arc;

use chrono::Duration;
use posx_orders::OrderError;
use posx_tiers::{CorrectSupply, StockView, TierError, TierQueries as _};
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::server::superuser;
use crate::world::{World, terms};

async fn stock(world: &World, tier: posx_kernel::TierId) -> StockView {
    let view = world
        .database
        .tier(&world.scope, tier, true, crate::world::noon())
        .await
        .expect("a look");
    view.and_then(|tier| tier.stock).expect("counters")
}

/// Sums of the movements of (supply, reserved, sold).
async fn movements(tier: posx_kernel::TierId) -> (i64, i64, i64) {
    let row = sqlx::query(
        "select sum(supply_delta)::bigint, sum(reserved_delta)::bigint, sum(sold_delta)::bigint
         from stock_movements where tier_id = $1",
    )
    .bind(tier.as_uuid())
    .fetch_one(&mut superuser().await)
    .await
    .expect("sums");
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test(flavor = "multi_thread")]
async fn p07_of_forty_parallel_buyers_of_fifteen_units_exactly_fifteen_succeed_and_all_lapse_again() {
    let world = Arc::new(World::with_pool(8).await);
    let tier = world.tier(15, 100).await;
    let buyer = world.member(None).await;
    let mut buyers = JoinSet::new();
    for _ in 0..40 {
        let (world, buyer) = (world.clone(), buyer.clone());
        buyers.spawn(async move { world.place(&buyer, tier, 1).await });
    }
    let (mut placed, mut refused) = (Vec::new(), 0);
    while let Some(outcome) = buyers.join_next().await {
        match outcome.expect("no panic") {
            Ok(order) => placed.push(order),
            Err(OrderError::SoldOut { .. }) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((placed.len(), refused), (15, 25));
    assert_eq!(
        stock(&world, tier).await,
        StockView {
            supply: 15,
            reserved: 15,
            sold: 0,
            available: 0
        }
    );

    world.pay(&placed.pop().expect("an order")).await;
    world.clock.advance(Duration::minutes(15));
    let due = world
        .orders
        .due_for_expiry(&world.scope, None, 100)
        .await
        .expect("due");
    assert_eq!(due.len(), 14, "the paid one is not due");
    let mut paged = Vec::new();
    loop {
        let page = world
            .orders
            .due_for_expiry(&world.scope, paged.last().copied(), 5)
            .await;
        let page = page.expect("a page");
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, due, "what stays due does not hide what is behind it");
    let mut expiring = JoinSet::new();
    for due in due {
        let world = world.clone();
        expiring.spawn(async move { world.orders.expire(&world.scope, due.order).await });
    }
    for outcome in expiring.join_all().await {
        outcome.expect("expired");
    }
    assert_eq!(
        stock(&world, tier).await,
        StockView {
            supply: 15,
            reserved: 0,
            sold: 1,
            available: 14
        }
    );
    assert_eq!(
        movements(tier).await,
        (15, 0, 1),
        "p09: movements sum to the counters"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p07_one_buyer_in_many_windows_never_holds_more_than_the_tier_allows() {
    let world = Arc::new(World::with_pool(8).await);
    let tier = world.tier_with(100, 100, Some(5)).await;
    let buyer = world.member(None).await;
    let mut windows = JoinSet::new();
    for _ in 0..12 {
        let (world, buyer) = (world.clone(), buyer.clone());
        windows.spawn(async move { world.place(&buyer, tier, 1).await });
    }
    let outcomes = windows.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, Ok(_) | Err(OrderError::OverBuyerLimit { .. }))),
        "{outcomes:?}"
    );
    let other = world.member(None).await;
    world
        .place(&other, tier, 5)
        .await
        .expect("another buyer has a limit of their own");
    assert!(matches!(
        world.place(&other, tier, 6).await,
        Err(OrderError::OverBuyerLimit { .. })
    ));
}

#[tokio::test]
async fn p08_an_edit_of_a_version_that_is_not_the_stored_one_is_refused() {
    let world = World::new().await;
    let tier = world.tier(10, 100).await;
    let edit = |seen| {
        world
            .tiers
            .edit(&world.scope, world.site.currency, tier, seen, terms(200, None))
    };
    assert_eq!(edit(1).await.expect("edited").version, 2);
    assert!(matches!(edit(1).await, Err(TierError::Stale)));
    let (one, other) = tokio::join!(edit(2), edit(2));
    assert!(
        one.is_ok() != other.is_ok(),
        "one of two editors wins: {one:?} {other:?}"
    );
}

#[tokio::test]
async fn p09_a_correction_never_takes_what_is_reserved_or_sold() {
    let world = World::new().await;
    let tier = world.tier(10, 100).await;
    let buyer = world.member(None).await;
    world.place(&buyer, tier, 7).await.expect("placed");
    let correct = |quantity| {
        let wish = CorrectSupply {
            tier,
            quantity,
            reason: "counted again".to_owned(),
        };
        world.tiers.correct_supply(&world.scope, world.actor, wish, None)
    };
    assert!(correct(-4).await.is_err());
    correct(-3).await.expect("down to what is reserved");
    correct(5).await.expect("up");
    assert_eq!(
        stock(&world, tier).await,
        StockView {
            supply: 12,
            reserved: 7,
            sold: 0,
            available: 5
        }
    );
    assert_eq!(movements(tier).await, (12, 7, 0));
}
