//! Above a site's limit, what one asks for another agrees to: exactly that, and once.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use chrono::TimeDelta;
use posx_kernel::SiteScope;
use posx_tenancy::{AskApproval, ReviewedOperation, ReviewedRequest, Role, Site};
use serde_json::{Value, json};

use crate::objects::{Objects, furnish};
use crate::world::{Answer, Call, Person, Scene, api};

/// An approval that waits at the site.
pub async fn asked(scene: &Scene, site: &Site, maker: &Person) -> String {
    let services = &scene.state.services;
    let issuer = scene.world.issuer().url();
    let wish = AskApproval {
        operation: ReviewedOperation::PlanCreation,
        quantity: 1,
        request: ReviewedRequest {
            method: "POST".to_owned(),
            path: "/api/v1/commission-plans".to_owned(),
            body: "{}".to_owned(),
            hash: [7; 32],
        },
        maker: services
            .directory
            .identity(issuer, &maker.subject)
            .await
            .expect("known"),
    };
    let scope = SiteScope::of_claimed_job(site.id);
    services
        .approvals
        .ask(&scope, wish)
        .await
        .expect("asked")
        .id
        .to_string()
}

/// A furnished site with an owner and an admin.
struct Pair<'a, S> {
    scene: &'a Scene,
    app: &'a S,
    objects: Objects,
    admin: Person,
}

impl<'a, S, B> Pair<'a, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn new(scene: &'a Scene, app: &'a S) -> Self {
        let objects = furnish(scene, app, &scene.site).await;
        let admin = scene.member(&scene.site, Role::Admin).await;
        Self {
            scene,
            app,
            objects,
            admin,
        }
    }

    async fn send(&self, call: Call, by: &Person) -> Answer {
        call.by(by).at(&self.scene.site).send(self.app).await
    }

    async fn limit(&self, operation: &str, quantity_max: Value, key: &str, approval: Option<&str>) -> Answer {
        let call = Call::put(&format!("/api/v1/approval-limits/{operation}")).key(key);
        let call = approval
            .into_iter()
            .fold(call, |call, id| call.header("approval", id));
        let owner = self.scene.again(&self.objects.owner, |_| {});
        self.send(call.json(&json!({ "quantity_max": quantity_max })), &owner)
            .await
    }

    async fn correct(&self, quantity: i64, key: &str, approval: Option<&str>, by: &Person) -> Answer {
        let path = format!("/api/v1/tiers/{}/supply-corrections", self.objects.tier);
        let call = approval
            .into_iter()
            .fold(Call::post(&path).key(key), |call, id| call.header("approval", id));
        let body = json!({ "quantity": quantity, "reason": "more were minted" });
        self.send(call.json(&body), by).await
    }

    async fn decide(&self, id: &str, what: &str, body: &Value, by: &Person) -> Answer {
        let call = Call::post(&format!("/api/v1/approvals/{id}/{what}"));
        self.send(call.json(body), by).await
    }

    async fn supply(&self) -> Value {
        let tier = Call::get(&format!("/api/v1/tiers/{}", self.objects.tier));
        self.send(tier, &self.objects.owner).await.json["stock"]["supply"].clone()
    }

    async fn get(&self, id: &str) -> Answer {
        self.send(Call::get(&format!("/api/v1/approvals/{id}")), &self.admin)
            .await
    }
}

#[track_caller]
fn needed(answer: &Answer) -> (String, String) {
    answer.refused(409, "approval_needed");
    let id = answer.text("/approval/id");
    assert_eq!(answer.header("location"), format!("/api/v1/approvals/{id}"));
    (id, answer.text("/approval/hash"))
}

#[actix_web::test]
async fn one_asks_another_agrees_and_it_happens_once() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let pair = Pair::new(&scene, &app).await;
    let owner = &pair.objects.owner;
    pair.limit("correct_tier_supply", json!(100), "limit", None)
        .await
        .expect(200);
    pair.correct(100, "small", None, owner).await.expect(201);
    // Fewer counts as much as more.
    needed(&pair.correct(-101, "fewer", None, owner).await);
    let (id, hash) = needed(&pair.correct(500, "large", None, owner).await);
    assert_eq!(pair.supply().await, 1_100);
    assert_eq!(
        needed(&pair.correct(500, "large", None, owner).await).0,
        id,
        "it waits already"
    );

    let shown = pair.get(&id).await.expect(200);
    assert_eq!(shown.json["state"], "submitted");
    assert_eq!(shown.json["operation"], "correct_tier_supply");
    assert_eq!(shown.json["quantity"], 500);
    assert_eq!(
        shown.json["request"],
        json!({
            "method": "POST",
            "path": format!("/api/v1/tiers/{}/supply-corrections", pair.objects.tier),
            "body": { "quantity": 500, "reason": "more were minted" },
            "hash": hash,
        })
    );
    pair.correct(500, "large", Some(&id), owner)
        .await
        .refused(409, "approval_not_approved");
    let agree = json!({ "hash": hash });
    pair.decide(&id, "approve", &agree, owner)
        .await
        .refused(403, "approval_own_request");
    let blind = pair
        .decide(&id, "approve", &json!({ "hash": "0".repeat(64) }), &pair.admin)
        .await;
    blind.refused(409, "approval_mismatch");
    let junk = pair
        .decide(&id, "approve", &json!({ "hash": "yes" }), &pair.admin)
        .await;
    assert_eq!(junk.field(), "hash");
    let approved = pair.decide(&id, "approve", &agree, &pair.admin).await.expect(200);
    assert_eq!(approved.json["state"], "approved");
    assert_ne!(approved.json["checker"], approved.json["maker"]);

    let done = pair.correct(500, "large", Some(&id), owner).await.expect(201);
    assert_eq!(done.header("idempotent-replayed"), "");
    for named in [Some(id.as_str()), None] {
        let again = pair.correct(500, "large", named, owner).await.expect(201);
        assert_eq!(again.header("idempotent-replayed"), "true");
    }
    pair.correct(500, "another-key", Some(&id), owner)
        .await
        .refused(409, "approval_not_approved");
    assert_eq!(pair.supply().await, 1_600);
    assert_eq!(pair.get(&id).await.json["state"], "applied");
    let listed = pair
        .send(Call::get("/api/v1/approvals?state=applied"), &pair.admin)
        .await
        .expect(200);
    assert_eq!(listed.json["items"].as_array().map(Vec::len), Some(1));
}

#[actix_web::test]
async fn an_approval_is_for_that_request_of_that_person_at_that_site() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let pair = Pair::new(&scene, &app).await;
    let (owner, admin) = (&pair.objects.owner, &pair.admin);
    pair.limit("correct_tier_supply", json!(0), "limit", None)
        .await
        .expect(200);
    let (id, hash) = needed(&pair.correct(500, "a", None, owner).await);
    pair.decide(&id, "approve", &json!({ "hash": hash }), admin)
        .await
        .expect(200);
    pair.correct(501, "b", Some(&id), owner)
        .await
        .refused(409, "approval_mismatch");
    pair.correct(500, "a", Some(&id), admin)
        .await
        .refused(409, "approval_mismatch");
    for nothing in ["apr_00000000000000000000000000000000", "ord_1"] {
        pair.correct(500, "a", Some(nothing), owner)
            .await
            .refused(404, "approval_not_found");
    }
    // Another path.
    let asset = json!({
        "name": "Silver", "asset_id": pair.objects.asset, "tokens_per_unit": "5", "supply": 10,
        "list_price": { "amount": "20", "currency": "USD" },
    });
    let tier = pair
        .send(Call::post("/api/v1/tiers").key("second-tier").json(&asset), owner)
        .await
        .expect(201);
    let elsewhere = format!("/api/v1/tiers/{}/supply-corrections", tier.text("/id"));
    let body = json!({ "quantity": 500, "reason": "more were minted" });
    let other = Call::post(&elsewhere)
        .key("a")
        .header("approval", &id)
        .json(&body);
    pair.send(other, owner).await.refused(409, "approval_mismatch");
    // Another site, with the same people.
    let issuer = scene.world.issuer().url();
    scene
        .platform
        .appoint(&scene.other, issuer, &owner.subject, Role::Owner)
        .await
        .expect("appointed");
    let theirs = furnish(&scene, &app, &scene.other).await;
    let put = Call::put("/api/v1/approval-limits/correct_tier_supply").key("limit");
    let put = put
        .json(&json!({ "quantity_max": 0 }))
        .by(&theirs.owner)
        .at(&scene.other);
    put.send(&app).await.expect(200);
    let there = format!("/api/v1/tiers/{}/supply-corrections", theirs.tier);
    let there = Call::post(&there).key("a").header("approval", &id).json(&body);
    there
        .by(owner)
        .at(&scene.other)
        .send(&app)
        .await
        .refused(404, "approval_not_found");
    pair.correct(500, "a", Some(&id), owner).await.expect(201);
}

#[actix_web::test]
async fn batches_and_plans_wait_for_a_second_person_too() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let pair = Pair::new(&scene, &app).await;
    let owner = &pair.objects.owner;
    for operation in [
        "create_allocation_batch",
        "create_commission_plan",
        "activate_commission_plan",
    ] {
        pair.limit(operation, json!(0), operation, None).await.expect(200);
    }
    let batch = json!({ "allocations": [pair.objects.allocation] });
    let batch = || Call::post("/api/v1/allocation-batches").key("b").json(&batch);
    let zero = json!({ "amount": "0", "currency": "USD" });
    let plan = json!({ "name": "New", "levels": [{ "level": 1, "rate": "0.5", "minimum_sales": zero }], "hold_days": 7 });
    let plan = || Call::post("/api/v1/commission-plans").key("p").json(&plan);
    let activate = |id: &str| Call::post(&format!("/api/v1/commission-plans/{id}/activate"));

    // It is in a batch already: whether that can be sent is asked after the second person.
    let (id, _) = needed(&pair.send(batch(), owner).await);
    let refused = pair
        .decide(&id, "reject", &json!({ "reason": "not today" }), &pair.admin)
        .await
        .expect(200);
    assert_eq!(refused.json["reason"], "not today");
    let after = pair.send(batch().header("approval", &id), owner).await;
    after.refused(409, "approval_not_approved");

    let (id, hash) = needed(&pair.send(plan(), owner).await);
    pair.decide(&id, "approve", &json!({ "hash": hash }), &pair.admin)
        .await
        .expect(200);
    let made = pair
        .send(plan().header("approval", &id), owner)
        .await
        .expect(201)
        .text("/id");
    let (id, hash) = needed(&pair.send(activate(&made), owner).await);
    pair.decide(&id, "approve", &json!({ "hash": hash }), &pair.admin)
        .await
        .expect(200);
    let other = pair
        .send(activate(&pair.objects.plan).header("approval", &id), owner)
        .await;
    other.refused(409, "approval_mismatch");
    for _ in 0..2 {
        let active = pair
            .send(activate(&made).header("approval", &id), owner)
            .await
            .expect(200);
        assert_eq!(active.json["active"], true);
    }
    assert_eq!(pair.get(&id).await.json["state"], "applied");
}

#[actix_web::test]
async fn what_is_taken_back_or_too_old_is_of_no_use() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let pair = Pair::new(&scene, &app).await;
    let owner = &pair.objects.owner;
    pair.limit("correct_tier_supply", json!(0), "limit", None)
        .await
        .expect(200);
    let (id, hash) = needed(&pair.correct(1, "a", None, owner).await);
    let withdraw = |id: &str| Call::post(&format!("/api/v1/approvals/{id}/withdraw"));
    pair.send(withdraw(&id), &pair.admin)
        .await
        .refused(403, "approval_of_another");
    let taken = pair.send(withdraw(&id), owner).await.expect(200);
    assert_eq!(taken.json["state"], "withdrawn");
    let agree = json!({ "hash": hash });
    pair.decide(&id, "approve", &agree, &pair.admin)
        .await
        .refused(409, "approval_not_open");
    let (second, _) = needed(&pair.correct(1, "a", None, owner).await);
    assert_ne!(second, id);
    pair.decide(&second, "approve", &agree, &pair.admin)
        .await
        .expect(200);
    scene.clock.advance(TimeDelta::hours(24));
    let (owner, admin) = (scene.again(owner, |_| {}), scene.again(&pair.admin, |_| {}));
    pair.correct(1, "a", Some(&second), &owner)
        .await
        .refused(409, "approval_not_approved");
    let expired = pair
        .send(Call::get("/api/v1/approvals?state=expired"), &admin)
        .await
        .expect(200);
    // This one, and the one that furnishing asked for.
    assert_eq!(expired.json["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(expired.json["items"][0]["id"], second.as_str());
}

#[actix_web::test]
async fn a_limit_is_the_owners_and_lifting_it_takes_two() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let pair = Pair::new(&scene, &app).await;
    let limit =
        async |to: Value, key: &str, approval| pair.limit("correct_tier_supply", to, key, approval).await;
    let set = limit(json!(10), "a", None).await.expect(200);
    assert_eq!(
        (&set.json["quantity_max"], &set.json["operation"]),
        (&json!(10), &json!("correct_tier_supply"))
    );
    limit(json!(5), "b", None).await.expect(200);
    let (id, hash) = needed(&limit(json!(1_000_000), "c", None).await);
    assert_eq!(pair.get(&id).await.json["operation"], "change_approval_limit");
    let agree = json!({ "hash": hash });
    pair.decide(&id, "approve", &agree, &pair.objects.owner)
        .await
        .refused(403, "approval_own_request");
    pair.decide(&id, "approve", &agree, &pair.admin).await.expect(200);
    limit(json!(2_000_000), "d", Some(&id))
        .await
        .refused(409, "approval_mismatch");
    limit(json!(1_000_000), "c", Some(&id)).await.expect(200);
    needed(&limit(Value::Null, "e", None).await);
    let wrong = limit(json!(-1), "f", None).await;
    assert_eq!(wrong.field(), "quantity_max");
    wrong.refused(422, "approval_limit_invalid");
    for unknown in ["place_order", "change_approval_limit", "nothing"] {
        pair.limit(unknown, json!(1), "g", None)
            .await
            .refused(404, "approval_limit_not_found");
    }
    let missing = Call::put("/api/v1/approval-limits/correct_tier_supply")
        .key("h")
        .json(&json!({}));
    assert_eq!(
        pair.send(missing, &pair.objects.owner).await.field(),
        "quantity_max"
    );

    let plain = scene.plain(&pair.objects.owner);
    let put = || {
        Call::put("/api/v1/approval-limits/correct_tier_supply")
            .key("i")
            .json(&json!({ "quantity_max": 1 }))
    };
    pair.send(put(), &plain)
        .await
        .refused(403, "second_factor_needed");
    pair.send(put(), &pair.admin)
        .await
        .refused(403, "capability_missing");
    let shown = pair
        .send(Call::get("/api/v1/approval-limits"), &pair.admin)
        .await
        .expect(200);
    assert_eq!(shown.json["items"][0]["quantity_max"], 1_000_000);
}
