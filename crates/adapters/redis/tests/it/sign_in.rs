//! Guessing is slow, and neighbours do not pay for it.

use std::sync::Arc;
use std::time::Duration;

use posx_redis::{LocalLimiter, RedisLimiter};
use posx_tenancy::{Penalty, RateLimiter, SignInGuard};

use crate::server::RedisServer;

const SHOP: &str = "198.51.100.7";

async fn contract(limiter: Arc<dyn RateLimiter>) {
    let guard = SignInGuard::new(limiter.clone());
    // Mistyping costs nothing, and what comes after waits.
    for _ in 0..5 {
        guard.check("ann", SHOP).await.unwrap();
        guard.failed("ann", SHOP).await;
    }
    guard.check("ann", SHOP).await.unwrap();
    guard.failed("ann", SHOP).await;
    assert_eq!(guard.check("ann", SHOP).await, Err(1));
    guard.failed("ann", SHOP).await;
    guard.failed("ann", SHOP).await;
    let wait = guard.check("ann", SHOP).await.unwrap_err();
    assert!((3..=4).contains(&wait), "{wait}");
    assert_eq!(
        guard.check("ann", "203.0.113.9").await,
        Err(wait),
        "the account waits everywhere"
    );
    // The till beside it does not, nor does it when the whole shop has failed a lot.
    guard.check("bob", SHOP).await.unwrap();
    for number in 0..60 {
        guard.failed(&format!("guess{number}"), SHOP).await;
    }
    guard.check("bob", SHOP).await.unwrap();
    guard.check("bob", SHOP).await.unwrap();
    // Who guesses there waits after the first failure already…
    assert!(guard.check("guess1", SHOP).await.is_err());
    // …and elsewhere does not.
    guard.check("guess1", "203.0.113.9").await.unwrap();
    // Success forgets the account's failures.
    guard.succeeded("ann").await;
    guard.check("ann", SHOP).await.unwrap();
    at_once(&guard).await;
    caps_and_memory(limiter.as_ref()).await;
}

/// Tries at the same moment are bounded, though none has failed yet.
async fn at_once(guard: &SignInGuard) {
    let tries = (0..40).map(|_| guard.check("carol", SHOP));
    let answers = futures::future::join_all(tries).await;
    let allowed = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!((10..=11).contains(&allowed), "{allowed}");
}

async fn caps_and_memory(limiter: &dyn RateLimiter) {
    let penalty = Penalty {
        key: "short".to_owned(),
        free: 0,
        wait_s_max: 2,
        forget_after_s: 3,
    };
    for _ in 0..40 {
        limiter.fail(std::slice::from_ref(&penalty)).await;
    }
    let known = limiter.failures(&["short", "nobody"]).await;
    assert_eq!((known[0].count, known[1].count, known[1].wait_s), (40, 0, 0));
    assert_eq!(known[0].wait_s, 2, "no more than the most");
    tokio::time::sleep(Duration::from_millis(3_200)).await;
    let known = limiter.failures(&["short"]).await;
    assert_eq!((known[0].count, known[0].wait_s), (0, 0), "time forgets");
}

#[tokio::test]
async fn the_process_keeps_the_contract_of_signing_in() {
    contract(Arc::new(LocalLimiter::default())).await;
}

#[tokio::test]
async fn redis_keeps_the_contract_of_signing_in() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let limiter = Arc::new(RedisLimiter::new(&server.url()).unwrap());
    contract(limiter.clone()).await;
    assert!(limiter.is_healthy());
}

#[tokio::test]
async fn two_processes_know_of_each_others_failures() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let guard = || SignInGuard::new(Arc::new(RedisLimiter::new(&server.url()).unwrap()));
    let (here, there) = (guard(), guard());
    for _ in 0..8 {
        here.failed("ann", SHOP).await;
    }
    assert!(there.check("ann", SHOP).await.is_err());
    there.succeeded("ann").await;
    here.check("ann", SHOP).await.unwrap();
}

#[test]
fn the_wait_doubles_and_is_capped() {
    let penalty = Penalty {
        key: String::new(),
        free: 5,
        wait_s_max: 900,
        forget_after_s: 3_600,
    };
    let waits: Vec<u32> = [0, 5, 6, 7, 8, 15, 16, 100, u32::MAX]
        .map(|count| penalty.wait_s(count))
        .into();
    assert_eq!(waits, [0, 0, 1, 2, 4, 512, 900, 900, 900]);
}
