//! Deliveries of providers.

use posx_kernel::Clock as _;
use posx_runtime::StripeAccountSettings;
use serde_json::json;

use crate::objects::{Objects, furnish, signed_by, stripe_event, stripe_signature};
use crate::world::{Answer, Call, Scene, api};

fn delivery(signature: &str, body: &[u8]) -> Call {
    Call::post("/webhooks/stripe")
        .header("stripe-signature", signature)
        .raw("application/json", body.to_vec())
}

fn events(scene: &Scene, objects: &Objects, query: &str) -> Call {
    Call::get(&format!("/api/v1/webhook-events{query}"))
        .by(&objects.owner)
        .at(&scene.site)
}

fn ids(answer: &Answer) -> Vec<String> {
    let items = answer.json["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["event_id"].as_str().unwrap_or("").to_owned())
        .collect()
}

/// Property 32.
#[actix_web::test]
async fn p32_what_the_provider_did_not_sign_is_refused_and_not_stored() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let now = scene.clock.now().timestamp();
    let forged = format!("evt_f{}", objects.order.trim_start_matches("ord_"));
    let body = stripe_event(&forged, "payment_intent.succeeded", &objects.intent);
    let good = stripe_signature(&scene, &body, now);
    let mut flipped = body.clone();
    flipped[20] ^= 1;
    let cases = [
        ("a flipped byte", good.clone(), flipped),
        (
            "another key",
            format!("t={now},v1={}", "0".repeat(64)),
            body.clone(),
        ),
        (
            "too old",
            stripe_signature(&scene, &body, now - 301),
            body.clone(),
        ),
        (
            "of tomorrow",
            stripe_signature(&scene, &body, now + 86_400),
            body.clone(),
        ),
        ("no signature", String::new(), body.clone()),
    ];
    for (what, signature, body) in cases {
        let answer = delivery(&signature, &body).send(&app).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "webhook_signature_invalid"),
            "{what}"
        );
    }
    assert!(!ids(&events(&scene, &objects, "").send(&app).await.expect(200)).contains(&forged));
    delivery(&good, &body).send(&app).await.expect(200);
    assert!(ids(&events(&scene, &objects, "").send(&app).await.expect(200)).contains(&forged));
}

/// Property 33, and a second delivery.
#[actix_web::test]
async fn p33_an_unknown_type_is_stored_as_ignored_and_a_repetition_only_counts() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.site).await;
    let id = format!("evt_u{}", objects.order.trim_start_matches("ord_"));
    let event = json!({
        "id": id, "object": "event", "type": "invoice.paid", "created": 1, "livemode": false,
        "data": { "object": { "id": objects.intent, "object": "invoice" } },
    });
    let body = event.to_string().into_bytes();
    let signature = stripe_signature(&scene, &body, scene.clock.now().timestamp());
    assert_eq!(
        delivery(&signature, &body).send(&app).await.expect(200).json["outcome"],
        "ignored"
    );
    assert_eq!(
        delivery(&signature, &body).send(&app).await.expect(200).json["outcome"],
        "again"
    );
    let ignored = events(&scene, &objects, "?state=ignored")
        .send(&app)
        .await
        .expect(200);
    assert_eq!(
        (ids(&ignored), &ignored.json["items"][0]["deliveries"]),
        (vec![id], &json!(2))
    );
    let replay = format!("/api/v1/webhook-events/{}/replay", ignored.text("/items/0/id"));
    Call::post(&replay)
        .by(&objects.owner)
        .at(&scene.site)
        .send(&app)
        .await
        .refused(404, "webhook_event_not_found");
    let known = format!("/api/v1/webhook-events/{}/replay", objects.webhook);
    Call::post(&known)
        .by(&objects.owner)
        .at(&scene.site)
        .send(&app)
        .await
        .expect(204);
}

#[actix_web::test]
async fn s24_a_delivery_has_a_size_and_without_a_database_is_to_come_again() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let large = vec![b' '; 256 * 1024 + 1];
    delivery("t=1,v1=00", &large)
        .send(&app)
        .await
        .refused(413, "body_too_large");
    let rubbish = b"not an event";
    let signature = stripe_signature(&scene, rubbish, scene.clock.now().timestamp());
    delivery(&signature, rubbish)
        .send(&app)
        .await
        .refused(400, "webhook_event_invalid");
    let body = stripe_event("evt_down", "payment_intent.succeeded", "pi_1");
    let signature = stripe_signature(&scene, &body, scene.clock.now().timestamp());
    scene.state.services.close().await;
    delivery(&signature, &body)
        .send(&app)
        .await
        .refused(503, "store_unavailable");
}

#[actix_web::test]
async fn when_the_custodians_keys_cannot_be_had_its_delivery_is_to_come_again() {
    let scene =
        Scene::with(|settings| settings.custody.jwks_url = "http://127.0.0.1:9/keys".to_owned()).await;
    let app = api(&scene).await;
    // {"alg":"RS512","kid":"webhook-key"}, and a signature of the right form.
    let jws = "eyJhbGciOiJSUzUxMiIsImtpZCI6IndlYmhvb2sta2V5In0..AAAA";
    let call = || Call::post("/webhooks/fireblocks").raw("application/json", "{}");
    call()
        .header("fireblocks-webhook-signature", jws)
        .send(&app)
        .await
        .refused(503, "keys_unavailable");
    call().send(&app).await.refused(400, "webhook_signature_invalid");
}

#[actix_web::test]
async fn s23_each_endpoint_has_its_own_secrets_and_one_without_is_not_there() {
    const OWN: &str = "whsec_of_the_sites_own_account";
    const CONNECT: &str = "whsec_of_connected_accounts";
    let own = posx_testkit::fresh_site("USD").await;
    let endpoint = format!("/webhooks/stripe/{}", own.code.as_str());
    let scene = Scene::with(|settings| {
        settings.payments.connect_webhook_secrets = vec![CONNECT.into()];
        settings.payments.accounts = vec![StripeAccountSettings {
            site: own.code.as_str().to_owned(),
            secret_key: "sk_test_0123456789abcdef".into(),
            webhook_secrets: vec![OWN.into()],
        }];
    })
    .await;
    let app = api(&scene).await;
    let now = scene.clock.now().timestamp();
    let shared = scene.world.secrets().stripe_webhook[0].clone();
    let secrets = [shared.as_str(), OWN, CONNECT];
    let paths = ["/webhooks/stripe", &endpoint, "/webhooks/stripe-connect"];
    for (at, path) in paths.iter().enumerate() {
        for (by, secret) in secrets.iter().enumerate() {
            let event = stripe_event(
                &format!("evt_{at}{by}{}", scene.site.id.as_uuid().simple()),
                "a.b",
                "pi_1",
            );
            let answer = Call::post(path)
                .header("stripe-signature", &signed_by(secret, &event, now))
                .raw("application/json", event)
                .send(&app)
                .await;
            assert_eq!(answer.status, if at == by { 200 } else { 400 }, "{path} {secret}");
        }
    }
    let plain = Scene::new().await;
    let app = api(&plain).await;
    for path in ["/webhooks/stripe-connect", &endpoint, "/webhooks/stripe/OWN"] {
        let event = stripe_event("evt_1", "a.b", "pi_1");
        let call = Call::post(path).header("stripe-signature", &signed_by(OWN, &event, now));
        call.raw("application/json", event)
            .send(&app)
            .await
            .refused(404, "route_not_found");
    }
}
