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

use crate::objects::{self, WALLET};
use crate::world::{Answer, Call, Person, Scene, api};

const DOCUMENTS: &str = "/api/v1/documents";
const PAPER: &str = "Our new customer: Gamma SA\nVAT FR40303265045\nParis\n";

fn announced(site: &Site, person: &Person, bytes: usize) -> Call {
    announced_as(site, person, "customer", bytes)
}

fn announced_as(site: &Site, person: &Person, kind: &str, bytes: usize) -> Call {
    let body = json!({ "name": "gamma.txt", "media_type": "text/plain", "bytes": bytes, "kind": kind });
    let call = Call::post(DOCUMENTS).at(site).by(person);
    call.key(&format!("paper-of-{kind}")).json(&body)
}

/// The paper, as far as being looked at.
async fn uploaded<S, B>(app: &S, site: &Site, person: &Person) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    uploaded_as(app, site, person, ("customer", PAPER)).await
}

async fn uploaded_as<S, B>(app: &S, site: &Site, person: &Person, paper: (&str, &'static str)) -> String
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let (kind, text) = paper;
    let made = announced_as(site, person, kind, text.len())
        .send(app)
        .await
        .expect(201);
    let id = made.text("/id");
    let content = Call::new("PUT", &made.text("/upload/url")).at(site).by(person);
    content.raw("text/plain", text).send(app).await.expect(204);
    let confirm = Call::post(&format!("{DOCUMENTS}/{id}/uploaded"))
        .at(site)
        .by(person);
    assert_eq!(confirm.send(app).await.expect(200).json["state"], "uploaded");
    id
}

fn said(value: &str) -> Value {
    json!({ "value": value, "confidence": 95, "page": 1, "quote": value })
}

/// What the job does, with a model that reads the paper right.
async fn read(scene: &Scene, site: &Site, id: &str) {
    let answer = json!({
        "name": said("Gamma SA"), "tax_number": said("FR40303265045"), "phone": null, "country": null, "address": said("Paris"),
    });
    read_as(scene, site, id, &answer).await;
}

async fn read_as(scene: &Scene, site: &Site, id: &str, answer: &Value) {
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
async fn an_order_from_a_paper_goes_to_the_wallet_that_its_buyer_bound_and_to_no_other() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = objects::furnish(&scene, &app, &scene.other).await;
    let (site, owner, buyer) = (&scene.other, &objects.owner, &objects.buyer);
    let staff = |call: Call| call.at(site).by(owner);
    let order = staff(Call::get(&format!("/api/v1/orders/{}", objects.order)));
    let party = order.send(&app).await.expect(200).text("/buyer_id");
    let paper = "Order PO-77 of Carla\nSeeds 2 100.000 200.000\nTotal KWD 200.000\n";
    let id = uploaded_as(&app, site, owner, ("order", paper)).await;
    let line = json!({ "description": said("Seeds"), "quantity": said("2"), "unit_price": said("100.000"), "amount": said("200.000") });
    let answer = json!({
        "customer_name": said("Carla"), "customer_tax_number": null, "number": said("PO-77"), "currency": said("KWD"),
        "lines": [line], "subtotal": null, "discount": null, "tax": null, "shipping": null, "total": said("200.000"),
    });
    read_as(&scene, site, &id, &answer).await;
    let path = format!("{DOCUMENTS}/{id}");
    let choose = json!({ "order": { "buyer": party, "tiers": [objects.tier] } });
    let edit = staff(Call::new("PATCH", &format!("{path}/draft"))).header("if-match", "\"1\"");
    let drafted = edit.json(&choose).send(&app).await.expect(200);
    assert_eq!(codes(&drafted), Vec::<&str>::new());

    let bind = Call::put("/api/v1/me/wallets/EVM").at(site).by(buyer);
    let bind = bind.json(&json!({ "address": WALLET }));
    bind.send(&app).await.expect(200);
    let accept = |key: &str, body: Value| {
        let call = staff(Call::post(&format!("{path}/draft/accept")));
        call.header("if-match", drafted.header("etag"))
            .key(key)
            .json(&body)
    };
    let theirs = json!({ "wallet_address": "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359" });
    let refused = accept("a", theirs).send(&app).await;
    assert_eq!(refused.field(), "wallet_address");
    refused.refused(409, "document_draft_wallet_bound");
    let open = staff(Call::get(&path)).send(&app).await.expect(200);
    assert_eq!(
        (&open.json["draft"]["state"], open.header("etag")),
        (&json!("proposed"), drafted.header("etag"))
    );
    let accepted = accept("b", json!({})).send(&app).await.expect(200);
    assert_eq!(accepted.json["draft"]["state"], "accepted");
    let order = format!("/api/v1/orders/{}", accepted.text("/draft/order_id"));
    let order = staff(Call::get(&order)).send(&app).await.expect(200);
    assert_eq!(order.json["wallet_address"], WALLET);
    let again = accept("b", json!({})).send(&app).await.expect(200);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.json),
        ("true", &accepted.json)
    );
    let anew = accept("c", json!({})).send(&app).await;
    anew.refused(412, "version_stale");
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
