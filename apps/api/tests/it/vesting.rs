//! Vesting over HTTP.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_kernel::SiteScope;
use posx_tenancy::{Role, Site};
use serde_json::{Value, json};

use crate::objects::{buy_to, furnish as furnish_all};
use crate::world::{Call, Person, Scene, api};

const OWN_WALLET: &str = "0x52908400098527886E0F7030069857D2E4169EE7";

/// A policy that began long ago and goes on for long, a tier that it holds for, and the schedule of an order that the buyer
/// paid: the policy and the schedule.
pub async fn furnish<S, B>(
    scene: &Scene,
    app: &S,
    site: &Site,
    (owner, buyer): (&Person, &Person),
    asset: &str,
) -> (String, String)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let staff = |path: &str, body: Value| Call::post(path).by(owner).at(site).key("vesting").json(&body);
    let policy = json!({
        "name": "Seed", "share_at_start": "0.5", "periods": 366, "unit": "month", "revocable": true,
        "starts_on": "2024-01-31",
    });
    let policy = staff("/api/v1/vesting-policies", policy)
        .send(app)
        .await
        .expect(201)
        .text("/id");
    let tier = json!({
        "name": "Vested", "asset_id": asset, "list_price": { "amount": "10", "currency": site.currency },
        "tokens_per_unit": "1000000", "supply": 1000, "max_per_order": 10,
    });
    let tier = staff("/api/v1/tiers", tier)
        .send(app)
        .await
        .expect(201)
        .text("/id");
    let terms = staff(
        &format!("/api/v1/tiers/{tier}/vesting"),
        json!({ "policy": policy }),
    );
    let terms = terms.send(app).await.expect(201);
    assert_eq!(terms.text("/items/0/policy/id"), policy);
    let (order, _) = buy_to(scene, app, site, (buyer, OWN_WALLET), &tier).await;
    let schedules = Call::get(&format!("/api/v1/vesting-schedules?order={order}"));
    let schedules = schedules.by(owner).at(site).send(app).await.expect(200);
    (policy, schedules.text("/items/0/id"))
}

#[actix_web::test]
async fn a_buyer_sees_what_unlocks_when_and_staff_move_and_revoke_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let objects = furnish_all(&scene, &app, site).await;
    let get =
        async |path: &str, by: &Person| Call::get(path).by(by).at(site).send(&app).await.expect(200).json;

    let mine = get("/api/v1/me/vesting", &objects.agent).await;
    let schedule = &mine["items"][0];
    assert_eq!(schedule["id"], json!(objects.vesting_schedule));
    assert_eq!(schedule["total"], "2000000");
    let releases = schedule["releases"].as_array().expect("releases");
    let sum: u64 = releases
        .iter()
        .map(|one| {
            one["amount"]
                .as_str()
                .expect("text")
                .parse::<u64>()
                .expect("a number")
        })
        .sum();
    assert_eq!((releases.len(), sum), (367, 2_000_000), "p25");
    assert_eq!(releases[0]["unlocks_on"], "2024-01-31");
    assert_eq!(
        releases[1]["unlocks_on"], "2024-02-29",
        "the day that a month lacks is its last"
    );
    assert_eq!(
        (&releases[1]["state"], &releases[366]["state"]),
        (&json!("allocated"), &json!("locked"))
    );
    assert!(
        get("/api/v1/me/vesting", &objects.buyer).await["items"]
            .as_array()
            .expect("items")
            .is_empty()
    );
    assert!(
        get("/api/v1/me/vesting/calendar", &objects.buyer).await["items"]
            .as_array()
            .expect("items")
            .is_empty()
    );

    let calendar = get("/api/v1/vesting-calendar?by=month", &objects.owner).await;
    let locked = releases.iter().filter(|one| one["state"] == "locked").count();
    assert_eq!(
        calendar["items"].as_array().map(Vec::len),
        Some(locked),
        "one a month"
    );
    assert_eq!(get("/api/v1/me/vesting/calendar", &objects.agent).await, calendar);
    let bad = Call::get("/api/v1/vesting-calendar?by=year")
        .by(&objects.owner)
        .at(site);
    assert_eq!(bad.send(&app).await.status, 400);

    let path = format!("/api/v1/vesting-policies/{}", objects.vesting_policy);
    let public = Call::get(&path).at(site).send(&app).await.expect(200);
    let start = |tag: &str| {
        let body = json!({ "starts_on": null });
        Call::put(&format!("{path}/start"))
            .by(&objects.owner)
            .at(site)
            .header("if-match", tag)
            .json(&body)
    };
    let moved = start(public.header("etag")).send(&app).await.expect(200);
    assert_eq!(
        (&moved.json["starts_on"], moved.header("etag")),
        (&Value::Null, "\"2\"")
    );
    let silent = Call::put(&format!("{path}/start"))
        .by(&objects.owner)
        .at(site)
        .header("if-match", "\"2\"")
        .json(&json!({}));
    let silent = silent.send(&app).await;
    assert!(
        [400, 422].contains(&silent.status),
        "what is left out is not null: {}",
        silent.json
    );
    start("\"1\"").send(&app).await.refused(412, "version_stale");
    let after = get(
        &format!("/api/v1/vesting-schedules/{}", objects.vesting_schedule),
        &objects.owner,
    )
    .await;
    assert_eq!(
        after["releases"][1]["unlocks_on"], "2024-02-29",
        "what is due stays"
    );
    assert_eq!(after["releases"][366].get("unlocks_on"), None);

    let revoke = || {
        let path = format!("/api/v1/vesting-schedules/{}/revoke", objects.vesting_schedule);
        Call::post(&path)
            .by(&objects.owner)
            .at(site)
            .key("revoke")
            .json(&json!({ "reason": "left" }))
    };
    let revoked = revoke().send(&app).await.expect(201);
    assert_eq!(revoked.json["releases"][366]["state"], "revoked");
    let again = revoke().send(&app).await.expect(201);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert!(
        get("/api/v1/vesting-calendar", &objects.owner).await["items"]
            .as_array()
            .expect("items")
            .is_empty()
    );
}

#[actix_web::test]
async fn a_refund_of_a_vested_order_is_cut_and_what_was_sent_is_listed_as_a_debt() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let site = &scene.site;
    let objects = furnish_all(&scene, &app, site).await;
    let get = async |path: String| {
        Call::get(&path)
            .by(&objects.owner)
            .at(site)
            .send(&app)
            .await
            .expect(200)
            .json
    };
    let order = get(format!("/api/v1/vesting-schedules/{}", objects.vesting_schedule)).await["order"].clone();
    let order = order.as_str().expect("an id");
    let refund = Call::post(&format!("/api/v1/orders/{order}/refunds"))
        .by(&objects.owner)
        .at(site)
        .key("half");
    let half =
        json!({ "amount": { "amount": "10.00", "currency": "USD" }, "reason": "requested_by_customer" });
    refund.json(&half).send(&app).await.expect(201);
    let scope = SiteScope::of_claimed_job(site.id);
    let services = &scene.state.services;
    let adjusted = services
        .allocations
        .adjust(&scope, order.parse().expect("an id"))
        .await;
    assert!(adjusted.expect("adjusted").changed);
    let releases =
        get(format!("/api/v1/vesting-schedules/{}", objects.vesting_schedule)).await["releases"].clone();
    let cut: u64 = releases
        .as_array()
        .expect("releases")
        .iter()
        .map(|one| {
            one["cut"]
                .as_str()
                .expect("text")
                .parse::<u64>()
                .expect("a number")
        })
        .sum();
    assert_eq!(cut, 1_000_000, "half of the tokens for half of the money");
    assert_eq!(releases[366]["cut"], releases[366]["amount"], "the last first");
    let debts = get("/api/v1/token-debts".to_owned()).await;
    assert!(
        debts["items"].as_array().expect("items").is_empty(),
        "nothing was sent"
    );
    let cashier = scene.member(site, Role::Cashier).await;
    let theirs = Call::get("/api/v1/token-debts").by(&cashier).at(site);
    theirs.send(&app).await.refused(403, "capability_missing");
}

#[actix_web::test]
async fn a_policy_is_refused_with_the_field_at_fault() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let owner = scene.member(&scene.site, Role::Owner).await;
    let sound = json!({ "name": "Seed", "share_at_start": "0.1", "periods": 12, "unit": "month" });
    let cases = [
        ("name", json!(" "), "vesting_name_invalid"),
        ("cliff_months", json!(121), "vesting_cliff_invalid"),
        ("periods", json!(367), "vesting_periods_invalid"),
        ("periods", json!(0), "vesting_periods_invalid"),
        ("starts_on", json!("1999-12-31"), "vesting_start_invalid"),
    ];
    for (field, value, code) in cases {
        let mut body = sound.clone();
        body[field] = value;
        let path = "/api/v1/vesting-policies";
        let refused = Call::post(path)
            .by(&owner)
            .at(&scene.site)
            .key(code)
            .json(&body)
            .send(&app)
            .await;
        refused.refused(422, code);
        assert_eq!(refused.field(), field);
    }
    let path = "/api/v1/vesting-policies";
    let made = Call::post(path)
        .by(&owner)
        .at(&scene.site)
        .key("sound")
        .json(&sound)
        .send(&app)
        .await
        .expect(201);
    assert_eq!(
        (&made.json["version"], &made.json["starts_on"]),
        (&json!(1), &Value::Null)
    );
    let elsewhere = Call::get(made.header("location"))
        .at(&scene.other)
        .send(&app)
        .await;
    elsewhere.refused(404, "vesting_policy_not_found");
}
