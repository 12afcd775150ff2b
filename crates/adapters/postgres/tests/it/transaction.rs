//! The site of a transaction ends with it.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use posx_kernel::{Begin, Refusal as _, SiteScope, SystemIds};
use posx_postgres::{Database, DatabaseOptions, PgDirectory};
use posx_tenancy::Directory as _;
use posx_tiers::TiersTx;

use crate::server::shared;
use crate::world::{World, new_id, unique};

async fn begin(database: &Database, scope: &SiteScope) -> Box<dyn TiersTx> {
    database.begin(scope).await.expect("a transaction")
}

/// A pool of one connection, so that the next look uses the very connection that was used before.
async fn one_connection(acquire_timeout: Duration) -> Database {
    let options = DatabaseOptions {
        pool_size: 1,
        acquire_timeout,
        ..DatabaseOptions::default()
    };
    Database::connect(&shared().app_url, options)
        .await
        .expect("a pool")
}

#[tokio::test]
async fn p02_after_commit_rollback_or_failure_the_connection_has_no_site() {
    let world = World::new().await;
    let tier = world.tier(5, 100).await;
    let database = one_connection(Duration::from_secs(10)).await;
    let site = world.site.id;
    let seen_without_site = || async { database.rows_seen("tiers", site, None).await.expect("a look") };

    assert_eq!(seen_without_site().await, 0);
    assert_eq!(
        database
            .rows_seen("tiers", site, Some(site))
            .await
            .expect("a look"),
        1
    );
    assert_eq!(seen_without_site().await, 0, "after a dropped one");

    let mut tx = begin(&database, &world.scope).await;
    assert!(tx.tiers().find(tier).await.expect("a read").is_some());
    tx.commit().await.expect("committed");
    assert_eq!(seen_without_site().await, 0, "after a commit");

    let mut tx = begin(&database, &world.scope).await;
    let stored = tx.tiers().find(tier).await.expect("a read").expect("the tier");
    let again = tx
        .tiers()
        .insert(
            &stored,
            1,
            posx_kernel::MovementId::from_uuid(new_id()),
            Some(world.actor),
        )
        .await;
    assert!(again.is_err(), "the key is taken");
    drop(tx);
    assert_eq!(seen_without_site().await, 0, "after a failed statement");
}

/// A client hangs up, a request times out: at any moment of opening, using or committing a transaction.
#[tokio::test]
async fn p02_a_caller_who_is_cancelled_at_any_moment_leaves_no_site_and_no_open_transaction() {
    let world = World::new().await;
    let tier = world.tier(5, 100).await;
    let database = one_connection(Duration::from_secs(10)).await;
    let site = world.site.id;
    for polls in 1..40 {
        let use_case = async {
            let mut tx = begin(&database, &world.scope).await;
            tx.tiers().find(tier).await.expect("a read");
            tx.commit().await.expect("committed");
        };
        cancelled_after(polls, use_case).await;
        let seen = database.rows_seen("tiers", site, None).await.expect("a look");
        assert_eq!(seen, 0, "cancelled after {polls} polls");
        // Outside a transaction each statement commits by itself: what it stored is there for another connection.
        let subject = unique(20);
        let directory = PgDirectory::new(database.clone(), world.clock.clone(), Arc::new(SystemIds));
        let stored = directory
            .identity("https://issuer.test", &subject)
            .await
            .expect("an identity");
        let seen = world
            .directory
            .identity("https://issuer.test", &subject)
            .await
            .expect("the same identity");
        assert_eq!(stored, seen, "cancelled after {polls} polls");
    }
}

/// Polls as often as that, and drops what is not done.
async fn cancelled_after(polls: usize, work: impl Future<Output = ()>) {
    let mut work = Box::pin(work);
    for _ in 0..polls {
        let once = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if once.is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing() {
    let world = World::new().await;
    let tier = world.tier(5, 100).await;
    let mut tx = begin(&world.database, &world.scope).await;
    let mut changed = tx.tiers().find(tier).await.expect("a read").expect("the tier");
    changed.name = "Changed".to_owned();
    changed.version = 2;
    assert!(tx.tiers().save(&changed, 1).await.expect("saved"));
    drop(tx);
    let mut tx = begin(&world.database, &world.scope).await;
    assert_eq!(
        tx.tiers()
            .find(tier)
            .await
            .expect("a read")
            .expect("the tier")
            .name,
        "Seed"
    );
}

#[tokio::test]
async fn an_exhausted_pool_is_unavailable_after_its_time_and_not_for_ever() {
    let world = World::new().await;
    let database = one_connection(Duration::from_secs(3)).await;
    let held = begin(&database, &world.scope).await;
    let asked = Instant::now();
    let refused = Begin::<dyn TiersTx>::begin(&database, &world.scope).await;
    let Err(error) = refused else {
        panic!("there is one connection only")
    };
    assert_eq!(error.code(), "store_unavailable");
    assert!(asked.elapsed() < Duration::from_secs(8));
    drop(held);
    begin(&database, &world.scope)
        .await
        .commit()
        .await
        .expect("it is back");
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let options = DatabaseOptions {
        acquire_timeout: Duration::from_secs(2),
        ..DatabaseOptions::default()
    };
    let url = "postgres://posx_app:none@127.0.0.1:1/posx";
    let error = Database::connect(url, options)
        .await
        .expect_err("nobody listens there");
    assert_eq!(error.code(), "store_unavailable");
}
