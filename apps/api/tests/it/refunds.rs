//! Refunds and disputes over HTTP.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use posx_kernel::{Clock as _, SiteScope};
use posx_sandbox::DisputeStatus;
use posx_tenancy::Role;
use serde_json::{Value, json};

use crate::objects::{Objects, furnish, stripe_signature};
use crate::world::{Answer, Call, Person, Scene, api};

/// A closed inquiry about the payment: it froze nothing, and no money moved.
pub async fn inquiry(scene: &Scene, scope: &SiteScope, intent: &str) {
    let id = scene
        .world
        .payments()
        .open_dispute(intent, None, DisputeStatus::WarningClosed)
        .expect("an inquiry");
    let applied = scene.state.services.orders.apply_dispute(scope, &id).await;
    applied.expect("applied");
}

struct Desk<'a, S> {
    scene: &'a Scene,
    app: &'a S,
    objects: Objects,
}

impl<'a, S, B> Desk<'a, S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn open(scene: &'a Scene, app: &'a S) -> Self {
        Self {
            scene,
            app,
            objects: furnish(scene, app, &scene.other).await,
        }
    }

    async fn refund(&self, by: &Person, key: &str, body: &Value) -> Answer {
        let path = format!("/api/v1/orders/{}/refunds", self.objects.order);
        let call = Call::post(&path).by(by).at(&self.scene.other).key(key);
        call.json(body).send(self.app).await
    }

    async fn see(&self, by: &Person, path: &str) -> Value {
        let seen = Call::get(path).by(by).at(&self.scene.other).send(self.app).await;
        seen.expect(200).json
    }

    async fn order(&self, by: &Person) -> Value {
        self.see(by, &format!("/api/v1/orders/{}", self.objects.order))
            .await
    }
}

fn kwd(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "KWD" })
}

#[actix_web::test]
async fn staff_refund_a_part_and_then_the_rest_and_the_order_shows_it() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let (owner, buyer) = (&desk.objects.owner, &desk.objects.buyer);
    let body =
        json!({ "amount": kwd("50.000"), "reason": "other", "note": "one was enough", "restock": "none" });
    let made = desk.refund(owner, "part", &body).await.expect(201).json;
    assert_eq!(
        [&made["state"], &made["origin"], &made["restock"], &made["amount"]],
        [&json!("pending"), &json!("staff"), &json!("none"), &kwd("50.000")]
    );
    let again = desk.refund(owner, "part", &body).await.expect(201);
    assert_eq!(
        (again.header("idempotent-replayed"), &again.json),
        ("true", &made)
    );
    let order = desk.order(owner).await;
    assert_eq!(
        [
            &order["payment"],
            &order["returned"],
            &order["refunds"][0]["note"]
        ],
        [
            &json!("partly_refunded"),
            &kwd("50.000"),
            &json!("one was enough")
        ]
    );
    assert_eq!(order["disputes"][0]["state"], "withdrawn");
    let shown = desk.order(buyer).await;
    assert_eq!(shown["refunds"][0]["amount"], kwd("50.000"));
    assert_eq!(
        (shown["refunds"][0].get("note"), shown.get("disputes")),
        (None, None),
        "staff's words and the disputes are for staff"
    );

    let rest = json!({ "reason": "requested_by_customer" });
    let rest = desk.refund(owner, "rest", &rest).await.expect(201).json;
    assert_eq!(
        (&rest["amount"], &rest["restock"]),
        (&kwd("150.000"), &json!("undelivered"))
    );
    assert_eq!(desk.order(owner).await["payment"], "refunded");
    let listed = desk.see(owner, "/api/v1/refunds?state=pending&limit=1").await;
    assert_eq!(
        (&listed["items"][0]["id"], listed["next"].is_string()),
        (&rest["id"], true)
    );
    let path = format!("/api/v1/orders/{}/refunds", desk.objects.order);
    assert_eq!(
        desk.see(buyer, &path).await["items"].as_array().map(Vec::len),
        Some(2)
    );
}

#[actix_web::test]
async fn a_refund_that_cannot_be_names_what_is_wrong() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let owner = &desk.objects.owner;
    let of = |amount: &str| json!({ "amount": kwd(amount), "reason": "duplicate" });
    let refused = [
        (of("200.010"), 409, "refund_exceeds_captured", "amount"),
        (of("0.005"), 422, "refund_amount_invalid", "amount"),
        (of("-1.000"), 422, "refund_amount_invalid", "amount"),
        (
            json!({ "amount": { "amount": "1.00", "currency": "USD" }, "reason": "duplicate" }),
            422,
            "currency_mismatch",
            "amount",
        ),
        (
            json!({ "reason": "paid_twice" }),
            422,
            "refund_reason_invalid",
            "reason",
        ),
        (json!({ "reason": "other" }), 422, "refund_note_invalid", "note"),
    ];
    for (at, (body, status, code, field)) in refused.into_iter().enumerate() {
        let answer = desk.refund(owner, &format!("k{at}"), &body).await;
        answer.refused(status, code);
        assert_eq!(answer.field(), field, "{code}");
    }
    let viewer = scene.member(&scene.other, Role::Viewer).await;
    desk.refund(&viewer, "no", &of("1.000"))
        .await
        .refused(403, "capability_missing");
    desk.refund(&scene.plain(owner), "no", &of("1.000"))
        .await
        .refused(403, "second_factor_needed");
}

#[actix_web::test]
async fn above_the_sites_limit_a_second_person_agrees_to_a_refund() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let owner = &desk.objects.owner;
    let admin = scene.member(&scene.other, Role::Admin).await;
    let limit = Call::put("/api/v1/approval-limits/refund_order")
        .by(owner)
        .at(&scene.other);
    let limit = limit.key("limit").json(&json!({ "quantity_max": 10_000 }));
    limit.send(&app).await.expect(200);
    let small = json!({ "amount": kwd("10.000"), "reason": "duplicate" });
    desk.refund(&admin, "small", &small).await.expect(201);
    // Without an amount it is all that is left: 190.000.
    let whole = json!({ "reason": "duplicate" });
    let waits = desk.refund(&admin, "whole", &whole).await;
    waits.refused(409, "approval_needed");
    let (approval, hash) = (waits.text("/approval/id"), waits.text("/approval/hash"));
    let agree = Call::post(&format!("/api/v1/approvals/{approval}/approve")).by(owner);
    let agree = agree.at(&scene.other).json(&json!({ "hash": hash }));
    agree.send(&app).await.expect(200);
    let path = format!("/api/v1/orders/{}/refunds", desk.objects.order);
    let agreed = Call::post(&path).by(&admin).at(&scene.other).key("whole");
    let agreed = agreed.header("approval", &approval).json(&whole).send(&app).await;
    assert_eq!(agreed.expect(201).json["amount"], kwd("190.000"));
}

#[actix_web::test]
async fn disputes_are_listed_and_read_by_staff() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let owner = &desk.objects.owner;
    let scope = SiteScope::of_claimed_job(scene.other.id);
    let payments = scene.world.payments();
    let id = payments.open_dispute(&desk.objects.intent, Some(30_000), DisputeStatus::NeedsResponse);
    let id = id.expect("opened");
    payments.withdraw_funds(&id, 5_000).expect("withdrawn");
    let orders = &scene.state.services.orders;
    orders.apply_dispute(&scope, &id).await.expect("applied");
    let open = desk.see(owner, "/api/v1/disputes?state=open").await;
    let items = open["items"].as_array().expect("items");
    assert_eq!(items.len(), 1);
    assert_eq!(
        [&items[0]["withdrawn"], &items[0]["lost"], &items[0]["inquiry"]],
        [&kwd("30.000"), &kwd("0.000"), &json!(false)]
    );
    assert_eq!(desk.order(owner).await["disputed"], true);
    let refused = desk.refund(owner, "no", &json!({ "reason": "duplicate" })).await;
    refused.refused(409, "order_disputed");
    payments
        .decide_dispute(&id, DisputeStatus::Lost)
        .expect("decided");
    orders.apply_dispute(&scope, &id).await.expect("applied");
    let path = format!("/api/v1/disputes/{}", items[0]["id"].as_str().expect("an id"));
    let lost = desk.see(owner, &path).await;
    assert_eq!([&lost["state"], &lost["lost"]], [&json!("lost"), &kwd("30.000")]);
    let order = desk.order(owner).await;
    assert_eq!(
        [&order["payment"], &order["returned"], &order["disputed"]],
        [&json!("partly_refunded"), &kwd("30.000"), &json!(false)]
    );
}

#[actix_web::test]
async fn s31_events_of_refunds_and_disputes_are_stored_to_be_acted_on() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let desk = Desk::open(&scene, &app).await;
    let deliver = async |kind: &str, object: Value| {
        let event = json!({
            "id": format!("evt_{kind}_{}", scene.other.code), "object": "event", "type": kind,
            "created": 1_767_225_600, "livemode": false,
            "api_version": posx_sandbox::STRIPE_API_VERSION, "data": { "object": object },
        });
        let body = event.to_string().into_bytes();
        let signature = stripe_signature(&scene, &body, scene.clock.now().timestamp());
        let call = Call::post("/webhooks/stripe").header("stripe-signature", &signature);
        call.raw("application/json", body)
            .send(&app)
            .await
            .expect(200)
            .json
    };
    let intent = &desk.objects.intent;
    for (kind, object) in [
        (
            "refund.failed",
            json!({ "id": "re_1", "object": "refund", "payment_intent": intent }),
        ),
        (
            "charge.refunded",
            json!({ "id": "ch_1", "object": "charge", "payment_intent": intent }),
        ),
        (
            "charge.dispute.created",
            json!({ "id": "dp_1", "object": "dispute", "payment_intent": intent }),
        ),
    ] {
        assert_eq!(deliver(kind, object).await["outcome"], "stored", "{kind}");
    }
    let other = json!({ "id": "ch_1", "object": "charge", "payment_intent": intent });
    assert_eq!(deliver("charge.updated", other).await["outcome"], "ignored");
    let events = desk
        .see(&desk.objects.owner, "/api/v1/webhook-events?limit=100")
        .await;
    let kinds: Vec<_> = events["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|event| &event["event_type"])
        .collect();
    assert!(
        kinds.contains(&&json!("charge.dispute.created")),
        "they found their site: {kinds:?}"
    );
}
