//! Batches over HTTP: a draft, its dry run, two approvals, pause and resume, the report.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::objects::{Objects, furnish};
use crate::world::{Answer, Call, Person, Scene, api};

const PATH: &str = "/api/v1/allocation-batches";

/// Two admins agree to what the batch says now.
pub async fn agree<S, B>(scene: &Scene, app: &S, site: &Site, batch: &str)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    for _ in 0..2 {
        let admin = scene.member(site, Role::Admin).await;
        let shown = Call::get(&format!("{PATH}/{batch}")).by(&admin).at(site);
        let hash = shown.send(app).await.expect(200).text("/hash");
        let approve = Call::post(&format!("{PATH}/{batch}/approve")).key(&admin.subject);
        let approve = approve.json(&json!({ "hash": hash })).by(&admin).at(site);
        approve.send(app).await.expect(200);
    }
}

/// Who acts on the furnished draft.
struct Desk<'a, S> {
    scene: &'a Scene,
    app: &'a S,
    objects: Objects,
}

impl<S, B> Desk<'_, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn get(&self, rest: &str) -> Answer {
        let path = format!("{PATH}/{}{rest}", self.objects.batch);
        let call = Call::get(&path).by(&self.objects.owner).at(&self.scene.site);
        call.send(self.app).await
    }

    async fn act(&self, verb: &str, key: Option<&str>, body: Option<Value>, by: &Person) -> Answer {
        let path = format!("{PATH}/{}/{verb}", self.objects.batch);
        let mut call = Call::post(&path).by(by).at(&self.scene.site);
        if let Some(key) = key {
            call = call.key(key).header("x-request-id", key);
        } else {
            call = call.header("x-request-id", verb);
        }
        if let Some(body) = body {
            call = call.json(&body);
        }
        call.send(self.app).await
    }

    async fn approve(&self, key: &str, hash: &str, by: &Person) -> Answer {
        self.act("approve", Some(key), Some(json!({ "hash": hash })), by)
            .await
    }
}

#[actix_web::test]
async fn p24_a_batch_is_sent_when_two_others_agreed_to_exactly_its_hash() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let desk = Desk {
        scene: &scene,
        app: &app,
        objects,
    };
    let (first, second) = (
        scene.member(&scene.site, Role::Admin).await,
        scene.member(&scene.site, Role::Admin).await,
    );
    let draft = desk.get("").await.expect(200);
    assert_eq!(
        (&draft.json["state"], &draft.json["approvals"]),
        (&json!("draft"), &json!([]))
    );
    let hash = draft.text("/hash");
    let dry = desk.get("/dry-run").await.expect(200);
    assert_eq!(dry.text("/hash"), hash);
    assert_eq!(
        (&dry.json["real_transfers"], &dry.json["blocked"]),
        (&json!(false), &json!([]))
    );
    assert_eq!(dry.json["totals"][0]["lines"], 1);
    assert!(dry.json["totals"][0]["balance"].is_string(), "{}", dry.json);

    desk.approve("own", &hash, &desk.objects.owner)
        .await
        .refused(403, "batch_own");
    let plain = scene.plain(&first);
    desk.approve("plain", &hash, &plain)
        .await
        .refused(403, "second_factor_needed");
    let blind = desk.approve("blind", &"0".repeat(64), &first).await;
    assert_eq!(blind.field(), "hash");
    blind.refused(409, "batch_hash_mismatch");
    let short = desk.approve("short", "abc", &first).await;
    assert_eq!(short.field(), "hash");
    short.refused(422, "field_invalid");
    for _ in 0..2 {
        let one = desk.approve("one", &hash, &first).await.expect(200);
        assert_eq!(one.json["approvals"].as_array().map(Vec::len), Some(1), "p10");
    }
    desk.approve("once-more", &hash, &first)
        .await
        .refused(409, "batch_approved_before");
    desk.act("resume", Some("early"), None, &first)
        .await
        .refused(409, "batch_state");
    let both = desk.approve("two", &hash, &second).await.expect(200);
    assert_eq!(both.json["state"], "approved");
    assert_eq!(both.json["approvals"].as_array().map(Vec::len), Some(2));
    desk.approve("three", &hash, &scene.member(&scene.site, Role::Admin).await)
        .await
        .refused(409, "batch_state");
    desk.act("discard", None, None, &first).await.expect(200);
    assert_eq!(desk.get("").await.json["state"], "discarded");
}

#[actix_web::test]
async fn every_step_leaves_an_entry() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let desk = Desk {
        scene: &scene,
        app: &app,
        objects,
    };
    let (first, second) = (
        scene.member(&scene.site, Role::Admin).await,
        scene.member(&scene.site, Role::Admin).await,
    );
    let hash = desk.get("").await.text("/hash");
    desk.approve("one", &hash, &first).await.expect(200);
    desk.approve("two", &hash, &second).await.expect(200);
    let paused = desk.act("pause", None, None, &first).await.expect(200);
    assert_eq!(
        (&paused.json["state"], &paused.json["paused_because"]),
        (&json!("paused"), &json!("by_person"))
    );
    for _ in 0..2 {
        let resumed = desk.act("resume", Some("on"), None, &first).await.expect(200);
        assert_eq!(resumed.json["state"], "sending", "p10");
    }
    for (request, kind) in [
        ("one", "allocation_batch.approval_given"),
        ("two", "allocation_batch.approved"),
        ("pause", "allocation_batch.paused"),
        ("on", "allocation_batch.resumed"),
    ] {
        let path = format!("/api/v1/audit-trail?request_id={request}");
        let trail = Call::get(&path).by(&desk.objects.owner).at(&scene.site);
        let trail = trail.send(&app).await.expect(200);
        let items = trail.json["items"].as_array().cloned().expect("entries");
        assert_eq!(items.len(), 1, "{request}: {items:?}");
        assert_eq!(items[0]["kind"], kind);
        assert_eq!(items[0]["actor"]["kind"], "person");
    }
}

#[actix_web::test]
async fn a_report_is_json_or_csv_and_can_be_checked() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    agree(&scene, &app, &scene.site, &objects.batch).await;
    let desk = Desk {
        scene: &scene,
        app: &app,
        objects,
    };
    let scope = posx_kernel::SiteScope::of_claimed_job(scene.site.id);
    let batch = desk.objects.batch.parse().expect("an id");
    let run = scene.state.services.allocations.submit_batch(&scope, batch).await;
    assert_eq!(run.expect("submitted").applied, 1);
    let report = desk.get("/report").await.expect(200);
    assert_eq!(report.json["batch"]["state"], "sending");
    assert_eq!(report.json["totals"][0]["in_flight"]["lines"], 1);
    let line = &report.json["lines"][0];
    assert_eq!(line["allocation"], desk.objects.allocation.as_str());
    assert_eq!(line["external_id"], format!("{}-1", desk.objects.allocation));
    let csv = desk.get("/report?format=csv").await.expect(200);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let text = String::from_utf8(csv.bytes).expect("text");
    let rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(',').collect()).collect();
    assert_eq!((rows.len(), rows[0].len()), (2, rows[1].len()));
    let cell = |name: &str| {
        let at = rows[0].iter().position(|column| *column == name);
        rows[1][at.expect(name)].to_owned()
    };
    assert_eq!(cell("batch"), desk.objects.batch);
    assert_eq!(cell("hash"), report.text("/batch/hash"));
    assert_eq!(cell("approved_by"), report.text("/batch/approvals/0/by"));
    assert_eq!(cell("also_approved_by"), report.text("/batch/approvals/1/by"));
    assert_eq!(cell("amount"), line["amount"].as_str().expect("an amount"));
    assert_eq!(cell("state"), "submitted");
    let check = desk.get("/check").await.expect(200);
    assert_eq!(
        (&check.json["rebuilt"], &check.json["differing"]),
        (&json!([]), &json!([]))
    );
}

#[actix_web::test]
async fn what_cannot_be_sent_now_is_a_line_that_says_why() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let objects = furnish(&scene, &app, site).await;
    let by = |call: Call| call.by(&objects.owner).at(site);
    let discard = Call::post(&format!("{PATH}/{}/discard", objects.batch));
    let discarded = by(discard).send(&app).await.expect(200);
    assert_eq!(discarded.json["left_out"], 1);
    // Another buyer's wallet took an older one's place: their order waits.
    let buyer = scene.member(site, Role::Member).await;
    let bind = async |address: &str| {
        let call = Call::put("/api/v1/me/wallets/EVM").json(&json!({ "address": address }));
        call.by(&buyer).at(site).send(&app).await.expect(200);
    };
    bind("0x52908400098527886E0F7030069857D2E4169EE7").await;
    bind(crate::objects::WALLET).await;
    let (order, _) = crate::objects::buy(&scene, &app, site, &buyer, &objects.tier).await;
    let list = Call::get(&format!("/api/v1/allocations?all=true&order={order}"));
    let young = by(list).send(&app).await.expect(200).text("/items/0/id");
    let both = json!({ "allocations": [objects.allocation, young] });
    let made = Call::post(PATH).key("both").json(&both);
    let made = by(made).send(&app).await.expect(201);
    assert_eq!(
        (&made.json["size"], &made.json["left_out"]),
        (&json!(1), &json!(1))
    );
    let dry = Call::get(&format!("{PATH}/{}/dry-run", made.text("/id")));
    let dry = by(dry).send(&app).await.expect(200);
    assert_eq!(
        dry.json["blocked"],
        json!([{ "allocation": young, "reason": "wallet_cooling_off" }])
    );
}
