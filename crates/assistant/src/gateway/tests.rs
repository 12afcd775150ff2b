//! The gateway on fakes, with a clock of tokio's that stands until everybody waits.

mod ends;
mod tries;

use chrono::DateTime;
use futures::StreamExt as _;
use posx_kernel::{IdentityId, Ids as _, Refusal as _, SeededIds, SiteId, SiteScope, Timestamp};

use super::*;
use crate::testing::{FakeCall, FakeQuota, GatewayWorld, Script, ScriptedModel};
use crate::{
    Asker, BudgetScope, FinishReason, Limit, Limits, Message, Micros, ModelError, Part, Period, Purpose,
};

const MAX_OUTPUT: u32 = 50;

fn id(seed: u64) -> uuid::Uuid {
    SeededIds::new(seed).uuid(Timestamp::UNIX_EPOCH)
}

fn scope() -> SiteScope {
    SiteScope::of_verified_request(SiteId::from_uuid(id(1)))
}

fn asking(text: &str) -> Ask {
    Ask {
        purpose: Purpose::StaffChat,
        asker: Asker::Member(IdentityId::from_uuid(id(2))),
        system: "Answer shortly.".to_owned(),
        messages: vec![Message::User(vec![Part::Text(text.to_owned())])],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: MAX_OUTPUT,
    }
}

fn world(scripts: impl IntoIterator<Item = Script>) -> GatewayWorld {
    let world = GatewayWorld::new(ScriptedModel::new(scripts));
    world.allow(&scope());
    world
}

async fn complete(world: &GatewayWorld) -> Result<Answer, AssistantError> {
    world
        .gateway
        .complete(&scope(), asking("How much did we sell?"))
        .await
}

/// The only call, once it is settled.
async fn settled(world: &GatewayWorld) -> FakeCall {
    assert!(world.gateway.drain(Duration::from_mins(10)).await);
    let calls = world.quota.calls();
    assert_eq!(calls.len(), 1, "one reservation for one call: {calls:?}");
    calls.into_iter().next().unwrap()
}

fn micros(value: u64) -> Micros {
    Micros::new(value).unwrap()
}

fn unavailable() -> ModelError {
    ModelError::Unavailable("away".into())
}

#[tokio::test(start_paused = true)]
async fn l02_an_answer_is_streamed_and_settled_by_the_providers_usage() {
    let script = Script::events([])
        .say("One, ")
        .say("two.")
        .usage(40, 7)
        .finish(FinishReason::Stop);
    let world = world([script]);
    let mut stream = world.gateway.open(&scope(), asking("Count.")).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        events.push(event.unwrap());
    }
    let [
        AnswerEvent::Text(one),
        AnswerEvent::Text(two),
        AnswerEvent::Done(answer),
    ] = &events[..]
    else {
        panic!("{events:?}");
    };
    assert_eq!((one.as_str(), two.as_str()), ("One, ", "two."));
    assert_eq!(
        (answer.text.as_str(), answer.finish),
        ("One, two.", FinishReason::Stop)
    );
    let call = settled(&world).await;
    let spent = call.spent.unwrap();
    assert_eq!((call.state, spent.outcome, spent.tries), ("spent", "answered", 1));
    assert!(spent.by_provider);
    // 40 at 1 and 7 at 2 for a token.
    assert_eq!(spent.cost, micros(54));
}

#[tokio::test(start_paused = true)]
async fn l02_without_the_providers_word_our_own_count_is_settled() {
    let world = world([Script::events([]).say("0123456789").finish(FinishReason::Stop)]);
    let answer = complete(&world).await.unwrap();
    let spent = settled(&world).await.spent.unwrap();
    assert!(!spent.by_provider);
    assert_eq!(
        (spent.usage.output, answer.usage),
        (10, spent.usage),
        "a token for a byte at most"
    );
    assert!(spent.usage.input > 30, "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn l01_the_worst_case_is_held_before_anything_is_sent() {
    let world = world([Script::text("Yes.").after(Duration::from_secs(1))]);
    let gateway = world.gateway.clone();
    let asked = tokio::spawn(async move { gateway.complete(&scope(), asking("Held?")).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let call = world.quota.calls().into_iter().next().unwrap();
    assert_eq!(
        (call.state, world.model.calls().len()),
        ("held", 1),
        "held when it was sent"
    );
    let outputs = u64::from(MAX_OUTPUT) * 2;
    let input = ("Answer shortly.".len() + "Held?".len()) as u64;
    assert!(call.reservation.worst_case >= micros(outputs + input), "{call:?}");
    assert_eq!(call.reservation.provider, "main");
    asked.await.unwrap().unwrap();
    assert_eq!(settled(&world).await.state, "spent");
}

#[tokio::test(start_paused = true)]
async fn l05_the_id_is_ours_and_goes_with_the_call() {
    let world = world([]);
    let answer = complete(&world).await.unwrap();
    let call = settled(&world).await;
    assert_eq!(call.reservation.call, answer.call);
    assert_eq!(world.model.calls()[0].id, answer.call);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_cannot_hold_the_call_says_until_when() {
    let limits = Limits::new(vec![Limit {
        scope: BudgetScope::Site,
        purpose: None,
        period: Period::Day,
        limit_micros: micros(10),
    }]);
    let quota = FakeQuota::new(chrono_tz::UTC, limits.unwrap());
    let world = GatewayWorld::with_quota(ScriptedModel::default(), quota);
    world.allow(&scope());
    let refused = complete(&world).await.unwrap_err();
    assert_eq!(refused.code(), "model_budget_used_up");
    assert_eq!(refused.retry_after_s(), Some(86_400));
    assert!(refused.to_string().contains("1970-01-02T00:00:00Z"), "{refused}");
    assert!(world.model.calls().is_empty(), "nothing was sent");
}

#[tokio::test(start_paused = true)]
async fn without_module_consent_model_price_or_key_nothing_is_reserved_or_sent() {
    use crate::testing::choice;
    use crate::{CONSENT_TEXT_VERSION, ModelAccount};

    let world = GatewayWorld::new(ScriptedModel::default());
    let code = async |world: &GatewayWorld| complete(world).await.unwrap_err().code();
    assert_eq!(code(&world).await, "model_consent_missing");
    // To an older text.
    world
        .setups
        .put_consent(&scope(), Purpose::StaffChat, CONSENT_TEXT_VERSION - 1);
    assert_eq!(code(&world).await, "model_consent_missing");
    let world = GatewayWorld::new(ScriptedModel::default());
    world
        .setups
        .put_consent(&scope(), Purpose::StaffChat, CONSENT_TEXT_VERSION);
    assert_eq!(code(&world).await, "model_not_chosen");
    for (provider, model, said) in [
        ("main", "unpriced", "model_without_price"),
        ("gone", "steady", "model_without_price"),
        ("keyless", "steady", "model_key_missing"),
    ] {
        let account = ModelAccount::new(Purpose::StaffChat, choice(provider, model), DateTime::UNIX_EPOCH);
        world.setups.put_account(&scope(), account);
        assert_eq!(code(&world).await, said);
    }
    world.setups.set_module(&scope(), false);
    assert_eq!(code(&world).await, "module_off");
    assert!(world.quota.calls().is_empty() && world.model.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_consent_that_is_withdrawn_ends_calls_at_once() {
    use posx_kernel::Begin as _;

    let world = world([]);
    complete(&world).await.unwrap();
    let mut tx: Box<dyn crate::ModelsTx> = world.setups.begin(&scope()).await.unwrap();
    let at = DateTime::UNIX_EPOCH;
    assert!(
        tx.models()
            .withdraw_consent(Purpose::StaffChat, at)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    assert_eq!(
        complete(&world).await.unwrap_err().code(),
        "model_consent_missing"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_redacted_is_not_sent() {
    let world = world([]);
    let ask = asking("Who is ada@example.com with 4111 1111 1111 1111?");
    world.gateway.complete(&scope(), ask).await.unwrap();
    let sent = format!("{:?}", world.model.calls()[0]);
    assert!(!sent.contains("ada@") && !sent.contains("4111"), "{sent}");
    assert!(
        sent.contains("Who is [e-mail address] with [card number]?"),
        "{sent}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_is_too_long_is_refused_with_the_limit() {
    let world = world([]);
    let ask = asking(&"x".repeat(PROMPT_BYTES_MAX));
    let refused = world.gateway.complete(&scope(), ask).await.unwrap_err();
    assert_eq!(refused.code(), "prompt_too_long");
    assert!(refused.to_string().contains("600000"), "{refused}");
    assert!(world.quota.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_sites_own_key_is_used_and_wins_over_the_operators() {
    use crate::testing::{MODEL, choice};
    use crate::{ModelAccount, OwnKey};
    use posx_kernel::SecretKeeper as _;
    use secrecy::ExposeSecret as _;

    let world = world([]);
    let place = ModelAccount::key_place(scope().site(), Purpose::StaffChat);
    let sealed = world.secrets.seal(&place, b"sk-the-sites-own").await.unwrap();
    let account = ModelAccount::new(Purpose::StaffChat, choice("main", MODEL), DateTime::UNIX_EPOCH);
    let own = OwnKey {
        sealed,
        last4: "-own".to_owned(),
    };
    world
        .setups
        .put_account(&scope(), account.with_key(Some(own), DateTime::UNIX_EPOCH));
    complete(&world).await.unwrap();
    let (endpoint, _) = world.model.tries().remove(0);
    assert_eq!(endpoint.key.as_ref().unwrap().expose_secret(), "sk-the-sites-own");
    assert!(!format!("{endpoint:?}").contains("sites-own"));
    assert!(!settled(&world).await.reservation.operator_pays);
}

/// A fallback has the operator's key.
#[tokio::test(start_paused = true)]
async fn the_operator_pays_unless_the_site_does_alone() {
    use crate::testing::{FALLBACK_MODEL, MODEL, choice};
    use crate::{ModelAccount, OwnKey};
    use posx_kernel::SecretKeeper as _;

    let world = world([]);
    complete(&world).await.unwrap();
    assert!(settled(&world).await.reservation.operator_pays);
    let (place, at) = (
        ModelAccount::key_place(scope().site(), Purpose::StaffChat),
        DateTime::UNIX_EPOCH,
    );
    let own = OwnKey {
        sealed: world.secrets.seal(&place, b"sk-the-sites-own").await.unwrap(),
        last4: "-own".to_owned(),
    };
    let account = ModelAccount::new(Purpose::StaffChat, choice("main", MODEL), at)
        .choose(choice("main", MODEL), Some(choice("other", FALLBACK_MODEL)), at)
        .with_key(Some(own), at);
    world.setups.put_account(&scope(), account);
    let answer = complete(&world).await.unwrap();
    assert!(world.gateway.drain(Duration::from_mins(1)).await);
    assert!(world.quota.call(answer.call).unwrap().reservation.operator_pays);
}
