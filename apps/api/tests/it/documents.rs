//! Documents and customers over HTTP.

use std::sync::Arc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_assistant::documents::{DocumentParts, Documents, ReadOutcome};
use posx_assistant::testing::{GatewayWorld, Script, ScriptedModel};
use posx_kernel::SiteScope;
use posx_objects::Folder;
use posx_pdftext::ChildReader;
use posx_tenancy::{Module, Role, Site};
use serde_json::{Value, json};

use crate::world::{Answer, Call, Person, Scene, api};

const DOCUMENTS: &str = "/api/v1/documents";
const PAPER: &str = "Our new customer: Gamma SA\nVAT FR40303265045\nParis\n";

fn announced(site: &Site, person: &Person, bytes: usize) -> Call {
    let body = json!({ "name": "gamma.txt", "media_type": "text/plain", "bytes": bytes, "kind": "customer" });
    Call::post(DOCUMENTS).at(site).by(person).key("paper").json(&body)
}

/// The paper, as far as being looked at.
async fn uploaded<S, B>(app: &S, site: &Site, person: &Person) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let made = announced(site, person, PAPER.len()).send(app).await.expect(201);
    let id = made.text("/id");
    let content = Call::new("PUT", &made.text("/upload/url")).at(site).by(person);
    content.raw("text/plain", PAPER).send(app).await.expect(204);
    let confirm = Call::post(&format!("{DOCUMENTS}/{id}/uploaded"))
        .at(site)
        .by(person);
    assert_eq!(confirm.send(app).await.expect(200).json["state"], "uploaded");
    id
}

/// What the job does, with a model that reads the paper right.
async fn read(scene: &Scene, site: &Site, id: &str) {
    let said = |value: &str| json!({ "value": value, "confidence": 95, "page": 1, "quote": value });
    let answer = json!({
        "name": said("Gamma SA"), "tax_number": said("FR40303265045"), "phone": null, "country": null, "address": said("Paris"),
    });
    let scope = SiteScope::of_claimed_job(site.id);
    let model = GatewayWorld::new(ScriptedModel::new([Script::text(&answer.to_string())]));
    model.allow(&scope);
    let services = &scene.state.services;
    let db = Arc::new(services.database.clone());
    let documents = Documents::new(DocumentParts {
        db: db.clone(),
        queries: db,
        storage: Arc::new(Folder::new(scene.papers.path().to_owned())),
        pdf: Arc::new(ChildReader::new("/nowhere".into())),
        gateway: model.gateway,
        orders: services.orders.clone(),
        customers: services.customers.clone(),
        clock: services.clock.clone(),
        ids: services.ids.clone(),
    });
    let outcome = documents
        .read(&scope, site, id.parse().expect("an id"))
        .await
        .expect("read");
    assert!(matches!(outcome, ReadOutcome::Draft(_)), "{outcome:?}");
}

/// A document with an open draft, and a customer.
pub async fn furnish<S, B>(scene: &Scene, app: &S, site: &Site, owner: &Person) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let id = uploaded(app, site, owner).await;
    read(scene, site, &id).await;
    let customer = Call::post("/api/v1/customers").at(site).by(owner).key("customer");
    let customer = customer.json(&json!({ "name": "Acme GmbH", "tax_number": "DE 136 695 976" }));
    (id, customer.send(app).await.expect(201).text("/id"))
}

fn codes(answer: &Answer) -> Vec<&str> {
    let findings = answer.json["draft"]["findings"].as_array().expect("findings");
    findings
        .iter()
        .map(|finding| finding["code"].as_str().expect("a code"))
        .collect()
}

#[actix_web::test]
async fn a_paper_becomes_a_customer_by_a_persons_hand_and_no_sooner() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.at(&scene.site).by(&owner);
    let id = uploaded(&app, &scene.site, &owner).await;
    let path = format!("{DOCUMENTS}/{id}");
    let waiting = staff(Call::get(&path)).send(&app).await.expect(200);
    assert_eq!(
        (&waiting.json["state"], waiting.json.get("draft")),
        (&json!("uploaded"), None)
    );
    let early = staff(Call::post(&format!("{path}/draft/accept")))
        .header("if-match", "\"1\"")
        .key("a")
        .json(&json!({}));
    early.send(&app).await.refused(404, "document_draft_not_found");

    read(&scene, &scene.site, &id).await;
    let drafted = staff(Call::get(&path)).send(&app).await.expect(200);
    assert_eq!(codes(&drafted), Vec::<&str>::new());
    let name = &drafted.json["draft"]["content"]["customer"]["name"];
    assert_eq!(
        (&name["value"], &name["evidence"]["page"]),
        (&json!("Gamma SA"), &json!(1))
    );
    let edit = |etag: &str, body: Value| {
        let call = staff(Call::new("PATCH", &format!("{path}/draft"))).header("if-match", etag);
        call.json(&body)
    };
    let wrong = edit(
        drafted.header("etag"),
        json!({ "customer": { "tax_number": "FR41303265045" } }),
    );
    let wrong = wrong.send(&app).await.expect(200);
    assert_eq!(codes(&wrong), ["tax_number_invalid"]);
    let accept = |etag: &str, key: &str, body: Value| {
        let call = staff(Call::post(&format!("{path}/draft/accept"))).header("if-match", etag);
        call.key(key).json(&body)
    };
    let refused = accept(wrong.header("etag"), "b", json!({})).send(&app).await;
    refused.refused(409, "document_draft_has_errors");
    let other_kind = edit(wrong.header("etag"), json!({ "order": {} }))
        .send(&app)
        .await;
    other_kind.refused(422, "document_draft_kind");
    let unread = edit(wrong.header("etag"), json!({ "customer": { "vat": "x" } }))
        .send(&app)
        .await;
    unread.refused(422, "field_unknown");
    let stale = edit(drafted.header("etag"), json!({ "customer": {} }))
        .send(&app)
        .await;
    stale.refused(412, "version_stale");
    let cured = edit(
        wrong.header("etag"),
        json!({ "customer": { "tax_number": "US12345678" } }),
    );
    let cured = cured.send(&app).await.expect(200);
    assert_eq!(codes(&cured), ["tax_number_unchecked"]);
    let unseen = accept(cured.header("etag"), "c", json!({})).send(&app).await;
    assert_eq!(unseen.field(), "acknowledged");
    unseen.refused(409, "document_draft_warnings_unseen");
    let seen = json!({ "acknowledged": ["tax_number_unchecked"] });
    let accepted = accept(cured.header("etag"), "d", seen.clone())
        .send(&app)
        .await
        .expect(200);
    let customer = accepted.text("/draft/customer_id");
    let again = accept(cured.header("etag"), "d", seen)
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        (
            again.header("idempotent-replayed"),
            again.text("/draft/customer_id")
        ),
        ("true", customer.clone())
    );
    let customer = staff(Call::get(&format!("/api/v1/customers/{customer}")))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(customer.json["tax_number"], "US12345678");
    let late = accept(accepted.header("etag"), "e", json!({})).send(&app).await;
    late.refused(409, "document_draft_not_open");
}

#[actix_web::test]
async fn a_file_that_was_not_announced_so_is_not_taken() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let staff = |call: Call| call.at(&scene.site).by(&owner);
    let made = announced(&scene.site, &owner, 5).send(&app).await.expect(201);
    let again = announced(&scene.site, &owner, 5).send(&app).await.expect(201);
    assert_eq!(made.text("/id"), again.text("/id"));
    let (url, path) = (
        made.text("/upload/url"),
        format!("{DOCUMENTS}/{}", made.text("/id")),
    );
    assert_eq!(
        made.json["upload"]["headers"],
        json!({ "content-type": "text/plain", "content-length": "5" })
    );
    let put = |kind: &str, body: &'static str| staff(Call::new("PUT", &url)).raw(kind, body);
    put("application/pdf", "%PDF-")
        .send(&app)
        .await
        .refused(422, "document_refused");
    put("text/plain", "longer")
        .send(&app)
        .await
        .refused(413, "body_too_large");
    put("text/plain", "less")
        .send(&app)
        .await
        .refused(422, "document_refused");
    let confirm = || staff(Call::post(&format!("{path}/uploaded")));
    confirm().send(&app).await.refused(409, "document_not_uploaded");
    let viewer = scene.member(&scene.site, Role::Viewer).await;
    let theirs = Call::new("PUT", &url)
        .at(&scene.site)
        .by(&viewer)
        .raw("text/plain", "right");
    theirs.send(&app).await.refused(403, "capability_missing");
    put("text/plain", "a\0b\0c").send(&app).await.expect(204);
    confirm().send(&app).await.refused(422, "document_refused");
    put("text/plain", "right")
        .send(&app)
        .await
        .refused(409, "document_not_awaited");
    let one = staff(Call::get(&path)).send(&app).await.expect(200);
    assert_eq!(
        (&one.json["state"], &one.json["reason"]),
        (&json!("refused"), &json!("type_differs"))
    );
    let listed = staff(Call::get(&format!("{DOCUMENTS}?state=refused&limit=1")))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(listed.json["items"][0]["id"], one.json["id"]);
    let none = staff(Call::get(&format!("{DOCUMENTS}?draft=accepted")))
        .send(&app)
        .await
        .expect(200);
    assert_eq!(none.json["items"], json!([]));

    let late = Call::post(DOCUMENTS).at(&scene.site).by(&owner).key("late");
    let body = json!({ "name": "late", "media_type": "text/csv", "bytes": 3, "kind": "order" });
    let late = late.json(&body).send(&app).await.expect(201);
    scene.clock.advance(chrono::TimeDelta::minutes(15));
    let put = staff(Call::new("PUT", &late.text("/upload/url"))).raw("text/csv", "a,b");
    put.send(&app).await.refused(409, "document_not_awaited");
}

#[actix_web::test]
async fn what_cannot_be_a_document_is_refused_with_its_field() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let announce = async |change: fn(&mut Value)| {
        let mut body =
            json!({ "name": "a.pdf", "media_type": "application/pdf", "bytes": 10, "kind": "order" });
        change(&mut body);
        let call = Call::post(DOCUMENTS)
            .at(&scene.site)
            .by(&owner)
            .key("bad")
            .json(&body);
        let answer = call.send(&app).await;
        (answer.status, answer.code().to_owned(), answer.field().to_owned())
    };
    let refused = |status, code: &str, field: &str| (status, code.to_owned(), field.to_owned());
    assert_eq!(
        announce(|b| b["name"] = json!(" ")).await,
        refused(422, "document_name_invalid", "name")
    );
    assert_eq!(
        announce(|b| b["bytes"] = json!(0)).await,
        refused(422, "document_empty", "bytes")
    );
    assert_eq!(
        announce(|b| b["bytes"] = json!(20_971_521)).await,
        refused(413, "document_too_large", "bytes")
    );
    assert_eq!(announce(|b| b["media_type"] = json!("text/html")).await.0, 422);
    assert_eq!(announce(|b| b["kind"] = json!("invoice")).await.0, 422);

    let fresh = Scene::new().await;
    fresh
        .platform
        .set_modules(fresh.site.code.as_str(), &[Module::TokenSale])
        .await
        .expect("set");
    let app = api(&fresh).await;
    let owner = fresh.member(&fresh.site, Role::Owner).await;
    let off = announced(&fresh.site, &owner, 5).send(&app).await;
    off.refused(403, "module_off");
}
