//! What is refused in both chats, with which status, and what a visitor keeps of it.

use std::time::Duration;

use chrono_tz::UTC;
use posx_assistant::testing::{FakeQuota, GatewayWorld, MODEL, Script, ScriptedModel, choice};
use posx_assistant::{
    BudgetScope, CONSENT_TEXT_VERSION, FinishReason, Limit, Limits, Message, Micros, ModelAccount, ModelCall,
    ModelError, ModelEvent, Period, Purpose,
};
use posx_kernel::{SiteScope, Timestamp};
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use super::{asking, question, scene, scene_on, talk};
use crate::objects::furnish;
use crate::world::{Answer, Call, Person, Scene, api};

fn chat(site: &Site, body: &Value) -> Call {
    Call::post(&format!("/api/v1/storefront/{}/chat", site.code)).json(body)
}

/// A talk of this member's, ready to be asked in.
async fn talk_of(scene: &Scene, person: &Person) -> String {
    let app = api(scene).await;
    let made = talk(&scene.site, person).send(&app).await.expect(201);
    format!("{}/messages", made.header("location"))
}

/// Until it is refused.
async fn asked_on(scene: &Scene, ask: impl Fn(usize) -> Call) -> Answer {
    let app = api(scene).await;
    for at in 0..20 {
        let answer = ask(at).send(&app).await;
        if answer.status != 200 {
            assert!(at > 0, "{}", answer.json);
            return answer;
        }
    }
    panic!("nothing was refused");
}

fn waits(refused: &Answer) {
    refused.refused(429, "model_budget_used_up");
    let seconds: u32 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=86_400).contains(&seconds), "{seconds}");
}

#[actix_web::test]
async fn a_used_up_day_is_429_with_the_time_to_wait_for_staff_and_for_visitors_old_and_new() {
    let dear = |_: &ModelCall| {
        let said = [ModelEvent::Text("Yes.".to_owned())];
        Script::events(said)
            .usage(1_000_000, 10)
            .finish(FinishReason::Stop)
    };
    let day = |scope| Limit {
        scope,
        purpose: None,
        period: Period::Day,
        limit_micros: Micros::new(30_000).expect("small"),
    };
    let limits = Limits::new(vec![day(BudgetScope::Member), day(BudgetScope::Visitors)]).expect("limits");
    let gateway = GatewayWorld::with_quota(ScriptedModel::answering(dear), FakeQuota::new(UTC, limits));
    let scene = scene_on(&gateway).await;
    gateway.allow(&SiteScope::of_claimed_job(scene.site.id));
    let app = api(&scene).await;

    let owner = scene.member(&scene.site, Role::Owner).await;
    let path = talk_of(&scene, &owner).await;
    let staff = |person: &Person, path: &str, at: usize| {
        question(path, &scene.site, person, &format!("key-{at}"), "What is paid?")
    };
    let refused = asked_on(&scene, |at| staff(&owner, &path, at)).await;
    waits(&refused);
    assert!(
        refused.text("/detail").contains("the member's day"),
        "{}",
        refused.json
    );
    let streamed = staff(&owner, &path, 99).header("accept", "text/event-stream");
    waits(&streamed.send(&app).await);
    let manager = scene.member(&scene.site, Role::Manager).await;
    let theirs = talk_of(&scene, &manager).await;
    staff(&manager, &theirs, 0).send(&app).await.expect(200);

    let hello = |session: &Value| chat(&scene.site, &json!({ "message": "Hello", "session": session }));
    let first = hello(&Value::Null).send(&app).await.expect(200);
    let token = first.json["session"]["token"].clone();
    let refused = asked_on(&scene, |_| hello(&token)).await;
    waits(&refused);
    assert!(
        refused.text("/detail").contains("the visitors' day"),
        "{}",
        refused.json
    );
    assert_eq!(refused.json.get("session"), None, "it has its session already");
    // Whoever comes now finds the day used up as well, and keeps the session for when it is not.
    for accept in ["application/json", "text/event-stream"] {
        let refused = hello(&Value::Null).header("accept", accept).send(&app).await;
        waits(&refused);
        waits(&hello(&refused.json["session"]["token"]).send(&app).await);
    }
}

/// What is wrong, what makes it so, and what both chats say.
type Case = (
    &'static str,
    fn(&GatewayWorld, &SiteScope),
    u16,
    &'static str,
    bool,
);

fn choose(gateway: &GatewayWorld, scope: &SiteScope, model: &str) {
    for purpose in Purpose::ALL {
        let account = ModelAccount::new(*purpose, choice("main", model), Timestamp::UNIX_EPOCH);
        gateway.setups.put_account(scope, account);
    }
}

fn consent(gateway: &GatewayWorld, scope: &SiteScope) {
    for purpose in Purpose::ALL {
        gateway.setups.put_consent(scope, *purpose, CONSENT_TEXT_VERSION);
    }
}

fn refusing(gateway: &GatewayWorld, scope: &SiteScope, error: fn() -> ModelError) {
    gateway.allow(scope);
    // One for the member, two for visitors.
    for _ in 0..3 {
        gateway.model.then(Script::error(error()));
    }
}

const CASES: &[Case] = &[
    (
        "no consent",
        |g, s| choose(g, s, MODEL),
        409,
        "model_consent_missing",
        false,
    ),
    ("no model", consent, 409, "model_not_chosen", false),
    (
        "a model that has no price",
        |g, s| {
            choose(g, s, "unheard-of");
            consent(g, s);
        },
        409,
        "model_without_price",
        false,
    ),
    (
        "a model that its provider does not know",
        |g, s| refusing(g, s, || ModelError::UnknownModel),
        409,
        "model_account_refused",
        true,
    ),
    (
        "a provider that does not answer",
        |g, s| refusing(g, s, || ModelError::TimedOut),
        503,
        "model_unavailable",
        true,
    ),
    (
        "a provider that refuses",
        |g, s| {
            refusing(g, s, || ModelError::Refused {
                code: "policy".into(),
            });
        },
        422,
        "model_refused",
        true,
    ),
];

#[actix_web::test]
async fn what_stops_an_answer_is_said_in_both_chats_and_takes_no_visitors_session() {
    for (name, make, status, code, comes) in CASES {
        let gateway = GatewayWorld::new(ScriptedModel::default());
        let scene = scene_on(&gateway).await;
        make(&gateway, &SiteScope::of_claimed_job(scene.site.id));
        let app = api(&scene).await;
        let owner = scene.member(&scene.site, Role::Owner).await;
        let path = talk_of(&scene, &owner).await;
        let staff = question(&path, &scene.site, &owner, "one", "What is paid?");
        staff.send(&app).await.refused(*status, code);
        let hello = |session: &Value| chat(&scene.site, &json!({ "message": "Hello", "session": session }));
        for accept in ["application/json", "text/event-stream"] {
            let refused = hello(&Value::Null).header("accept", accept).send(&app).await;
            refused.refused(*status, code);
            let session = &refused.json["session"]["token"];
            assert_eq!(session.is_string(), *comes, "{name}: {}", refused.json);
            if accept == "text/event-stream" && *comes {
                // The provider is well again, and the session goes on.
                hello(session).send(&app).await.expect(200);
            }
        }
        assert_eq!(visitors(&scene).await, if *comes { 2 } else { 0 }, "{name}");
    }
}

/// Who has come to the site's chat, by its history.
async fn visitors(scene: &Scene) -> usize {
    let app = api(scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let trail = Call::get("/api/v1/audit-trail").at(&scene.site).by(&owner);
    let trail = trail.send(&app).await.expect(200);
    let entries = trail.json["items"].as_array().expect("entries").iter();
    let came =
        |entry: &&Value| entry["kind"] == "conversation.created" && entry["actor"]["kind"] == "visitor";
    entries.filter(came).count()
}

#[actix_web::test]
async fn one_address_asks_thirty_times_in_five_minutes_in_however_many_sessions() {
    let scene = scene(ScriptedModel::default()).await;
    let app = api(&scene).await;
    let mut answered = 0;
    let refused = 'full: loop {
        let mut session = Value::Null;
        for _ in 0..5 {
            let body = json!({ "message": "Hello", "session": session });
            let answer = chat(&scene.site, &body).send(&app).await;
            if answer.status != 200 {
                break 'full answer;
            }
            answered += 1;
            if session.is_null() {
                session = answer.json["session"]["token"].clone();
            }
        }
        assert!(answered < 60, "nothing was refused");
    };
    // A slow machine earns a question more every ten seconds.
    assert!((30..40).contains(&answered), "{answered}");
    refused.refused(429, "rate_limited");
    assert!(
        refused
            .header("ratelimit-policy")
            .starts_with("\"chat_address\";q=30;w=300"),
        "{refused:?}"
    );
    assert!(!refused.header("retry-after").is_empty());
    // Another shop's visitors are others.
    let elsewhere = chat(&scene.other, &json!({ "message": "Hello" }));
    elsewhere.send(&app).await.expect(200);
}

#[actix_web::test]
async fn a_visitor_whose_first_answer_takes_too_long_keeps_the_session() {
    let slow = Script::text("Yes.").after(Duration::from_secs(20));
    let gateway = GatewayWorld::new(ScriptedModel::new([slow]));
    let scene = Scene::with(|settings| settings.server.request_timeout_s = 3).await;
    let scene = asking(scene, &gateway);
    gateway.allow(&SiteScope::of_claimed_job(scene.site.id));
    let app = api(&scene).await;
    let hello = chat(&scene.site, &json!({ "message": "Hello" }));
    let refused = hello.send(&app).await;
    refused.refused(503, "request_timed_out");
    assert!(refused.text("/session/token").starts_with("psv_"));
}

/// What tools told.
fn told(model: &ScriptedModel) -> Vec<String> {
    let calls = model.calls();
    let messages = calls.iter().flat_map(|call| &call.messages);
    let told = messages.filter_map(|message| match message {
        Message::Tool { content, .. } => Some(content.clone()),
        _ => None,
    });
    told.collect()
}

#[actix_web::test]
async fn a_viewer_is_told_of_tiers_without_what_is_left_and_a_manager_with_it() {
    let model = ScriptedModel::answering(|call| match call.messages.len() {
        1 => Script::tool_call("list_tiers", &json!({})),
        _ => Script::text("Some."),
    });
    let scene = scene(model.clone()).await;
    let app = api(&scene).await;
    furnish(&scene, &app, &scene.site).await;
    for (role, sees) in [(Role::Viewer, false), (Role::Manager, true)] {
        let person = scene.member(&scene.site, role).await;
        let path = talk_of(&scene, &person).await;
        let asked = question(&path, &scene.site, &person, "one", "How many are left?");
        asked.send(&app).await.expect(200);
        let told = told(&model).pop().expect("a tool told something");
        let told: Value = serde_json::from_str(&told).expect("JSON");
        let tier = &told["rows"][0]["row"];
        assert!(tier["name"].is_string(), "{told}");
        assert_eq!(tier.get("stock").is_some(), sees, "{role:?}: {told}");
    }
}

#[actix_web::test]
async fn what_is_too_long_is_told_the_limit() {
    let scene = scene(ScriptedModel::default()).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let path = talk_of(&scene, &owner).await;
    let long = "x".repeat(2_001);
    let staff = question(&path, &scene.site, &owner, "one", &long)
        .send(&app)
        .await;
    let visitor = chat(&scene.site, &json!({ "message": long })).send(&app).await;
    for refused in [staff, visitor] {
        refused.refused(413, "message_too_long");
        assert!(refused.text("/detail").contains("2000"), "{}", refused.json);
        assert_eq!(refused.json.get("session"), None);
    }
    let paper =
        json!({ "name": "a.pdf", "media_type": "application/pdf", "bytes": 20_971_521, "kind": "order" });
    let announced = Call::post("/api/v1/documents")
        .at(&scene.site)
        .by(&owner)
        .key("one");
    let refused = announced.json(&paper).send(&app).await;
    refused.refused(413, "document_too_large");
    assert!(refused.text("/detail").contains("20971520"), "{}", refused.json);
}
