//! One key, one effect, one answer.

use std::sync::Arc;

use chrono::Duration;
use posx_kernel::{Begin, Claim, KeyRefusal, PageRequest, StoredAnswer};
use posx_orders::{OrderError, OrderFilter, OrderQueries as _, OrdersTx, Placed};
use tokio::task::JoinSet;

use crate::world::{World, noon};

async fn orders(world: &World) -> usize {
    let page = world
        .database
        .list(&world.scope, OrderFilter::default(), PageRequest::new(None, None))
        .await;
    page.expect("a list").items.len()
}

async fn begin(world: &World) -> Box<dyn OrdersTx> {
    world.database.begin(&world.scope).await.expect("a transaction")
}

#[tokio::test(flavor = "multi_thread")]
async fn p10_twenty_at_once_with_one_key_make_one_order_and_hear_one_answer() {
    let world = Arc::new(World::with_pool(8).await);
    let (tier, buyer) = (world.tier(100, 100).await, world.member(None).await);
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let (world, buyer) = (world.clone(), buyer.clone());
        calls.spawn(async move { world.place_with(&buyer, tier, 1, Some(World::call("k", 1))).await });
    }
    let (mut made, mut replayed, mut busy) = (Vec::new(), Vec::new(), 0);
    for outcome in calls.join_all().await {
        match outcome {
            Ok(Placed::New { answer, .. }) => made.push(answer),
            Ok(Placed::Replayed(answer)) => replayed.push(answer),
            Err(OrderError::Key(KeyRefusal::InProgress)) => busy += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(made.len(), 1, "{} replayed, {busy} told to wait", replayed.len());
    assert!(replayed.iter().all(|answer| *answer == made[0]));
    assert_eq!(orders(&world).await, 1);
    let late = world
        .place_with(&buyer, tier, 1, Some(World::call("k", 1)))
        .await
        .expect("a replay");
    assert!(matches!(late, Placed::Replayed(answer) if answer == made[0]));
    let other_body = world.place_with(&buyer, tier, 2, Some(World::call("k", 2))).await;
    assert!(matches!(other_body, Err(OrderError::Key(KeyRefusal::Reused))));
    assert_eq!(orders(&world).await, 1);
}

#[tokio::test]
async fn p06_another_site_caller_or_operation_has_keys_of_its_own() {
    let (here, there) = (World::new().await, World::new().await);
    let (call, answer) = (
        World::call("k", 1),
        StoredAnswer {
            status: 201,
            body: b"{\"a\": 1}".to_vec(),
        },
    );
    let mut tx = begin(&here).await;
    assert_eq!(tx.idempotency().claim(&call).await.expect("claimed"), Claim::New);
    tx.idempotency().store(&call, &answer).await.expect("stored");
    tx.commit().await.expect("committed");

    let mut tx = begin(&here).await;
    assert_eq!(
        tx.idempotency().claim(&call).await.expect("claimed"),
        Claim::Replay(answer)
    );
    let mut other = call.clone();
    other.actor = "idn_2".to_owned();
    assert_eq!(tx.idempotency().claim(&other).await.expect("claimed"), Claim::New);
    other = call.clone();
    other.operation = "POST /refunds";
    assert_eq!(tx.idempotency().claim(&other).await.expect("claimed"), Claim::New);
    let mut tx = begin(&there).await;
    assert_eq!(tx.idempotency().claim(&call).await.expect("claimed"), Claim::New);
}

#[tokio::test]
async fn p10_a_call_that_still_runs_is_in_progress_and_one_that_failed_leaves_its_key_free() {
    let world = World::new().await;
    let call = World::call("k", 1);
    let mut first = begin(&world).await;
    assert_eq!(
        first.idempotency().claim(&call).await.expect("claimed"),
        Claim::New
    );
    let mut second = begin(&world).await;
    assert_eq!(
        second.idempotency().claim(&call).await.expect("claimed"),
        Claim::InProgress
    );
    drop(second);
    drop(first);
    // The rollback of a dropped transaction reaches the server a moment later.
    for _ in 0..100 {
        let mut third = begin(&world).await;
        if third.idempotency().claim(&call).await.expect("claimed") == Claim::New {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the key is still taken");
}

#[tokio::test]
async fn old_keys_are_deleted_by_age() {
    let world = World::new().await;
    let (call, answer) = (
        World::call("k", 1),
        StoredAnswer {
            status: 200,
            body: Vec::new(),
        },
    );
    let mut tx = begin(&world).await;
    tx.idempotency().claim(&call).await.expect("claimed");
    tx.idempotency().store(&call, &answer).await.expect("stored");
    tx.commit().await.expect("committed");
    let purge = |before| world.database.purge_idempotency_keys(&world.scope, before);
    assert_eq!(purge(noon()).await.expect("purged"), 0);
    assert_eq!(
        purge(noon() + Duration::microseconds(1)).await.expect("purged"),
        1
    );
}
