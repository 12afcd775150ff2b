//! Debts of tokens over HTTP.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_allocations::custody::{ExternalId, Transfer};
use posx_kernel::SiteScope;
use posx_tenancy::Role;
use serde_json::json;

use crate::objects::{Objects, furnish};
use crate::world::{Call, Scene, api};

/// Two others agree to the batch, the custodian delivers and says so; then a part of the money goes back, and the job runs.
async fn delivered_and_returned<S, B>(scene: &Scene, app: &S, objects: &Objects)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let (site, scope) = (&scene.site, SiteScope::of_claimed_job(scene.site.id));
    let path = format!("/api/v1/allocation-batches/{}", objects.batch);
    let seen = Call::get(&path)
        .by(&objects.owner)
        .at(site)
        .send(app)
        .await
        .expect(200);
    for _ in 0..2 {
        let checker = scene.member(site, Role::Admin).await;
        let approve = Call::post(&format!("{path}/approve")).key("agreed");
        let body = json!({ "hash": seen.text("/hash") });
        approve
            .by(&checker)
            .at(site)
            .json(&body)
            .send(app)
            .await
            .expect(200);
    }
    let allocations = &scene.state.services.allocations;
    let batch = objects.batch.parse().expect("an id");
    assert_eq!(
        allocations
            .submit_batch(&scope, batch)
            .await
            .expect("sent")
            .applied,
        1
    );
    let external_id = format!("{}-1", objects.allocation);
    let mut transfers = scene.world.custodian().transfers();
    transfers.retain(|transfer| transfer.external_id == external_id);
    let transfer = Transfer {
        provider_id: transfers[0].id.to_string(),
        external_id: Some(ExternalId(external_id)),
        status: "COMPLETED".to_owned(),
        sub_status: None,
        tx_hash: Some(format!("0x{}", transfers[0].id.simple())),
        confirmations: 12,
    };
    allocations
        .apply_report(&scope, &transfer)
        .await
        .expect("applied");
    let refund = Call::post(&format!("/api/v1/orders/{}/refunds", objects.order)).key("all");
    let body = json!({ "reason": "requested_by_customer" });
    refund
        .by(&objects.owner)
        .at(site)
        .json(&body)
        .send(app)
        .await
        .expect(201);
    let order = objects.order.parse().expect("an id");
    allocations.adjust(&scope, order).await.expect("adjusted");
}

#[actix_web::test]
async fn staff_end_a_debt_in_parts_and_it_is_seen_who_did() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let objects = furnish(&scene, &app, site).await;
    let owner = &objects.owner;
    let get = async |path: &str| {
        Call::get(path)
            .by(owner)
            .at(site)
            .send(&app)
            .await
            .expect(200)
            .json
    };
    delivered_and_returned(&scene, &app, &objects).await;
    let id = &objects.allocation;
    let debt = get("/api/v1/token-debts").await["items"][0].clone();
    assert_eq!((&debt["owed"], &debt["waived"]), (&debt["sent"], &json!("0")));
    let owed: u128 = debt["owed"].as_str().expect("text").parse().expect("a number");

    let path = format!("/api/v1/token-debts/{id}/settlements");
    let settle =
        |body: &serde_json::Value, key: &str| Call::post(&path).by(owner).at(site).key(key).json(body);
    let waive = json!({ "how": "waived", "amount": "1", "reason": "as agreed" });
    let made = settle(&waive, "one")
        .header("x-request-id", "waived")
        .send(&app)
        .await
        .expect(201);
    let again = settle(&waive, "one").send(&app).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(made.json, again.json);
    let back = json!({
        "how": "received", "amount": (owed - 1).to_string(), "reason": "sent back", "tx_hash": "0xback",
    });
    settle(
        &json!({ "how": "waived", "amount": owed.to_string(), "reason": "all" }),
        "more",
    )
    .send(&app)
    .await
    .refused(409, "token_debt_smaller");
    settle(
        &json!({ "how": "received", "amount": "1", "reason": "?" }),
        "silent",
    )
    .send(&app)
    .await
    .refused(422, "token_debt_tx_hash_invalid");
    settle(&back, "two").send(&app).await.expect(201);
    assert!(
        get("/api/v1/token-debts").await["items"]
            .as_array()
            .expect("items")
            .is_empty()
    );
    let settled = get(&path).await;
    let kinds: Vec<_> = settled["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| &one["how"])
        .collect();
    assert_eq!(kinds, ["received", "waived"]);

    let trail = get("/api/v1/audit-trail?request_id=waived").await;
    let kinds: Vec<_> = trail["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|one| &one["kind"])
        .collect();
    assert!(kinds.contains(&&json!("token_debt.settled")), "{kinds:?}");
    for role in [Role::Manager, Role::Viewer] {
        let other = scene.member(site, role).await;
        let theirs = Call::post(&path).by(&other).at(site).key("theirs").json(&waive);
        theirs.send(&app).await.refused(403, "capability_missing");
    }
}

#[actix_web::test]
async fn above_the_limit_a_second_person_agrees_and_a_transaction_counts_once() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let objects = furnish(&scene, &app, site).await;
    let owner = &objects.owner;
    delivered_and_returned(&scene, &app, &objects).await;
    let path = format!("/api/v1/token-debts/{}/settlements", objects.allocation);
    let settle = async |amount: &str, hash: &str, key: &str| {
        let body = json!({ "how": "received", "amount": amount, "reason": "sent back", "tx_hash": hash });
        let call = Call::post(&path).by(owner).at(site).key(key);
        call.json(&body).send(&app).await
    };
    settle("1", "0xAB", "first").await.expect(201);
    let again = settle("1", "ab", "second").await;
    assert_eq!(again.field(), "tx_hash");
    again.refused(409, "token_debt_transaction_used");

    let limit = Call::put("/api/v1/approval-limits/settle_token_debt")
        .by(owner)
        .at(site);
    let limit = limit.key("limit").json(&json!({ "quantity_max": 0 }));
    limit.send(&app).await.expect(200);
    let asked = settle("1", "0xCD", "third").await;
    assert!(
        asked.header("location").starts_with("/api/v1/approvals/"),
        "{}",
        asked.json
    );
    asked.refused(409, "approval_needed");
}
