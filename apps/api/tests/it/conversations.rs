//! The chats over HTTP, with a model that is scripted.

mod refusals;

use std::sync::Arc;

use actix_web::web;
use posx_api::ApiState;
use posx_assistant::testing::{GatewayWorld, Script, ScriptedModel};
use posx_assistant::{ChatParts, Chats, FinishReason, ModelEvent};
use posx_kernel::SiteScope;
use posx_tenancy::{Module, Role, Site};
use serde_json::{Value, json};

use crate::objects::furnish;
use crate::world::{Answer, Call, Person, Scene, api};

/// A scene whose sites ask this model.
async fn scene(model: ScriptedModel) -> Scene {
    let gateway = GatewayWorld::new(model);
    let scene = scene_on(&gateway).await;
    for site in [&scene.site, &scene.other] {
        gateway.allow(&SiteScope::of_claimed_job(site.id));
    }
    scene
}

/// A scene whose sites ask through this gateway.
async fn scene_on(gateway: &GatewayWorld) -> Scene {
    asking(Scene::new().await, gateway)
}

fn asking(scene: Scene, gateway: &GatewayWorld) -> Scene {
    let mut services = scene.state.services.clone();
    let db = Arc::new(services.database.clone());
    services.chats = Chats::new(ChatParts {
        db: db.clone(),
        gateway: gateway.gateway.clone(),
        staff: db.clone(),
        public: db,
        clock: services.clock.clone(),
        ids: services.ids.clone(),
        randomness: services.randomness.clone(),
    });
    let state = ApiState::new(services, scene.settings.server.clone());
    Scene {
        state: web::Data::new(state),
        ..scene
    }
}

const TALKS: &str = "/api/v1/assistant/conversations";

fn talk(site: &Site, person: &Person) -> Call {
    Call::post(TALKS)
        .at(site)
        .by(person)
        .key("talk")
        .json(&json!({ "title": "Sales" }))
}

fn question(path: &str, site: &Site, person: &Person, key: &str, text: &str) -> Call {
    let call = Call::post(path).at(site).by(person).key(key);
    call.json(&json!({ "message": text }))
}

/// What an answer came as: event and data.
fn events(answer: &Answer) -> Vec<(String, Value)> {
    let text = String::from_utf8(answer.bytes.clone()).expect("text");
    let event = |block: &str| {
        let (event, data) = block.strip_prefix("event: ")?.split_once("\ndata: ")?;
        Some((event.to_owned(), serde_json::from_str(data).expect("JSON")))
    };
    text.split("\n\n").filter_map(event).collect()
}

#[actix_web::test]
async fn a_manager_asks_and_is_answered_from_the_sites_orders() {
    let model = ScriptedModel::answering(|call| match call.messages.len() {
        1 => Script::tool_call("find_orders", &json!({ "payment": "paid" })),
        _ => Script::text("One is paid."),
    });
    let scene = scene(model).await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let manager = scene.member(&scene.other, Role::Manager).await;
    let made = talk(&scene.other, &manager).send(&app).await.expect(201);
    let path = made.header("location").to_owned();
    assert_eq!(made.json["title"], "Sales");
    let messages = format!("{path}/messages");
    let asked = question(&messages, &scene.other, &manager, "one", "What is paid?");
    let answer = asked.send(&app).await.expect(200);
    assert_eq!(
        (&answer.json["answer"], &answer.json["state"]),
        (&json!("One is paid."), &json!("answered"))
    );
    let cited = answer.json["citations"].as_array().expect("citations");
    let order = json!({ "kind": "order", "id": objects.order });
    assert!(cited.contains(&order), "{cited:?}");

    let again = question(&messages, &scene.other, &manager, "one", "What is paid?")
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.json),
        ("true", &answer.json)
    );
    let listed = Call::get(&messages)
        .at(&scene.other)
        .by(&manager)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(listed.json["items"], json!([answer.json]));

    // Another member's talk is not there, whatever their role.
    let owner = &objects.owner;
    let theirs = Call::get(&path).at(&scene.other).by(owner).send(&app).await;
    theirs.refused(404, "conversation_not_found");
    question(&messages, &scene.other, owner, "two", "And mine?")
        .send(&app)
        .await
        .refused(404, "conversation_not_found");
    let gone = Call::new("DELETE", &path)
        .at(&scene.other)
        .by(&manager)
        .send(&app)
        .await;
    assert_eq!(gone.status, 204);
    Call::get(&messages)
        .at(&scene.other)
        .by(&manager)
        .send(&app)
        .await
        .refused(404, "conversation_not_found");
}

#[actix_web::test]
async fn an_answer_comes_while_it_is_made() {
    let words = ["One ", "two ", "three."].map(|word| ModelEvent::Text(word.to_owned()));
    let model = ScriptedModel::new([Script::events(words).usage(10, 3).finish(FinishReason::Stop)]);
    let scene = scene(model).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let made = talk(&scene.site, &owner).send(&app).await.expect(201);
    let path = format!("{}/messages", made.header("location"));
    let asked = question(&path, &scene.site, &owner, "one", "Count")
        .header("accept", "text/event-stream")
        .header("accept-encoding", "gzip");
    let answer = asked.send(&app).await.expect(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(
        (answer.header("content-encoding"), answer.header("cache-control")),
        ("identity", "no-store")
    );
    let events = events(&answer);
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["delta", "delta", "delta", "done"]);
    assert_eq!(events[0].1, json!({ "text": "One " }));
    assert_eq!(events[3].1["answer"], "One two three.");
}

#[actix_web::test]
async fn what_breaks_off_while_it_is_made_ends_with_an_error_and_before_it_with_a_status() {
    let broken = || Script::events([ModelEvent::Text("Half ".to_owned())]);
    let scene = scene(ScriptedModel::new([broken(), broken(), Script::events([])])).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let made = talk(&scene.site, &owner).send(&app).await.expect(201);
    let path = format!("{}/messages", made.header("location"));
    let asked = |key: &str| question(&path, &scene.site, &owner, key, "All of it");
    let streamed = asked("one")
        .header("accept", "text/event-stream")
        .send(&app)
        .await
        .expect(200);
    let last = events(&streamed).pop().expect("an event");
    assert_eq!(
        last,
        (
            "error".to_owned(),
            json!({ "code": "model_answer_broke_off", "status": 503 })
        )
    );
    asked("two")
        .send(&app)
        .await
        .refused(503, "model_answer_broke_off");
    let nothing = asked("three")
        .header("accept", "text/event-stream")
        .send(&app)
        .await;
    nothing.refused(503, "model_answer_broke_off");
    let kept = Call::get(&path)
        .at(&scene.site)
        .by(&owner)
        .send(&app)
        .await
        .expect(200);
    let states: Vec<_> = (0..3)
        .map(|at| kept.text(&format!("/items/{at}/state")))
        .collect();
    assert_eq!(states, ["failed", "broken_off", "broken_off"]);
}

#[actix_web::test]
async fn bad_questions_are_refused_by_field_and_too_many_by_time() {
    let scene = scene(ScriptedModel::default()).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let made = talk(&scene.site, &owner).send(&app).await.expect(201);
    let path = format!("{}/messages", made.header("location"));
    let ask = async |key: &str, text: &str| question(&path, &scene.site, &owner, key, text).send(&app).await;
    let empty = ask("a", "  ").await;
    assert_eq!(empty.field(), "message");
    empty.refused(422, "message_empty");
    let long = ask("b", &"x".repeat(2_001)).await;
    assert_eq!(long.field(), "message");
    long.refused(413, "message_too_long");
    let unknown = Call::post(&path).at(&scene.site).by(&owner).key("c");
    let unknown = unknown
        .json(&json!({ "message": "Hi", "model": "dearest" }))
        .send(&app)
        .await;
    unknown.refused(422, "field_unknown");
    let title = Call::post(TALKS)
        .at(&scene.site)
        .by(&owner)
        .key("d")
        .json(&json!({ "title": "" }));
    title.send(&app).await.refused(422, "conversation_title_invalid");
    // A slow machine earns a question more every ten seconds.
    let mut answered = 0;
    let many = loop {
        let answer = ask(&format!("many-{answered}"), "Hello").await;
        if answer.status != 200 {
            break answer;
        }
        answered += 1;
    };
    assert!((28..40).contains(&answered), "{answered}");
    assert!(!many.header("retry-after").is_empty());
    assert!(
        many.header("ratelimit-policy")
            .starts_with("\"assistant_messages\";q=30;w=300"),
        "{many:?}"
    );
    many.refused(429, "rate_limited");
    let viewer = scene.member(&scene.site, Role::Viewer).await;
    let made = talk(&scene.site, &viewer).send(&app).await.expect(201);
    let path = format!("{}/messages", made.header("location"));
    question(&path, &scene.site, &viewer, "one", "Hello")
        .send(&app)
        .await
        .expect(200);
}

#[actix_web::test]
async fn a_visitor_talks_without_an_account_in_a_session_of_its_own() {
    let scene = scene(ScriptedModel::default()).await;
    let app = api(&scene).await;
    let chat =
        |site: &Site, body: &Value| Call::post(&format!("/api/v1/storefront/{}/chat", site.code)).json(body);
    let first = chat(&scene.site, &json!({ "message": "Hello" }))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(first.json["message"]["answer"], "Yes.");
    let token = first.text("/session/token");
    assert!(token.starts_with("psv_"));
    let ask = |message: &str| json!({ "message": message, "session": token });
    let second = chat(&scene.site, &ask("Still there?"))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(second.json.get("session"), None);
    let elsewhere = chat(&scene.other, &ask("And here?")).send(&app).await;
    assert_eq!(elsewhere.field(), "session");
    elsewhere.refused(422, "chat_session_over");
    // It opens the chat and nothing else.
    let visitor = Person {
        token: token.clone(),
        subject: String::new(),
    };
    Call::get("/api/v1/orders")
        .at(&scene.site)
        .by(&visitor)
        .send(&app)
        .await
        .refused(401, "unauthenticated");
    // Header and path name one site.
    let two = chat(&scene.site, &ask("Whose?"))
        .at(&scene.other)
        .send(&app)
        .await;
    two.refused(400, "site_ambiguous");
    let nowhere = Call::post("/api/v1/storefront/NOWHERE/chat").json(&ask("Hello"));
    nowhere.send(&app).await.refused(404, "site_unknown");
    let streamed = chat(&scene.site, &json!({ "message": "Hi" })).header("accept", "text/event-stream");
    let streamed = events(&streamed.send(&app).await.expect(200));
    let names: Vec<_> = streamed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["session", "delta", "done"]);
    // Eight more of this visitor, and eight more visitors of this address; a slow machine earns a few.
    for body in [ask("More"), json!({ "message": "New" })] {
        let mut answered = 0;
        let refused = loop {
            let answer = chat(&scene.site, &body).send(&app).await;
            if answer.status != 200 {
                break answer;
            }
            answered += 1;
        };
        assert!((8..12).contains(&answered), "{answered}");
        refused.refused(429, "rate_limited");
    }
}

#[actix_web::test]
async fn every_step_leaves_an_entry_and_no_word_of_what_was_said() {
    let scene = scene(ScriptedModel::new([Script::text("SECRET-ANSWER")])).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let made = talk(&scene.site, &owner).send(&app).await.expect(201);
    let path = made.header("location").to_owned();
    let messages = format!("{path}/messages");
    question(&messages, &scene.site, &owner, "one", "SECRET-QUESTION")
        .send(&app)
        .await
        .expect(200);
    Call::new("DELETE", &path)
        .at(&scene.site)
        .by(&owner)
        .send(&app)
        .await;
    let chat = format!("/api/v1/storefront/{}/chat", scene.site.code);
    Call::post(&chat)
        .json(&json!({ "message": "SECRET-QUESTION" }))
        .send(&app)
        .await
        .expect(200);
    let trail = Call::get("/api/v1/audit-trail")
        .at(&scene.site)
        .by(&owner)
        .send(&app)
        .await
        .expect(200);
    let entries: Vec<_> = trail.json["items"]
        .as_array()
        .expect("entries")
        .iter()
        .rev()
        .collect();
    let told = |entry: &&Value| {
        let kind = entry["kind"].as_str().unwrap_or_default();
        kind.starts_with("conversation.")
            .then(|| (kind.to_owned(), entry["actor"]["kind"].clone()))
    };
    let told: Vec<_> = entries.iter().filter_map(told).collect();
    let of = |kind: &str, actor: &str| (kind.to_owned(), json!(actor));
    assert_eq!(
        told,
        [
            of("conversation.created", "person"),
            of("conversation.asked", "person"),
            of("conversation.answered", "person"),
            of("conversation.deleted", "person"),
            of("conversation.created", "visitor"),
            of("conversation.asked", "visitor"),
            of("conversation.answered", "visitor"),
        ]
    );
    assert!(!trail.json.to_string().contains("SECRET"));
}

#[actix_web::test]
async fn retention_is_the_sites_to_choose() {
    let scene = scene(ScriptedModel::default()).await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let path = "/api/v1/assistant/retention";
    let found = Call::get(path)
        .at(&scene.site)
        .by(&owner)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        (&found.json["days"], found.header("etag")),
        (&json!(183), "\"1\"")
    );
    let set = |etag: &str, days: u32| {
        let call = Call::put(path)
            .at(&scene.site)
            .by(&owner)
            .header("if-match", etag);
        call.json(&json!({ "days": days }))
    };
    let after = set("\"1\"", 30).send(&app).await.expect(200);
    assert_eq!((&after.json["days"], after.header("etag")), (&json!(30), "\"2\""));
    set("\"1\"", 60).send(&app).await.refused(412, "version_stale");
    set("\"2\"", 0).send(&app).await.refused(422, "retention_invalid");
    let manager = scene.member(&scene.site, Role::Manager).await;
    let refused = Call::get(path).at(&scene.site).by(&manager).send(&app).await;
    refused.refused(403, "capability_missing");
}

#[actix_web::test]
async fn nothing_of_the_assistant_is_there_without_the_module() {
    let scene = scene(ScriptedModel::default()).await;
    let site = scene
        .platform
        .set_modules(scene.site.code.as_str(), &[Module::TokenSale])
        .await;
    let site = site.expect("switched off");
    assert_eq!(site.modules, [Module::TokenSale]);
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    talk(&scene.site, &owner)
        .send(&app)
        .await
        .refused(403, "module_off");
    for path in [TALKS, "/api/v1/assistant/retention"] {
        Call::get(path)
            .at(&scene.site)
            .by(&owner)
            .send(&app)
            .await
            .refused(403, "module_off");
    }
    let chat = format!("/api/v1/storefront/{}/chat", scene.site.code);
    let chat = Call::post(&chat)
        .json(&json!({ "message": "Hello" }))
        .send(&app)
        .await;
    chat.refused(403, "module_off");
}
