use futures::future::join_all;
use posx_kernel::Refusal;
use posx_orders::{Closed, OrderError, Placed};
use posx_tiers::TierQueries;

use crate::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p07_many_parallel_buyers_of_fewer_units_get_exactly_the_units() {
    let world = World::new("USD").await;
    let tier = world.tier(10_000, 7).await;
    let buyers = join_all((0..40).map(|_| world.join(None))).await;
    let tries = join_all(
        buyers
            .iter()
            .map(|buyer| async { world.place(&world.wish(buyer.party, &tier, 1)).await }),
    )
    .await;
    let mut placed = Vec::new();
    for outcome in tries {
        match outcome {
            Ok(Placed::New { order, .. }) => placed.push(order),
            Ok(Placed::Replayed(_)) => panic!("no key was given"),
            Err(error) => assert_eq!(error.code(), "tier_sold_out", "{error}"),
        }
    }
    assert_eq!(placed.len(), 7);
    let seen = world
        .database
        .tier(&world.scope, tier.id, true, world.now())
        .await
        .expect("read")
        .expect("there");
    let stock = seen.stock.expect("staff see the counters");
    assert_eq!((stock.reserved, stock.sold, stock.available), (7, 0, 0));

    world.clock.advance(chrono::Duration::minutes(16));
    for order in placed {
        assert_eq!(
            world
                .orders
                .expire(&world.scope, order.id)
                .await
                .expect("expired"),
            Closed::Now
        );
    }
    let seen = world
        .database
        .tier(&world.scope, tier.id, true, world.now())
        .await
        .expect("read")
        .expect("there");
    assert_eq!(
        seen.stock.map(|stock| stock.available),
        Some(7),
        "all of it is back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p08_an_edit_with_a_stale_version_is_refused() {
    let world = World::new("USD").await;
    let tier = world.tier(10_000, 7).await;
    let both =
        join_all([true, false].map(|active| world.tiers.set_active(&world.scope, tier.id, 1, active))).await;
    assert_eq!(
        both.iter().filter(|outcome| outcome.is_ok()).count(),
        1,
        "one of two editors wins"
    );
    let refused = both.into_iter().find_map(Result::err).expect("the other is told");
    assert_eq!(refused.code(), "version_stale");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p10_the_same_key_at_the_same_moment_makes_one_order() {
    let world = World::new("USD").await;
    let tier = world.tier(10_000, 100).await;
    let buyer = world.join(None).await;
    let call = posx_kernel::IdempotentCall {
        actor: buyer.identity.to_string(),
        operation: "POST /api/v1/orders",
        key: "one".to_owned(),
        fingerprint: [7; 32],
        at: world.now(),
    };
    let tries = join_all((0..12).map(|_| async {
        let mut wish = world.wish(buyer.party, &tier, 1);
        wish.call = Some(call.clone());
        world.place(&wish).await
    }))
    .await;
    let mut made = 0;
    for outcome in tries {
        match outcome {
            Ok(Placed::New { .. }) => made += 1,
            Ok(Placed::Replayed(_)) | Err(OrderError::KeyInProgress) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(made, 1);
    let mut wish = world.wish(buyer.party, &tier, 1);
    wish.call = Some(posx_kernel::IdempotentCall {
        fingerprint: [8; 32],
        ..call
    });
    assert!(matches!(world.place(&wish).await, Err(OrderError::KeyReused)));
}
