use std::time::Duration;

use futures::StreamExt as _;
use posx_kernel::Kind;
use posx_tenancy::Site;

use super::world::{World, here, refused, scope};
use crate::conversation::Outcome;
use crate::testing::{FakeQuota, GatewayWorld, Script, ScriptedModel, Step};
use crate::{BudgetScope, ChatEvent, Limit, Limits, Micros, ModelError, Period, Reply};

fn slow() -> Script {
    Script::events([crate::ModelEvent::Text("One ".to_owned())])
        .wait(Duration::from_mins(1))
        .say("two")
        .usage(100, 2)
        .finish(crate::FinishReason::Stop)
}

async fn eventually(is_so: impl Fn() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to be so");
}

async fn begin(world: &World, site: &Site, conversation: posx_kernel::ConversationId) -> Reply {
    let question = world.question(conversation, "Count");
    world.chats.ask(&scope(site), site, question, None).await.unwrap()
}

#[tokio::test]
async fn l04_a_reader_who_leaves_ends_the_answer_which_is_kept_and_settled() {
    let world = World::new(ScriptedModel::new([slow()]));
    let conversation = world.conversation().await;
    let Reply::Now(mut events) = begin(&world, &here(), conversation).await else {
        panic!("new");
    };
    assert_eq!(
        events.next().await.unwrap().unwrap(),
        ChatEvent::Text("One ".to_owned())
    );
    drop(events);
    eventually(|| world.store.messages()[0].answered.is_some()).await;
    let kept = world.store.messages()[0].answered.clone().unwrap();
    assert_eq!(
        (kept.outcome, kept.text.as_str(), kept.reason.as_deref()),
        (Outcome::BrokenOff, "One ", Some("client_left"))
    );
    eventually(|| {
        world
            .gateway
            .quota
            .calls()
            .iter()
            .all(|call| call.spent.is_some())
    })
    .await;
}

#[tokio::test]
async fn l04_a_reader_who_leaves_before_the_first_word_ends_the_answer_as_well() {
    let late = Script::text("Late.").after(Duration::from_secs(20));
    let world = World::new(ScriptedModel::new([late]));
    let conversation = world.conversation().await;
    let Reply::Now(events) = begin(&world, &here(), conversation).await else {
        panic!("new");
    };
    eventually(|| world.gateway.model.calls().len() == 1).await;
    drop(events);
    assert!(world.gateway.gateway.drain(Duration::from_secs(5)).await);
    let kept = world.store.messages()[0].answered.clone().unwrap();
    assert_eq!(
        (kept.outcome, kept.reason.as_deref()),
        (Outcome::BrokenOff, Some("client_left"))
    );
    let call = world.gateway.quota.calls().remove(0);
    assert_eq!(call.spent.unwrap().outcome, "client_left");
}

#[tokio::test]
async fn a_model_that_breaks_off_leaves_what_it_said() {
    let broken = Script::events([crate::ModelEvent::Text("Half ".to_owned())])
        .step(Step::Fail(ModelError::Broken("cut".into())));
    let world = World::new(ScriptedModel::new([broken]));
    let conversation = world.conversation().await;
    let said = world.ask(conversation, "All of it").await;
    assert_eq!(refused(said), ("model_answer_broke_off", Kind::Unavailable));
    let kept = world.store.messages()[0].answered.clone().unwrap();
    assert_eq!((kept.outcome, kept.text.as_str()), (Outcome::BrokenOff, "Half "));
}

#[tokio::test]
async fn a_member_waits_for_three_answers_at_a_time() {
    let world = World::new(ScriptedModel::answering(|_| slow()));
    let conversation = world.conversation().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(begin(&world, &here(), conversation).await);
    }
    let fourth = world.ask(conversation, "And this?").await;
    assert_eq!(refused(fourth), ("answers_open_limit", Kind::UsedUp));
    open.pop();
    eventually(|| world.store.messages().iter().any(|one| one.answered.is_some())).await;
    begin(&world, &here(), conversation).await;
}

#[tokio::test]
async fn with_the_budget_gone_nothing_is_sent_and_the_question_says_why_it_has_no_answer() {
    let none_today = Limit {
        scope: BudgetScope::Member,
        purpose: None,
        period: Period::Day,
        limit_micros: Micros::ZERO,
    };
    let limits = Limits::new(vec![none_today]).unwrap();
    let quota = FakeQuota::new(chrono_tz::UTC, limits);
    let world = World::of(GatewayWorld::with_quota(ScriptedModel::default(), quota));
    let conversation = world.conversation().await;
    let said = world.ask(conversation, "Anything").await;
    assert_eq!(refused(said), ("model_budget_used_up", Kind::UsedUp));
    assert_eq!(world.gateway.model.calls(), Vec::new());
    let kept = world.store.messages()[0].answered.clone().unwrap();
    assert_eq!(kept.reason.as_deref(), Some("model_budget_used_up"));
}
