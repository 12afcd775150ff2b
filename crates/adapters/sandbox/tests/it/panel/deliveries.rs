//! Duplicate, delay, reorder, drop and send again.

use std::time::{Duration, Instant};

use posx_allocations::custody::Custody as _;
use posx_orders::gateway::PaymentGateway as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::Remote;
use crate::support::Stage;

const CREATED: &str = "payment_intent.created";
const PROCESSING: &str = "payment_intent.processing";
const SUCCEEDED: &str = "payment_intent.succeeded";

async fn paid(stage: &Stage, remote: &Remote) {
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    let card = json!({ "payment_method": "pm_card_visa" });
    let path = format!("/payments/intents/{}/confirm", intent.id.0);
    assert_eq!(remote.post(&path, card).await["status"], "succeeded");
    stage.webhooks_settle().await;
}

fn kinds(notices: &Value) -> Vec<&str> {
    let notices = notices.as_array().unwrap();
    notices
        .iter()
        .map(|notice| notice["kind"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn s25_it_sends_everything_twice_and_late() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let plan = json!({ "copies": 2, "delay_ms": 150 });
    remote.put("/payments/deliveries", plan).await;
    let began = Instant::now();
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    assert!(began.elapsed() >= Duration::from_millis(150));
    assert_eq!(stage.receiver.kinds(), [CREATED, CREATED]);
    let bodies = stage.receiver.bodies();
    assert_eq!(bodies[0]["id"], bodies[1]["id"]);
    let shown = remote.state().await["payments"]["notices"][0].clone();
    assert_eq!(shown["id"], bodies[0]["id"]);
    let outcomes: Vec<&Value> = shown["tries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| &t["outcome"])
        .collect();
    assert_eq!(
        outcomes,
        [&json!({ "answered": 200 }), &json!({ "answered": 200 })]
    );
}

#[tokio::test]
async fn s26_it_sends_one_kind_after_the_others() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let plan = json!({ "last": [PROCESSING] });
    remote.put("/payments/deliveries", plan).await;
    paid(&stage, &remote).await;
    assert_eq!(stage.receiver.kinds(), [CREATED, SUCCEEDED, PROCESSING]);
}

#[tokio::test]
async fn s26_it_holds_and_releases_in_reverse() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    remote.post("/payments/hold", json!({})).await;
    paid(&stage, &remote).await;
    assert_eq!(stage.receiver.kinds(), [""; 0]);
    let deliveries = remote.state().await["payments"]["deliveries"].clone();
    assert_eq!(deliveries["holding"], true);
    assert_eq!(kinds(&deliveries["held"]), [CREATED, PROCESSING, SUCCEEDED]);
    let told = remote
        .post("/payments/release", json!({ "order": "reversed" }))
        .await;
    assert_eq!((&told["holding"], &told["held"]), (&json!(false), &json!([])));
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds(), [SUCCEEDED, PROCESSING, CREATED]);
}

#[tokio::test]
async fn f23_it_shuffles_a_custodians_notices_and_loses_none() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    remote.post("/custodian/hold", json!({})).await;
    for number in 0..20 {
        let transfer = stage.transfer(&format!("alc_{number}-1"));
        stage.custody.submit(&transfer).await.unwrap();
    }
    remote
        .post("/custodian/release", json!({ "order": "shuffled" }))
        .await;
    stage.webhooks_settle().await;
    let sent: Vec<String> = stage
        .receiver
        .bodies()
        .iter()
        .map(|event| event["data"]["externalTxId"].as_str().unwrap().to_owned())
        .collect();
    let true_order: Vec<String> = (0..20).map(|number| format!("alc_{number}-1")).collect();
    // Once in 20! by chance.
    assert_ne!(sent, true_order);
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(sent), sorted(true_order));
}

#[tokio::test]
async fn s29_what_it_dropped_it_sends_again_on_demand() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let plan = json!({ "dropped": [SUCCEEDED] });
    remote.put("/payments/deliveries", plan).await;
    paid(&stage, &remote).await;
    assert_eq!(stage.receiver.kinds(), [CREATED, PROCESSING]);
    let newest = remote.state().await["payments"]["notices"][0].clone();
    assert_eq!(newest["kind"], SUCCEEDED);
    assert_eq!(newest["tries"][0]["outcome"], "dropped");
    let id = newest["id"].as_str().unwrap();
    remote
        .post(&format!("/payments/notices/{id}/resend"), json!({}))
        .await;
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds(), [CREATED, PROCESSING, SUCCEEDED]);
}

#[tokio::test]
async fn what_waits_for_an_address_cannot_be_released() {
    let stage = Stage::set().await;
    let config = posx_sandbox::WorldConfig::new(stage.clock.clone());
    let world = posx_sandbox::World::start(config).await.unwrap();
    let remote = Remote::of(&world);
    let (url, key) = (world.stripe_url(), &world.secrets().stripe_secret_key);
    let gateway = posx_sandbox::SandboxGateway::new(&url, key).unwrap();
    gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    let id = remote.state().await["payments"]["notices"][0]["id"].clone();
    let resend = format!("/payments/notices/{}/resend", id.as_str().unwrap());
    for (path, body) in [
        ("/payments/release", r#"{"order":"as_is"}"#),
        (resend.as_str(), ""),
    ] {
        let refused = remote.refused(Method::POST, path, body).await;
        assert_eq!(refused, (409, "conflict".to_owned(), None));
    }
    let repaired = remote.post("/repair", json!({})).await;
    assert_eq!(kinds(&repaired["payments"]["deliveries"]["held"]), [CREATED]);
    assert_eq!(repaired["payments"]["notices"][0]["tries"], json!([]));
}
