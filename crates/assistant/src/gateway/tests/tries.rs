//! Tries, the fallback, the breaker.

use chrono::TimeDelta;

use super::*;
use crate::testing::{FALLBACK_MODEL, MODEL, choice};
use crate::{ModelAccount, ModelEvent};

fn with_fallback(scripts: impl IntoIterator<Item = Script>) -> GatewayWorld {
    let world = world(scripts);
    let at = DateTime::UNIX_EPOCH;
    let account = ModelAccount::new(Purpose::StaffChat, choice("main", MODEL), at);
    let account = account.choose(choice("main", MODEL), Some(choice("other", FALLBACK_MODEL)), at);
    world.setups.put_account(&scope(), account);
    world
}

fn models(world: &GatewayWorld) -> Vec<String> {
    let tries = world.model.tries();
    tries.into_iter().map(|(endpoint, _)| endpoint.model).collect()
}

#[tokio::test(start_paused = true)]
async fn l03_three_tries_are_one_reservation() {
    let limited = ModelError::RateLimited {
        retry_after: Some(TimeDelta::seconds(4)),
    };
    let world = world([
        Script::error(unavailable()),
        Script::error(limited),
        Script::text("Yes."),
    ]);
    let begun = tokio::time::Instant::now();
    assert_eq!(complete(&world).await.unwrap().text, "Yes.");
    assert!(
        begun.elapsed() >= Duration::from_secs(4),
        "the provider asked for it"
    );
    let call = settled(&world).await;
    let ids: Vec<_> = world.model.calls().iter().map(|sent| sent.id).collect();
    assert_eq!(ids, [call.reservation.call; 3]);
    let spent = call.spent.unwrap();
    assert_eq!(
        (spent.tries, spent.cost),
        (3, micros(120)),
        "the last one alone costs"
    );
}

#[tokio::test(start_paused = true)]
async fn after_three_tries_it_is_given_back() {
    let world = world((0..3).map(|_| Script::error(unavailable())));
    let refused = complete(&world).await.unwrap_err();
    assert_eq!(refused.code(), "model_unavailable");
    assert_eq!(world.model.calls().len(), 3);
    let call = settled(&world).await;
    assert_eq!((call.state, call.spent), ("released", None));
    let went = call.released.unwrap();
    assert_eq!(
        (went.tries, went.outcome, went.model.as_str()),
        (3, "model_unavailable", MODEL)
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_person_must_mend_is_not_tried_again() {
    let refusals = [
        (ModelError::NotAuthorized, "model_account_refused"),
        (ModelError::OutOfCredit, "model_account_refused"),
        (ModelError::UnknownModel, "model_account_refused"),
        (ModelError::TooLong, "prompt_too_long"),
        (
            ModelError::Refused {
                code: "invalid_prompt".to_owned(),
            },
            "model_refused",
        ),
    ];
    for (error, code) in refusals {
        let world = world([Script::error(error)]);
        assert_eq!(complete(&world).await.unwrap_err().code(), code);
        assert_eq!(world.model.calls().len(), 1, "{code}");
        assert_eq!(settled(&world).await.state, "released", "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_asks_to_wait_for_minutes_is_not_waited_for() {
    let limited = ModelError::RateLimited {
        retry_after: Some(TimeDelta::minutes(5)),
    };
    let world = with_fallback([Script::error(limited), Script::text("From the other.")]);
    let begun = tokio::time::Instant::now();
    assert_eq!(complete(&world).await.unwrap().text, "From the other.");
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(models(&world), [MODEL, FALLBACK_MODEL]);
}

#[tokio::test(start_paused = true)]
async fn the_fallback_answers_at_its_own_price_within_what_is_held() {
    let world = with_fallback(
        (0..3)
            .map(|_| Script::error(unavailable()))
            .chain([Script::text("Yes.")]),
    );
    complete(&world).await.unwrap();
    let call = settled(&world).await;
    let spent = call.spent.unwrap();
    assert_eq!(
        (spent.model.as_str(), spent.tries, spent.price_version),
        (FALLBACK_MODEL, 4, 1)
    );
    // 100 and 10 tokens, ten times as dear.
    assert_eq!(spent.cost, micros(1_200));
    assert!(spent.cost <= call.reservation.worst_case);
    assert_eq!(call.reservation.model, MODEL);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_for_one_is_not_sent_to_the_other() {
    let world = with_fallback([Script::error(ModelError::TooLong)]);
    assert_eq!(complete(&world).await.unwrap_err().code(), "prompt_too_long");
    assert_eq!(models(&world), [MODEL]);
}

/// What has begun without a word is counted at the price of who did not say it: the fallback is ten times as dear.
#[tokio::test(start_paused = true)]
async fn silence_is_not_tried_again_there_and_may_have_been_billed() {
    let broken = || ModelError::Broken("before the first word".into());
    for silence in [ModelError::TimedOut, broken()] {
        let world = with_fallback([Script::error(silence), Script::text("Yes.")]);
        complete(&world).await.unwrap();
        assert_eq!(models(&world), [MODEL, FALLBACK_MODEL]);
        let call = settled(&world).await;
        let spent = call.spent.unwrap();
        assert!(!spent.by_provider);
        // 100 and 10 tokens of the fallback.
        let unheard = spent.usage.input - 100;
        assert!(unheard > 0, "the silent one's input is counted too");
        assert_eq!(spent.cost, micros(1_200 + unheard));
        assert!(spent.cost <= call.reservation.worst_case);
    }
    let world = with_fallback([Script::error(ModelError::TimedOut), Script::error(broken())]);
    complete(&world).await.unwrap_err();
    let call = settled(&world).await;
    let spent = call.spent.unwrap();
    let cost = spent.cost.get();
    assert!(
        cost > 5 * spent.usage.input && cost < 10 * spent.usage.input,
        "one at 1 and one at 10 for a token: {spent:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_try_of_the_fallback_pays_both_at_their_prices() {
    let late = Script::text("Late.").after(Duration::from_secs(20));
    let world = with_fallback([Script::error(ModelError::TimedOut), late]);
    let ask = complete(&world);
    assert!(tokio::time::timeout(Duration::from_secs(2), ask).await.is_err());
    let spent = settled(&world).await.spent.unwrap();
    assert_eq!(
        (spent.outcome, spent.model.as_str()),
        ("client_left", FALLBACK_MODEL)
    );
    assert!(spent.cost.get() < 10 * spent.usage.input, "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_keeps_failing_is_left_alone_until_it_has_rested() {
    let world = world((0..6).map(|_| Script::error(unavailable())));
    for _ in 0..2 {
        complete(&world).await.unwrap_err();
    }
    let before = world.model.calls().len();
    assert_eq!(before, 5, "the fifth failure opens the breaker");
    let refused = complete(&world).await.unwrap_err();
    assert_eq!(
        (refused.code(), world.model.calls().len()),
        ("model_unavailable", before)
    );
    world.clock.advance(TimeDelta::seconds(31));
    // One try, which fails as well.
    complete(&world).await.unwrap_err();
    assert_eq!(world.model.calls().len(), before + 1);
    world.clock.advance(TimeDelta::seconds(31));
    complete(&world).await.unwrap();
    complete(&world).await.unwrap();
    assert!(world.quota.calls().iter().all(|call| call.state != "held"));
}

/// Open, and rested: one call tries.
async fn half_open() -> GatewayWorld {
    let world = world((0..5).map(|_| Script::error(unavailable())));
    for _ in 0..2 {
        complete(&world).await.unwrap_err();
    }
    world.clock.advance(TimeDelta::seconds(31));
    world
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_has_answered_and_is_open_to_others() {
    let refusals = [
        ModelError::NotAuthorized,
        ModelError::OutOfCredit,
        ModelError::RateLimited {
            retry_after: Some(TimeDelta::minutes(5)),
        },
        ModelError::Refused {
            code: "invalid_prompt".to_owned(),
        },
    ];
    for refusal in refusals {
        let world = half_open().await;
        world.model.then(Script::error(refusal));
        complete(&world).await.unwrap_err();
        complete(&world).await.unwrap();
    }
    let world = half_open().await;
    world.model.then(Script::error(unavailable()));
    complete(&world).await.unwrap_err();
    assert_eq!(complete(&world).await.unwrap_err().code(), "model_unavailable");
    assert_eq!(world.model.calls().len(), 6, "it rests again");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_always_breaks_off_after_its_first_word_is_left_alone() {
    let half = || {
        Script::events([])
            .say("Hal")
            .step(crate::testing::Step::Fail(ModelError::Broken("cut".into())))
    };
    let world = world((0..10).map(|_| half()));
    for _ in 0..5 {
        assert_eq!(
            complete(&world).await.unwrap_err().code(),
            "model_answer_broke_off"
        );
    }
    assert_eq!(complete(&world).await.unwrap_err().code(), "model_unavailable");
    assert_eq!(world.model.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_overloaded_is_waited_for_and_then_left_alone() {
    let overloaded = || {
        Script::error(ModelError::Overloaded {
            retry_after: TimeDelta::seconds(4),
        })
    };
    let world = world((0..6).map(|_| overloaded()));
    let begun = tokio::time::Instant::now();
    complete(&world).await.unwrap_err();
    assert!(begun.elapsed() >= Duration::from_secs(8), "two pauses");
    complete(&world).await.unwrap_err();
    assert_eq!(complete(&world).await.unwrap_err().code(), "model_unavailable");
    assert_eq!(world.model.calls().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn after_the_first_word_nothing_is_tried_again() {
    let script = Script::events([ModelEvent::Text("Half an".to_owned())])
        .step(crate::testing::Step::Fail(ModelError::Broken("cut".into())));
    let world = with_fallback([script]);
    let mut stream = world.gateway.open(&scope(), asking("All of it?")).await.unwrap();
    assert_eq!(
        stream.next().await.unwrap().unwrap(),
        AnswerEvent::Text("Half an".to_owned())
    );
    assert_eq!(
        stream.next().await.unwrap().unwrap_err().code(),
        "model_answer_broke_off"
    );
    assert!(stream.next().await.is_none());
    assert_eq!(models(&world), [MODEL]);
    let spent = settled(&world).await.spent.unwrap();
    assert_eq!((spent.outcome, spent.usage.output), ("broken_off", 7));
}
