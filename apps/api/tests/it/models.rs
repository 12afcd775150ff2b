//! Models, keys and consents of a site, and a call of the gateway on all of it.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_assistant::{Ask, Asker, AssistantError, FinishReason, Message, Part, Purpose};
use posx_kernel::{Ids as _, Refusal as _, SiteScope, SystemIds, VisitorId};
use posx_sandbox::{Fault, ModelsCall};
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::world::{Call, Person, Scene, api};

const PATH: &str = "/api/v1/assistant/models/staff_chat";
const CONSENT: &str = "/api/v1/assistant/consents/staff_chat";
const KEY: &str = "sk-GiVeN-bY-tHe-SiTe-1234";

/// A model with a key of the site's own, at version 2, and no consent.
pub async fn furnish<S, B>(app: &S, site: &Site, owner: &Person)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let choose = Call::put(PATH).json(&sandbox()).header("if-match", "\"0\"");
    choose.by(owner).at(site).send(app).await.expect(200);
    let give = Call::put(&format!("{PATH}/key")).json(&json!({ "key": KEY }));
    give.header("if-match", "\"1\"")
        .by(owner)
        .at(site)
        .send(app)
        .await
        .expect(200);
}

fn sandbox() -> Value {
    json!({ "main": { "provider": "sandbox", "model": "sandbox-1" } })
}

#[actix_web::test]
async fn a_model_is_chosen_with_a_key_that_is_never_shown_again() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.by(&owner).at(&scene.site);
    let providers = staff(Call::get("/api/v1/assistant/providers"))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        providers.json["items"],
        json!([{ "name": "sandbox", "kind": "openai", "has_key": true, "models": ["sandbox-1"] }])
    );
    staff(Call::get(PATH))
        .send(&app)
        .await
        .refused(404, "model_account_not_found");
    let choose =
        |body: Value, etag: &'static str| staff(Call::put(PATH)).json(&body).header("if-match", etag);
    staff(Call::put(PATH))
        .json(&sandbox())
        .send(&app)
        .await
        .refused(428, "if_match_missing");
    let unknown = json!({ "main": { "provider": "sandbox", "model": "sandbox-9" } });
    choose(unknown, "\"0\"")
        .send(&app)
        .await
        .refused(422, "model_unknown");
    let address = json!({ "main": { "provider": "sandbox", "model": "sandbox-1", "base_url": "http://169.254.169.254" } });
    choose(address, "\"0\"")
        .send(&app)
        .await
        .refused(422, "field_unknown");
    let chosen = choose(sandbox(), "\"0\"").send(&app).await.expect(200);
    assert_eq!(chosen.header("etag"), "\"1\"");
    choose(sandbox(), "\"0\"")
        .send(&app)
        .await
        .refused(412, "version_stale");

    let give = || staff(Call::put(&format!("{PATH}/key"))).json(&json!({ "key": KEY }));
    let given = give().header("if-match", "\"1\"").send(&app).await.expect(200);
    assert_eq!(given.json["own_key_last4"], "1234");
    let listed = staff(Call::get("/api/v1/assistant/models"))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(listed.json["items"], json!([given.json]));
    let trail = staff(Call::get("/api/v1/audit-trail"))
        .send(&app)
        .await
        .expect(200);
    for answer in [&given, &listed, &trail] {
        let text = String::from_utf8_lossy(&answer.bytes);
        assert!(!text.contains("GiVeN"), "{text}");
    }
    let removed = staff(Call::new("DELETE", &format!("{PATH}/key"))).header("if-match", "\"2\"");
    let removed = removed.send(&app).await.expect(200);
    assert!(removed.json.get("own_key_last4").is_none());
    staff(Call::get("/api/v1/assistant/models/telepathy"))
        .send(&app)
        .await
        .refused(404, "purpose_not_found");
    let manager = scene.member(&scene.site, Role::Manager).await;
    Call::get(PATH)
        .by(&manager)
        .at(&scene.site)
        .send(&app)
        .await
        .refused(403, "capability_missing");
}

#[actix_web::test]
async fn a_consent_is_given_by_somebody_and_withdrawn_and_both_are_kept() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.by(&owner).at(&scene.site);
    let give = |version: u16| staff(Call::put(CONSENT)).json(&json!({ "text_version": version }));
    give(9)
        .send(&app)
        .await
        .refused(422, "model_consent_text_outdated");
    let given = give(1).send(&app).await.expect(200);
    assert!(given.text("/given_by").starts_with("idn_"));
    assert_eq!(given.json["holds"], true);
    assert_eq!(
        give(1).send(&app).await.expect(200).json,
        given.json,
        "again changes nothing"
    );
    let withdraw = || staff(Call::new("DELETE", CONSENT));
    withdraw().send(&app).await.expect(204);
    withdraw()
        .send(&app)
        .await
        .refused(404, "model_consent_not_found");
    give(1).send(&app).await.expect(200);
    let listed = staff(Call::get("/api/v1/assistant/consents"))
        .send(&app)
        .await
        .expect(200);
    let numbers: Vec<_> = (0..2_usize)
        .map(|at| listed.json["items"][at]["holds"].clone())
        .collect();
    assert_eq!(numbers, [json!(true), json!(false)]);
    assert!(listed.text("/items/1/withdrawn_by").starts_with("idn_"));
}

async fn ask(scene: &Scene, text: &str) -> Result<posx_assistant::Answer, AssistantError> {
    let scope = SiteScope::of_verified_request(scene.site.id);
    let visitor = VisitorId::from_uuid(SystemIds.uuid(posx_kernel::Clock::now(scene.clock.as_ref())));
    let ask = Ask {
        purpose: Purpose::StaffChat,
        asker: Asker::Visitor(visitor),
        system: "Answer shortly.".to_owned(),
        messages: vec![Message::User(vec![Part::Text(text.to_owned())])],
        tools: Vec::new(),
        answer_schema: None,
        max_output_tokens: 50,
    };
    scene.state.gateway.complete(&scope, ask).await
}

#[actix_web::test]
async fn the_gateway_asks_the_chosen_model_while_the_consent_holds() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.by(&owner).at(&scene.site);
    assert_eq!(
        ask(&scene, "Hello?").await.unwrap_err().code(),
        "model_consent_missing"
    );
    let give = staff(Call::put(CONSENT)).json(&json!({ "text_version": 1 }));
    give.send(&app).await.expect(200);
    assert_eq!(
        ask(&scene, "Hello?").await.unwrap_err().code(),
        "model_not_chosen"
    );
    furnish(&app, &scene.site, &owner).await;

    let answer = ask(&scene, "[[say 3]]").await.unwrap();
    assert_eq!(
        (answer.text.as_str(), answer.finish),
        ("word1 word2 word3", FinishReason::Stop)
    );
    assert!(answer.usage.output == 3 && answer.usage.input > 0);
    let line = scene.world.models().line();
    line.inject(ModelsCall::Completion, Fault::ServerError, 2);
    ask(&scene, "[[say 3]]").await.unwrap();
    assert_eq!(line.calls(ModelsCall::Completion), 4, "the third try answered");

    staff(Call::new("DELETE", CONSENT)).send(&app).await.expect(204);
    assert_eq!(
        ask(&scene, "Hello?").await.unwrap_err().code(),
        "model_consent_missing"
    );
    assert_eq!(line.calls(ModelsCall::Completion), 4);
}
