use std::time::{Duration, Instant};

use posx_redis::{LocalLimiter, RedisLimiter};
use posx_tenancy::{Bucket, RateLimiter, RateVerdict};

use crate::server::RedisServer;

async fn check(limiter: &dyn RateLimiter, class: &'static str, key: &str, per_minute: u32) -> RateVerdict {
    limiter.check(&[Bucket::per_minute(class, key, per_minute)]).await
}

async fn allowed(limiter: &dyn RateLimiter, class: &'static str, key: &str, per_minute: u32) -> bool {
    matches!(
        check(limiter, class, key, per_minute).await,
        RateVerdict::Allowed { .. }
    )
}

/// What every limiter must do.
async fn contract(limiter: &dyn RateLimiter) {
    // A burst as large as the limit, and the remainder counts down.
    for remaining in [2, 1, 0] {
        assert_eq!(
            check(limiter, "read", "ann", 3).await,
            RateVerdict::Allowed { bucket: 0, remaining }
        );
    }
    let RateVerdict::Refused { retry_after_s, .. } = check(limiter, "read", "ann", 3).await else {
        panic!("the fourth of three calls is allowed");
    };
    assert!((19..=20).contains(&retry_after_s), "{retry_after_s}");
    // Asking while refused does not push the time away.
    let RateVerdict::Refused { retry_after_s, .. } = check(limiter, "read", "ann", 3).await else {
        panic!("the fifth of three calls is allowed");
    };
    assert!(retry_after_s <= 20, "{retry_after_s}");

    assert!(allowed(limiter, "read", "bob", 3).await, "another key");
    assert!(allowed(limiter, "write", "ann", 3).await, "another class");
    assert!(!allowed(limiter, "read", "ann", 0).await, "a limit of none");

    // 1200 per minute: one comes back each 50 ms.
    let mut taken = 0;
    while allowed(limiter, "fast", "ann", 1_200).await {
        taken += 1;
        assert!(taken < 5_000, "never refused");
    }
    assert!(taken >= 1_200, "{taken}");
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert!(allowed(limiter, "fast", "ann", 1_200).await);
    together(limiter).await;
}

/// Several buckets of one call.
async fn together(limiter: &dyn RateLimiter) {
    let of = |site: &str, own: u32, shared: u32| {
        [
            Bucket::per_minute("own", "ann", own),
            Bucket::per_minute("shared", site, shared).burst(2),
        ]
    };
    let first = limiter.check(&of("na", 10, 60)).await;
    assert_eq!(
        first,
        RateVerdict::Allowed {
            bucket: 1,
            remaining: 1
        },
        "the tightest is told"
    );
    limiter.check(&of("na", 10, 60)).await;
    for _ in 0..20 {
        let refused = limiter.check(&of("na", 10, 60)).await;
        assert_eq!(
            refused,
            RateVerdict::Refused {
                bucket: 1,
                retry_after_s: 1
            }
        );
    }
    // What the second refused was not counted on the first: two are taken, this is the third of ten.
    let alone = limiter.check(&of("na", 10, 60)[..1]).await;
    assert_eq!(
        alone,
        RateVerdict::Allowed {
            bucket: 0,
            remaining: 7
        }
    );
}

#[tokio::test]
async fn the_local_limiter_keeps_the_contract() {
    contract(&LocalLimiter::default()).await;
}

#[tokio::test]
async fn the_redis_limiter_keeps_the_contract() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let limiter = RedisLimiter::new(&server.url()).unwrap();
    contract(&limiter).await;
    assert!(limiter.is_healthy() && limiter.ping().await);
}

#[tokio::test]
async fn two_processes_count_together_on_redis() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let here = RedisLimiter::new(&server.url()).unwrap();
    let there = RedisLimiter::new(&server.url()).unwrap();
    assert!(allowed(&here, "read", "ann", 2).await);
    assert!(allowed(&there, "read", "ann", 2).await);
    assert!(!allowed(&here, "read", "ann", 2).await);
}

#[tokio::test]
async fn without_redis_limits_are_counted_in_the_process_and_shared_again_when_it_is_back() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let limiter = RedisLimiter::new(&server.url()).unwrap();
    assert!(allowed(&limiter, "read", "ann", 2).await);
    server.kill();
    assert!(allowed(&limiter, "read", "ann", 2).await);
    assert!(!limiter.is_healthy() && !limiter.ping().await);
    assert!(allowed(&limiter, "read", "ann", 2).await);
    assert!(!allowed(&limiter, "read", "ann", 2).await, "the local count");
    server.start_again();
    is_used_again(&limiter).await;
}

async fn is_used_again(limiter: &RedisLimiter) {
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        allowed(limiter, "read", "other", 1_000).await;
        if limiter.is_healthy() {
            return;
        }
    }
    panic!("Redis is back and still not used");
}

#[tokio::test]
async fn a_redis_that_hangs_holds_nobody_up() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let limiter = RedisLimiter::new(&server.url()).unwrap();
    assert!(allowed(&limiter, "read", "ann", 1_000).await);
    server.signal("STOP");
    let began = Instant::now();
    let many = (0..200).map(|_| async {
        let began = Instant::now();
        assert!(allowed(&limiter, "read", "ann", 1_000).await);
        began.elapsed()
    });
    let longest = futures::future::join_all(many).await.into_iter().max();
    assert!(longest < Some(Duration::from_millis(600)), "{longest:?}");
    assert!(!limiter.is_healthy());
    // It is known by now: only the one call that tries again waits.
    let began_again = Instant::now();
    for _ in 0..1_000 {
        allowed(&limiter, "read", "bob", 10_000).await;
    }
    assert!(
        began_again.elapsed() < Duration::from_millis(900),
        "{:?}",
        began_again.elapsed()
    );
    assert!(began.elapsed() < Duration::from_secs(2));
    server.signal("CONT");
    is_used_again(&limiter).await;
}

#[tokio::test]
async fn a_start_does_not_need_redis_but_a_usable_address() {
    let limiter = RedisLimiter::new("unix:///nowhere/at/all").unwrap();
    assert!(allowed(&limiter, "read", "ann", 1).await);
    let error = RedisLimiter::new("http://:hunter2@cache").unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
