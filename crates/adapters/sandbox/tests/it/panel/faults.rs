//! Decline, lose answers, store a 500, be slow, go down, rotate keys.

use std::time::{Duration, Instant};

use posx_allocations::custody::{Custody as _, CustodyError};
use posx_orders::gateway::{GatewayError, PaymentGateway as _};
use posx_sandbox::TokenRequest;
use serde_json::{Value, json};

use super::Remote;
use crate::support::{Stage, http};

async fn get(url: &str) -> (u16, Value) {
    let answer = http().get(url).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// As a browser does.
async fn confirm(stage: &Stage, intent: &str) -> (u16, Value) {
    let url = format!("{}/v1/payment_intents/{intent}/confirm", stage.world.stripe_url());
    let client_secret = stage.world.payments().intent(intent).unwrap().client_secret;
    let form = [
        ("client_secret", client_secret.as_str()),
        ("payment_method", "pm_card_visa"),
    ];
    let answer = http().post(url).form(&form).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn discovery(stage: &Stage) -> String {
    format!("{}.well-known/openid-configuration", stage.world.issuer().url())
}

fn key_set(stage: &Stage) -> String {
    format!("{}.well-known/jwks.json", stage.world.issuer().url())
}

#[tokio::test]
async fn s12_it_declines_the_next_card_and_the_one_after_is_taken() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    remote.post("/payments/declines", json!({ "cards": 1 })).await;
    assert_eq!(remote.state().await["payments"]["declines"], 1);
    let (status, answer) = confirm(&stage, &intent.id.0).await;
    assert_eq!((status, &answer["error"]["code"]), (402, &"card_declined".into()));
    assert_eq!(remote.state().await["payments"]["declines"], 0);
    let (status, answer) = confirm(&stage, &intent.id.0).await;
    assert_eq!((status, &answer["status"]), (200, &"succeeded".into()));
}

#[tokio::test]
async fn s07_it_loses_a_payment_providers_answer_after_the_effect() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let lost = json!({ "call": "create_intent", "fault": "lose_answer" });
    remote.post("/payments/faults", lost).await;
    let timeout = json!({ "call": "create_intent", "fault": "gateway_timeout" });
    let line = remote.post("/payments/faults", timeout).await;
    assert_eq!(
        line["faults"]["create_intent"],
        json!(["lose_answer", "gateway_timeout"])
    );
    for made in 1..=2 {
        let unknown = stage.gateway.create_intent(&stage.wish(2_500, "USD")).await;
        assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
        let payments = &remote.state().await["payments"];
        assert_eq!(payments["intents"].as_array().unwrap().len(), made);
        assert_eq!(payments["line"]["calls"]["create_intent"], made);
    }
    assert_eq!(remote.state().await["payments"]["line"]["faults"], json!({}));
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
}

#[tokio::test]
async fn f05_f06_it_loses_a_custodians_answer_and_the_second_try_is_a_duplicate() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let lost = json!({ "call": "submit", "fault": "lose_answer", "times": 1 });
    remote.post("/custodian/faults", lost).await;
    let transfer = stage.transfer("alc_1-1");
    let unknown = stage.custody.submit(&transfer).await;
    assert!(matches!(unknown, Err(CustodyError::Unknown(_))), "{unknown:?}");
    let found = stage.custody.find(stage.site(), &transfer.external_id).await;
    assert!(found.unwrap().is_some());
    stage.days_pass(2);
    let again = stage.custody.submit(&transfer).await;
    assert!(matches!(again, Err(CustodyError::Duplicate)), "{again:?}");
    let refuse = json!({ "call": "find", "fault": { "refuse": "1404" } });
    remote.post("/custodian/faults", refuse).await;
    let refused = stage.custody.find(stage.site(), &transfer.external_id).await;
    assert!(
        matches!(&refused, Err(CustodyError::Refused { code }) if code == "1404"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn s02_it_stores_a_500_that_the_same_key_meets_again() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let stored = json!({ "call": "create_intent", "fault": "server_error" });
    remote.post("/payments/faults", stored).await;
    let wish = stage.wish(2_500, "USD");
    for _ in 0..2 {
        let unknown = stage.gateway.create_intent(&wish).await;
        assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
    }
    let payments = &remote.state().await["payments"];
    assert_eq!(payments["intents"], json!([]));
    assert_eq!(payments["line"]["faults"], json!({}));
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
}

#[tokio::test]
async fn f04_it_spends_a_custodians_key_on_an_internal_error() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let stored = json!({ "call": "submit", "fault": "server_error" });
    remote.post("/custodian/faults", stored).await;
    let body = json!({
        "assetId": "USDC_POLYGON", "amount": "1.5", "externalTxId": "alc_1-1",
        "source": { "type": "VAULT_ACCOUNT", "id": "7" },
        "destination": {
            "type": "ONE_TIME_ADDRESS",
            "oneTimeAddress": { "address": "0x52908400098527886E0F7030069857D2E4169EE7" },
        },
    });
    let submit = async |key: &str| {
        let request = http().post(format!("{}/v1/transactions", stage.world.fireblocks_url()));
        let request = request
            .header("x-api-key", &stage.world.secrets().fireblocks_api_key)
            .header("idempotency-key", key);
        request.json(&body).send().await.unwrap().status().as_u16()
    };
    assert_eq!((submit("k1").await, submit("k1").await), (500, 400));
    assert_eq!(remote.state().await["custodian"]["transfers"], json!([]));
    assert_eq!(submit("k2").await, 200);
}

#[tokio::test]
async fn s07_it_takes_each_provider_down_and_brings_it_back() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    remote.put("/payments/line", json!({ "down": true })).await;
    let unknown = stage.gateway.create_intent(&stage.wish(2_500, "USD")).await;
    assert!(matches!(unknown, Err(GatewayError::Unknown(_))), "{unknown:?}");
    // One that is down takes no other with it.
    let transfer = stage.transfer("alc_1-1");
    stage.custody.submit(&transfer).await.unwrap();
    remote.put("/custodian/line", json!({ "down": true })).await;
    let unknown = stage.custody.find(stage.site(), &transfer.external_id).await;
    assert!(matches!(unknown, Err(CustodyError::Unknown(_))), "{unknown:?}");
    assert_eq!(get(&stage.world.fireblocks_jwks_url()).await.0, 200);
    let payments = &remote.state().await["payments"];
    assert_eq!(payments["line"]["down"], true);
    assert_eq!(payments["intents"], json!([]));
    remote.put("/payments/line", json!({ "down": false })).await;
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    remote.post("/repair", json!({})).await;
    let found = stage.custody.find(stage.site(), &transfer.external_id).await;
    assert!(found.unwrap().is_some());
}

#[tokio::test]
async fn it_takes_the_issuer_down_and_breaks_single_documents() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    remote.put("/issuer/line", json!({ "down": true })).await;
    for url in [discovery(&stage), key_set(&stage)] {
        let down = (503, json!({ "error": "temporarily_unavailable" }));
        assert_eq!(get(&url).await, down);
    }
    let token = format!("{}token", stage.world.issuer().url());
    assert_eq!(http().post(token).send().await.unwrap().status(), 503);
    remote.put("/issuer/line", json!({})).await;
    for (fault, status) in [
        (json!("server_error"), 500),
        (json!("gateway_timeout"), 504),
        (json!({ "refuse": "access_denied" }), 400),
    ] {
        let body = json!({ "call": "key_set", "fault": fault });
        remote.post("/issuer/faults", body).await;
        assert_eq!(get(&discovery(&stage)).await.0, 200);
        assert_eq!(get(&key_set(&stage)).await.0, status, "{fault}");
        assert_eq!(get(&key_set(&stage)).await.0, 200);
    }
    let body = json!({ "call": "discovery", "fault": "lose_answer" });
    remote.post("/issuer/faults", body).await;
    assert!(http().get(discovery(&stage)).send().await.is_err());
    let calls = &remote.state().await["issuer"]["line"]["calls"];
    assert_eq!(*calls, json!({ "discovery": 5, "key_set": 7, "token": 1 }));
}

#[tokio::test]
async fn it_withholds_the_key_set_of_the_custodians_webhooks() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let body = json!({ "call": "key_set", "fault": "server_error", "times": 2 });
    remote.post("/custodian/faults", body).await;
    let url = stage.world.fireblocks_jwks_url();
    for status in [500, 500, 200] {
        assert_eq!(get(&url).await.0, status);
    }
}

#[tokio::test]
async fn it_makes_each_system_slow() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let slow = json!({ "latency_ms": 150 });
    for system in ["payments", "custodian", "issuer"] {
        remote.put(&format!("/{system}/line"), slow.clone()).await;
    }
    let at_least = Duration::from_millis(150);
    let began = Instant::now();
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    assert!(began.elapsed() >= at_least);
    let began = Instant::now();
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    assert!(began.elapsed() >= at_least);
    let began = Instant::now();
    assert_eq!(get(&key_set(&stage)).await.0, 200);
    assert!(began.elapsed() >= at_least);
}

fn kid(jws: &str) -> Value {
    use base64::Engine as _;
    let header = jws.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header);
    serde_json::from_slice::<Value>(&header.unwrap()).unwrap()["kid"].clone()
}

/// The ids of the keys that are served at this address.
async fn served(url: &str) -> Value {
    let (_, set) = get(url).await;
    let keys = set["keys"].as_array().unwrap();
    keys.iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn j07_it_rotates_the_issuers_keys_and_keeps_or_drops_the_old_ones() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let url = key_set(&stage);
    let request = TokenRequest::new("carol", "https://api.posx.example");
    let token = || stage.world.issuer().token(&request).unwrap();
    let first = kid(&token());
    assert_eq!(served(&url).await, json!([first]));
    let told = remote.post("/issuer/keys/rotate", json!({ "old": "kept" })).await;
    let second = kid(&token());
    assert_eq!(told["keys"], json!([second, first]));
    assert_eq!(served(&url).await, json!([second, first]));
    remote
        .post("/issuer/keys/rotate", json!({ "old": "dropped" }))
        .await;
    let third = kid(&token());
    assert!(third != second && third != first);
    assert_eq!(served(&url).await, json!([third]));
    assert_eq!(remote.state().await["issuer"]["keys"], json!([third]));
}

#[tokio::test]
async fn it_rotates_the_key_of_the_custodians_webhooks() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    stage.webhooks_settle().await;
    remote
        .post("/custodian/keys/rotate", json!({ "old": "dropped" }))
        .await;
    remote
        .post("/custodian/transfers/alc_1-1/advance", json!({}))
        .await;
    stage.webhooks_settle().await;
    let raw = stage.receiver.raw();
    let kid_of = |at: usize| kid(raw[at].0["fireblocks-webhook-signature"].to_str().unwrap());
    assert_ne!(kid_of(0), kid_of(1));
    let url = stage.world.fireblocks_jwks_url();
    assert_eq!(served(&url).await, json!([kid_of(1)]));
}
