use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::DateTime;
use posx_kernel::ManualClock;
use tokio::sync::Notify;

use super::*;
use crate::jwk::testing::document;

/// Answers with what it was told to, and counts.
#[derive(Default)]
struct FakeIssuer {
    /// `None`: cannot be reached.
    kids: Mutex<Option<Vec<String>>>,
    fetches: AtomicUsize,
    /// If set, each fetch waits for one permit.
    slow: Option<Notify>,
}

#[async_trait]
impl FetchKeys for FakeIssuer {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        if let Some(slow) = &self.slow {
            slow.notified().await;
        }
        let kids = self.kids.lock().unwrap().clone();
        kids.map(|kids| document(&kids)).ok_or(FetchError::Status(502))
    }
}

impl FakeIssuer {
    fn publish(&self, kids: &[&str]) {
        *self.kids.lock().unwrap() = Some(kids.iter().map(ToString::to_string).collect());
    }

    fn go_away(&self) {
        *self.kids.lock().unwrap() = None;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

struct World {
    issuer: Arc<FakeIssuer>,
    clock: Arc<ManualClock>,
    set: KeySet,
}

fn world_with(issuer: FakeIssuer, kids: &[&str]) -> World {
    issuer.publish(kids);
    let issuer = Arc::new(issuer);
    let clock = Arc::new(ManualClock::stopped_at(
        DateTime::from_timestamp(1_767_225_600, 0).unwrap(),
    ));
    let set = KeySet::new("test", Arc::clone(&issuer) as _, Arc::clone(&clock) as _);
    World { issuer, clock, set }
}

fn world(kids: &[&str]) -> World {
    world_with(FakeIssuer::default(), kids)
}

impl World {
    async fn ask(&self, kid: &str) -> Result<(), KeyError> {
        let key = self.set.key(kid).await?;
        assert_eq!(key.kid(), Some(kid));
        Ok(())
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }
}

#[tokio::test]
async fn a_known_kid_is_fetched_once() {
    let world = world(&["a", "b"]);
    for kid in ["a", "b", "a"] {
        world.ask(kid).await.unwrap();
    }
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn j05_an_unknown_kid_refreshes_once_per_cool_down() {
    let world = world(&["a"]);
    world.ask("a").await.unwrap();
    world.wait(30);
    assert_eq!(world.ask("forged-0").await, Err(KeyError::Unknown));
    for attempt in 1..50 {
        assert_eq!(
            world.ask(&format!("forged-{attempt}")).await,
            Err(KeyError::Unasked)
        );
    }
    assert_eq!(world.issuer.fetches(), 2);
    world.wait(29);
    assert_eq!(world.ask("forged").await, Err(KeyError::Unasked));
    assert_eq!(world.issuer.fetches(), 2);
    world.wait(1);
    assert_eq!(world.ask("forged").await, Err(KeyError::Unknown));
    assert_eq!(world.issuer.fetches(), 3);
}

#[tokio::test]
async fn j05_concurrent_lookups_share_one_fetch() {
    let slow = FakeIssuer {
        slow: Some(Notify::new()),
        ..FakeIssuer::default()
    };
    let world = world_with(slow, &["a"]);
    let lookups: Vec<_> = (0..40)
        .map(|n| {
            let set = world.set.clone();
            tokio::spawn(async move { set.key(if n % 2 == 0 { "a" } else { "forged" }).await.map(|_| ()) })
        })
        .collect();
    while world.issuer.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    world.issuer.slow.as_ref().unwrap().notify_one();
    for (n, lookup) in lookups.into_iter().enumerate() {
        let expected = if n % 2 == 0 {
            Ok(())
        } else {
            // The fetch was under way already when it was asked for.
            Err(KeyError::Unasked)
        };
        assert_eq!(lookup.await.unwrap(), expected);
    }
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn j05_a_caller_that_hangs_up_does_not_end_the_fetch_of_others() {
    let slow = FakeIssuer {
        slow: Some(Notify::new()),
        ..FakeIssuer::default()
    };
    let world = world_with(slow, &["a"]);
    let set = world.set.clone();
    let first = tokio::spawn(async move { set.key("a").await });
    while world.issuer.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.issuer.slow.as_ref().unwrap().notify_one();
    world.ask("a").await.unwrap();
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn j05_a_kid_found_unknown_starts_no_fetch_for_300_seconds() {
    let world = world(&["a"]);
    assert_eq!(world.ask("old").await, Err(KeyError::Unknown));
    for _ in 0..9 {
        world.wait(31);
        assert_eq!(world.ask("old").await, Err(KeyError::Unasked));
    }
    assert_eq!(world.issuer.fetches(), 1);
    world.wait(31);
    assert_eq!(world.ask("old").await, Err(KeyError::Unknown));
    assert_eq!(world.issuer.fetches(), 2);
}

#[tokio::test]
async fn j05_no_more_than_128_unknown_kids_are_remembered() {
    let limits = Limits {
        refresh_after: TimeDelta::hours(9),
        stale_for: TimeDelta::hours(9),
        ..Limits::default()
    };
    let limits = Limits {
        unknown_for: TimeDelta::hours(9),
        ..limits
    };
    let world = world(&["a"]);
    let set = KeySet::with_limits(
        "test",
        Arc::clone(&world.issuer) as _,
        Arc::clone(&world.clock) as _,
        limits,
    );
    for n in 0..=128 {
        assert_eq!(
            set.key(&format!("forged-{n}")).await.err(),
            Some(KeyError::Unknown)
        );
        world.wait(30);
    }
    assert_eq!(world.issuer.fetches(), 129);
    assert_eq!(set.key("forged-1").await.err(), Some(KeyError::Unasked));
    assert_eq!(world.issuer.fetches(), 129);
    assert_eq!(set.key("forged-0").await.err(), Some(KeyError::Unknown));
    assert_eq!(world.issuer.fetches(), 130);
}

#[tokio::test]
async fn j05_a_kid_refused_during_the_cool_down_is_not_remembered_as_unknown() {
    let world = world(&["a"]);
    world.ask("a").await.unwrap();
    world.issuer.publish(&["a", "b"]);
    world.wait(5);
    assert_eq!(world.ask("b").await, Err(KeyError::Unasked));
    world.wait(25);
    world.ask("b").await.unwrap();
}

#[tokio::test]
async fn j05_a_kid_is_not_remembered_as_unknown_by_a_set_from_before_its_question() {
    // At the very moment of the fetch, and by a clock that was moved back since.
    for seconds in [0, -20] {
        let world = world(&["a"]);
        world.ask("a").await.unwrap();
        world.issuer.publish(&["b"]);
        world.wait(seconds);
        // A set from the future is asked for again: the clock's fault costs a fetch, and hides no key.
        let first = world.ask("b").await;
        world.wait(30);
        assert_eq!(world.ask("b").await, Ok(()), "{seconds}: {first:?}");
    }
}

#[tokio::test]
async fn j05_ten_thousand_unknown_kids_cause_one_fetch() {
    let slow = FakeIssuer {
        slow: Some(Notify::new()),
        ..FakeIssuer::default()
    };
    let world = world_with(slow, &["a"]);
    let storm: Vec<_> = (0..10_000)
        .map(|n| {
            let set = world.set.clone();
            tokio::spawn(async move { set.key(&format!("forged-{n}")).await.map(|_| ()) })
        })
        .collect();
    while world.issuer.fetches() == 0 {
        tokio::task::yield_now().await;
    }
    world.issuer.slow.as_ref().unwrap().notify_one();
    let mut asked_about = 0;
    for refused in storm {
        match refused.await.unwrap() {
            Err(KeyError::Unknown) => asked_about += 1,
            other => assert_eq!(other, Err(KeyError::Unasked)),
        }
    }
    assert_eq!(asked_about, 1, "the one whose question began the fetch");
    world.wait(29);
    for n in 0..10_000 {
        assert_eq!(world.ask(&format!("later-{n}")).await, Err(KeyError::Unasked));
    }
    world.ask("a").await.unwrap();
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn j05_a_key_that_appears_is_used_though_it_was_remembered_as_unknown() {
    let world = world(&["a"]);
    assert_eq!(world.ask("b").await, Err(KeyError::Unknown));
    world.issuer.publish(&["a", "b"]);
    world.wait(60);
    assert_eq!(world.ask("forged").await, Err(KeyError::Unknown));
    world.ask("b").await.unwrap();
}

#[tokio::test]
async fn j05_an_endless_kid_is_unknown_without_a_fetch() {
    let world = world(&["a"]);
    assert_eq!(world.ask(&"k".repeat(257)).await, Err(KeyError::Unknown));
    assert_eq!(world.issuer.fetches(), 0);
}

#[tokio::test]
async fn j06_a_withdrawn_key_dies_within_15_minutes() {
    let world = world(&["old"]);
    world.ask("old").await.unwrap();
    world.issuer.publish(&["new"]);
    world.wait(599);
    world.ask("old").await.unwrap();
    world.wait(1);
    assert_eq!(world.ask("old").await, Err(KeyError::Unknown));
}

#[tokio::test]
async fn j06_a_stale_set_serves_for_an_hour_and_then_nothing_does() {
    let world = world(&["a"]);
    world.ask("a").await.unwrap();
    world.issuer.go_away();
    world.wait(3_599);
    world.ask("a").await.unwrap();
    world.wait(1);
    assert_eq!(world.ask("a").await, Err(KeyError::Unavailable));
    assert!(!world.set.health().usable);
    world.issuer.publish(&["a"]);
    world.wait(30);
    world.ask("a").await.unwrap();
}

#[tokio::test]
async fn j06_an_issuer_that_is_away_is_asked_once_per_cool_down() {
    let world = world(&["a"]);
    world.ask("a").await.unwrap();
    world.issuer.go_away();
    world.wait(900);
    for _ in 0..20 {
        world.ask("a").await.unwrap();
        assert_eq!(world.ask("forged").await, Err(KeyError::Unavailable));
    }
    assert_eq!(world.issuer.fetches(), 2);
}

#[tokio::test]
async fn j06_a_known_key_does_not_wait_for_a_slow_refresh() {
    let slow = FakeIssuer {
        slow: Some(Notify::new()),
        ..FakeIssuer::default()
    };
    let world = world_with(slow, &["a"]);
    world.issuer.slow.as_ref().unwrap().notify_one();
    world.ask("a").await.unwrap();
    world.wait(700);
    let set = world.set.clone();
    let refreshing = tokio::spawn(async move { set.key("a").await.map(|_| ()) });
    while world.issuer.fetches() < 2 {
        tokio::task::yield_now().await;
    }
    world.ask("a").await.unwrap();
    world.issuer.slow.as_ref().unwrap().notify_one();
    refreshing.await.unwrap().unwrap();
}

#[tokio::test]
async fn j06_one_issuer_that_is_away_blocks_no_other() {
    let (here, away) = (world(&["a"]), world(&[]));
    away.issuer.go_away();
    assert_eq!(away.ask("a").await, Err(KeyError::Unavailable));
    here.ask("a").await.unwrap();
}

#[tokio::test]
async fn j07_old_and_new_keys_are_valid_together_until_the_old_one_goes() {
    let world = world(&["old"]);
    world.ask("old").await.unwrap();
    world.issuer.publish(&["old", "new"]);
    world.wait(60);
    world.ask("new").await.unwrap();
    world.ask("old").await.unwrap();
    world.issuer.publish(&["new"]);
    world.wait(900);
    world.ask("new").await.unwrap();
    assert_eq!(world.ask("old").await, Err(KeyError::Unasked));
    world.wait(30);
    assert_eq!(world.ask("old").await, Err(KeyError::Unknown));
}

#[tokio::test]
async fn j07_the_first_new_token_after_a_full_replacement_refreshes() {
    let world = world(&["old"]);
    world.ask("old").await.unwrap();
    world.issuer.publish(&["new"]);
    world.wait(30);
    world.ask("new").await.unwrap();
    assert_eq!(world.ask("old").await, Err(KeyError::Unasked));
    assert_eq!(world.issuer.fetches(), 2);
}

#[tokio::test]
async fn j04_the_only_key_is_found_and_two_are_ambiguous() {
    let one = world(&["a"]);
    assert_eq!(one.set.only_key().await.unwrap().kid(), Some("a"));
    let two = world(&["a", "b"]);
    for _ in 0..3 {
        assert_eq!(two.set.only_key().await.err(), Some(KeyError::Unknown));
        two.wait(60);
    }
    assert_eq!(two.issuer.fetches(), 1);
}

#[tokio::test]
async fn j12_a_set_that_never_came_is_unavailable_not_unknown() {
    let world = world(&[]);
    world.issuer.go_away();
    for _ in 0..3 {
        assert_eq!(world.ask("a").await, Err(KeyError::Unavailable));
        assert_eq!(world.set.only_key().await.err(), Some(KeyError::Unavailable));
    }
    assert_eq!(world.issuer.fetches(), 1);
}

#[tokio::test]
async fn j08_a_document_with_too_many_keys_leaves_the_old_set_in_place() {
    let world = world(&["a"]);
    world.ask("a").await.unwrap();
    let many: Vec<String> = (0..33).map(|n| format!("k{n}")).collect();
    *world.issuer.kids.lock().unwrap() = Some(many);
    world.wait(900);
    world.ask("a").await.unwrap();
    assert_eq!(world.ask("k0").await, Err(KeyError::Unavailable));
}

#[tokio::test]
async fn readiness_sees_the_age_and_keeps_an_idle_set_fresh() {
    let world = world(&["a"]);
    let before = world.set.health();
    assert_eq!((before.age, before.keys, before.usable), (None, 0, false));
    world.set.refresh_if_due().await;
    world.wait(599);
    world.set.refresh_if_due().await;
    let aged = world.set.health();
    assert_eq!(
        (aged.age, aged.keys, aged.usable),
        (Some(TimeDelta::seconds(599)), 1, true)
    );
    assert_eq!(world.issuer.fetches(), 1);
    world.wait(1);
    world.set.refresh_if_due().await;
    assert_eq!(world.set.health().age, Some(TimeDelta::zero()));
    assert_eq!(world.issuer.fetches(), 2);
}

#[tokio::test]
async fn a_clock_that_jumps_starts_a_fetch_and_no_outage() {
    let world = world(&["a"]);
    for days in [30, -60, 1] {
        world.ask("a").await.unwrap();
        world.clock.advance(TimeDelta::days(days));
    }
    world.ask("a").await.unwrap();
    assert_eq!(world.issuer.fetches(), 4);
}
