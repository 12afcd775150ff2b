//! However a call ends, it is settled, and never for more than was held.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use posx_kernel::{ModelCallId, StoreError, StoreFault};
use proptest::prelude::*;

use super::*;
use crate::testing::{MODEL, Step, prices};
use crate::{ModelEvent, Price, PriceBook, PriceTier, QuotaError, Spent, Usage};

#[tokio::test(start_paused = true)]
async fn l04_a_client_that_leaves_in_the_middle_is_settled() {
    let script = Script::events([])
        .say("A long ")
        .wait(Duration::from_secs(5))
        .say("story.")
        .finish(FinishReason::Stop);
    let world = world([script]);
    let mut stream = world.gateway.open(&scope(), asking("A story.")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let call = settled(&world).await;
    let spent = call.spent.unwrap();
    assert_eq!((call.state, spent.outcome), ("spent", "client_left"));
    assert_eq!(spent.usage.output, 7, "what was made until then");
    assert!(spent.cost > Micros::ZERO && spent.cost <= call.reservation.worst_case);
}

#[tokio::test(start_paused = true)]
async fn l04_a_client_that_leaves_before_the_first_word_is_settled_for_what_was_sent() {
    let world = world([Script::text("Late.").after(Duration::from_secs(20))]);
    let ask = complete(&world);
    assert!(tokio::time::timeout(Duration::from_secs(2), ask).await.is_err());
    let spent = settled(&world).await.spent.unwrap();
    assert_eq!((spent.outcome, spent.usage.output), ("client_left", 0));
    assert!(spent.usage.input > 0);
}

#[tokio::test(start_paused = true)]
async fn l04_a_client_that_leaves_between_two_tries_costs_nothing() {
    let limited = ModelError::RateLimited {
        retry_after: Some(TimeDelta::seconds(9)),
    };
    let world = world([Script::error(limited)]);
    let ask = complete(&world);
    assert!(tokio::time::timeout(Duration::from_secs(2), ask).await.is_err());
    let call = settled(&world).await;
    assert_eq!((call.state, world.model.calls().len()), ("released", 1));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_does_not_stop_is_cut_and_costs_no_more_than_is_held() {
    let endless = (0..10_000).map(|_| ModelEvent::Text("and so on ".repeat(10)));
    let world = world([Script::events(endless)]);
    let refused = complete(&world).await.unwrap_err();
    assert_eq!(refused.code(), "model_answer_broke_off");
    let call = settled(&world).await;
    let spent = call.spent.unwrap();
    assert_eq!(spent.outcome, "cut");
    assert!(spent.cost <= call.reservation.worst_case, "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn a_usage_beyond_what_was_asked_for_costs_what_was_held() {
    // Said before its end, it is cut; at its end, it was an answer.
    let said = || Script::events([]).say("Yes.").usage(1_000_000, 1_000_000);
    let before = said().say("").finish(FinishReason::Stop);
    for (script, outcome) in [(before, "cut"), (said().finish(FinishReason::Stop), "answered")] {
        let world = world([script]);
        drop(complete(&world).await);
        let call = settled(&world).await;
        let spent = call.spent.unwrap();
        assert_eq!(
            (spent.outcome, spent.cost),
            (outcome, call.reservation.worst_case)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn l02_a_usage_that_was_said_of_the_beginning_alone_is_not_that_of_the_answer() {
    let script = Script::events([])
        .usage(40, 1)
        .say("0123456789")
        .finish(FinishReason::Stop);
    let world = world([script]);
    complete(&world).await.unwrap();
    let spent = settled(&world).await.spent.unwrap();
    assert!(!spent.by_provider);
    assert_eq!((spent.usage.input, spent.usage.output), (40, 10));
}

/// A thread of the server ends before the process, and with it whatever runs on its own runtime.
#[test]
fn l04_a_call_is_settled_though_the_runtime_of_who_asked_has_ended() {
    let of_process = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let of_thread = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let script = Script::events([])
        .say("A long ")
        .wait(Duration::from_mins(1))
        .say("story.")
        .finish(FinishReason::Stop);
    let world = of_process.block_on(async { world([script]) });
    let mut stream = of_thread
        .block_on(world.gateway.open(&scope(), asking("A story.")))
        .unwrap();
    of_thread.block_on(stream.next()).unwrap().unwrap();
    drop(stream);
    drop(of_thread);
    let call = of_process.block_on(settled(&world));
    assert_eq!(
        (call.state, call.spent.unwrap().outcome),
        ("spent", "client_left")
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_without_its_end_broke_off() {
    let world = world([Script::events([]).say("Hal")]);
    assert_eq!(
        complete(&world).await.unwrap_err().code(),
        "model_answer_broke_off"
    );
    assert_eq!(settled(&world).await.spent.unwrap().outcome, "broken_off");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_ends_after_five_minutes() {
    let dripping = (0..1_000).fold(Script::events([]).say("a"), |script, _| {
        script
            .wait(Duration::from_secs(20))
            .step(Step::Event(ModelEvent::Unseen { bytes: 1 }))
    });
    let world = world([dripping]);
    let begun = tokio::time::Instant::now();
    assert_eq!(
        complete(&world).await.unwrap_err().code(),
        "model_answer_broke_off"
    );
    assert!(begun.elapsed() <= Duration::from_secs(301));
    assert_eq!(settled(&world).await.spent.unwrap().outcome, "timed_out");
}

#[tokio::test(start_paused = true)]
async fn l06_a_price_that_changes_in_the_middle_is_not_that_of_the_call() {
    let dear = Price {
        version: 2,
        provider: "main".to_owned(),
        model: MODEL.to_owned(),
        valid_from: DateTime::UNIX_EPOCH + TimeDelta::seconds(1),
        tiers: vec![PriceTier {
            from_input_tokens: 0,
            input: micros(90_000_000),
            cached_input: micros(90_000_000),
            output: micros(90_000_000),
        }],
    };
    let book: Vec<_> = prices().prices().iter().cloned().chain([dear]).collect();
    let script = || {
        Script::events([])
            .say("Ye")
            .wait(Duration::from_secs(2))
            .say("s.")
            .usage(40, 7)
            .finish(FinishReason::Stop)
    };
    let world = world([script(), script()]);
    let gateway = Gateway::new(GatewayParts {
        prices: Arc::new(PriceBook::new(book).unwrap()),
        ..world.gateway.parts.clone()
    });
    let mut stream = gateway.open(&scope(), asking("Count.")).await.unwrap();
    stream.next().await.unwrap().unwrap();
    world.clock.advance(TimeDelta::seconds(10));
    while stream.next().await.is_some() {}
    let call = world.quota.calls().remove(0);
    assert_eq!(
        (call.reservation.price_version, call.spent.unwrap().cost),
        (1, micros(54))
    );
    let later = gateway.complete(&scope(), asking("Again.")).await.unwrap();
    assert_eq!(world.quota.call(later.call).unwrap().reservation.price_version, 2);
}

/// Away for the first settlements.
#[derive(Debug)]
struct Away {
    quota: FakeQuota,
    times: AtomicU32,
    /// A reservation is held, and nobody is told.
    mute: bool,
}

#[async_trait]
impl Quota for Away {
    async fn reserve(&self, scope: &SiteScope, reservation: &Reservation) -> Result<(), QuotaError> {
        self.quota.reserve(scope, reservation).await?;
        if self.mute {
            return Err(StoreError::new(StoreFault::Unavailable, "the commit's answer is lost").into());
        }
        Ok(())
    }

    async fn settle(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        let left = self
            .times
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => Err(StoreError::new(StoreFault::Unavailable, "away")),
            Err(_) => self.quota.settle(scope, call, spent).await,
        }
    }

    async fn release(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        self.quota.release(scope, call, spent).await
    }

    async fn note_refused(
        &self,
        scope: &SiteScope,
        reservation: &Reservation,
        by: (BudgetScope, Period),
        times: u32,
    ) -> Result<(), StoreError> {
        self.quota.note_refused(scope, reservation, by, times).await
    }

    async fn expire(&self, scope: &SiteScope, now: Timestamp) -> Result<usize, StoreError> {
        self.quota.expire(scope, now).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_is_tried_again_while_the_store_is_away_and_nobody_waits_for_it() {
    let world = world([]);
    let away = Away {
        quota: world.quota.clone(),
        times: AtomicU32::new(3),
        mute: false,
    };
    let gateway = Gateway::new(GatewayParts {
        quota: Arc::new(away),
        ..world.gateway.parts.clone()
    });
    gateway.complete(&scope(), asking("Yes?")).await.unwrap();
    assert_eq!(world.quota.calls()[0].state, "held");
    assert!(
        !gateway.drain(Duration::from_secs(1)).await,
        "it is not settled yet"
    );
    assert!(gateway.drain(Duration::from_mins(1)).await);
    assert_eq!(world.quota.calls()[0].state, "spent");
}

#[tokio::test(start_paused = true)]
async fn what_may_be_held_although_the_store_did_not_say_so_is_given_back() {
    let world = world([]);
    let away = Away {
        quota: world.quota.clone(),
        times: AtomicU32::new(0),
        mute: true,
    };
    let gateway = Gateway::new(GatewayParts {
        quota: Arc::new(away),
        ..world.gateway.parts.clone()
    });
    let refused = gateway.complete(&scope(), asking("Yes?")).await.unwrap_err();
    assert_eq!(refused.code(), "store_unavailable");
    assert!(gateway.drain(Duration::from_mins(1)).await);
    let call = world.quota.calls().remove(0);
    assert_eq!((call.state, world.model.calls().len()), ("released", 0));
    assert_eq!(call.released.unwrap().outcome, "store_unavailable");
}

fn event() -> impl Strategy<Value = ModelEvent> {
    prop_oneof![
        "[a-z ]{0,400}".prop_map(ModelEvent::Text),
        (0..5_000_u64).prop_map(|bytes| ModelEvent::Unseen { bytes }),
        (0..500_u64, 0..500_u64, 0..500_u64, 0..500_u64).prop_map(
            |(input, cached_input, output, reasoning)| {
                ModelEvent::Usage(Usage {
                    input,
                    cached_input,
                    output,
                    reasoning,
                })
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a provider sends and whenever the client leaves.
    #[test]
    fn l01_a_call_is_settled_once_and_for_no_more_than_was_held(
        events in proptest::collection::vec(event(), 0..20),
        fails in 0..4_usize,
        finishes in any::<bool>(),
        leaves_after_ms in proptest::option::of(0..4_000_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut script = events.into_iter().fold(Script::events([]), |script, event| {
                script.step(Step::Event(event)).wait(Duration::from_millis(100))
            });
            if finishes {
                script = script.finish(FinishReason::Stop);
            }
            let scripts = (0..fails).map(|_| Script::error(unavailable())).chain([script]);
            let world = world(scripts);
            let ask = complete(&world);
            match leaves_after_ms {
                Some(ms) => drop(tokio::time::timeout(Duration::from_millis(ms), ask).await),
                None => drop(ask.await),
            }
            assert!(world.gateway.drain(Duration::from_mins(10)).await);
            // Who leaves at once may have asked nothing.
            for call in world.quota.calls() {
                assert!(matches!(call.state, "spent" | "released"), "{call:?}");
                let cost = call.spent.map_or(Micros::ZERO, |spent| spent.cost);
                assert!(cost <= call.reservation.worst_case, "{cost:?}");
            }
        });
    }
}
