//! The fault panel, by nothing but HTTP.

mod deliveries;
mod effects;
mod faults;
mod refusals;

use std::time::Duration;

use posx_allocations::custody::Custody as _;
use posx_orders::gateway::PaymentGateway as _;
use posx_sandbox::{Drive, Panel, World};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stage, WITHIN, http};

/// Who has the key.
struct Remote {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Remote {
    fn of(world: &World) -> Self {
        let panel: &Panel = world.panel();
        Self {
            http: http(),
            url: panel.url().to_owned(),
            key: panel.key().to_owned(),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let answer = request
            .bearer_auth(&self.key)
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn state(&self) -> Value {
        let (status, state) = self.ask(Method::GET, "", "").await;
        assert_eq!(status, 200);
        state
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.told(Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: Value) -> Value {
        self.told(Method::PUT, path, body).await
    }

    async fn told(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method, path, &body.to_string()).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    /// The status, the code, and the field that is at fault.
    async fn refused(&self, method: Method, path: &str, body: &str) -> (u16, String, Option<String>) {
        let (status, answer) = self.ask(method, path, body).await;
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        assert!(
            text("message").is_some_and(|message| !message.is_empty()),
            "{answer}"
        );
        (status, text("code").unwrap(), text("field"))
    }
}

/// One that is taken, of every kind of call.
fn every_call() -> Vec<(Method, &'static str, Value)> {
    let rotation = json!({ "old": "kept" });
    let mut calls = vec![
        (
            Method::POST,
            "/payments/faults",
            json!({ "call": "confirm", "fault": "lose_answer" }),
        ),
        (
            Method::POST,
            "/custodian/faults",
            json!({ "call": "find", "fault": { "refuse": "4000" }, "times": 3 }),
        ),
        (
            Method::POST,
            "/issuer/faults",
            json!({ "call": "key_set", "fault": "gateway_timeout" }),
        ),
        (Method::POST, "/payments/declines", json!({ "cards": 2 })),
        (Method::PUT, "/payments/refunds", json!({ "stay_pending": true })),
        (
            Method::POST,
            "/custodian/ends",
            json!({ "end": "failed", "transfers": 2 }),
        ),
        (
            Method::PUT,
            "/custodian/drive",
            json!({ "drive": { "automatic_ms": 5 } }),
        ),
        (Method::POST, "/custodian/keys/rotate", rotation.clone()),
        (Method::POST, "/issuer/keys/rotate", rotation),
    ];
    for path in ["/payments/line", "/custodian/line", "/issuer/line"] {
        calls.push((Method::PUT, path, json!({ "down": true, "latency_ms": 5 })));
    }
    for path in ["/payments/deliveries", "/custodian/deliveries"] {
        calls.push((Method::PUT, path, json!({ "copies": 2, "delay_ms": 5 })));
    }
    for path in ["/payments/hold", "/custodian/hold"] {
        calls.push((Method::POST, path, json!({})));
    }
    calls
}

/// What of the panel's state can be switched.
fn switches(mut state: Value) -> Value {
    for system in state.as_object_mut().unwrap().values_mut() {
        for counted in ["notices", "intents", "refunds", "transfers", "keys"] {
            system.as_object_mut().unwrap().remove(counted);
        }
        system["line"].as_object_mut().unwrap().remove("calls");
    }
    state
}

#[tokio::test]
async fn without_the_key_or_with_another_everything_is_401_and_nothing_changes() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let before = remote.state().await;
    let mut calls = every_call();
    calls.push((Method::GET, "", json!({})));
    calls.push((Method::POST, "/repair", json!({})));
    calls.push((Method::POST, "/payments/release", json!({ "order": "as_is" })));
    calls.push((Method::DELETE, "/nowhere", json!({})));
    let bad = [
        None,
        Some(String::new()),
        Some("Bearer ".to_owned()),
        Some(remote.key.clone()),
        Some(format!("Basic {}", remote.key)),
        Some(format!("Bearer {}x", remote.key)),
        Some(format!("Bearer {}", &remote.key[1..])),
        Some(format!("Bearer {}", stage.world.secrets().stripe_secret_key)),
    ];
    for (method, path, body) in &calls {
        for sent in &bad {
            let mut request = remote
                .http
                .request(method.clone(), format!("{}{path}", remote.url));
            if let Some(sent) = sent {
                request = request.header("authorization", sent);
            }
            let answer = request.body(body.to_string()).send().await.unwrap();
            assert_eq!(answer.status(), 401, "{method} {path} {sent:?}");
            assert_eq!(answer.headers()["www-authenticate"], "Bearer");
            let text = answer.text().await.unwrap();
            assert!(
                text.contains("unauthorized") && !text.contains(&remote.key),
                "{text}"
            );
        }
    }
    assert_eq!(remote.state().await, before);
}

#[tokio::test]
async fn the_panel_tells_no_secret_and_does_not_print_its_key() {
    let stage = Stage::set().await;
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    stage.webhooks_settle().await;
    let remote = Remote::of(&stage.world);
    let declined = remote
        .post(
            &format!("/payments/intents/{}/confirm", intent.id.0),
            json!({ "payment_method": "pm_card_chargeDeclined" }),
        )
        .await;
    let told = format!("{} {declined}", remote.state().await);
    let world = &stage.world;
    let client_secret = world.payments().intent(&intent.id.0).unwrap().client_secret;
    let secrets = world.secrets();
    for secret in [
        &remote.key,
        &client_secret,
        &secrets.stripe_secret_key,
        &secrets.stripe_webhook[0],
        &secrets.fireblocks_api_key,
    ] {
        assert!(!told.contains(secret));
    }
    assert!(!format!("{world:?} {:?}", world.panel()).contains(&remote.key));
    let other = Stage::set().await;
    assert_ne!(other.world.panel().key(), remote.key);
}

#[tokio::test]
async fn repair_puts_every_switch_back_and_sends_what_was_held() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let before = switches(remote.state().await);
    for (method, path, body) in every_call() {
        remote.told(method, path, body).await;
    }
    remote.put("/payments/line", json!({})).await;
    stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    let broken = remote.state().await;
    for (system, switch) in [
        ("payments", "/line/faults/confirm"),
        ("payments", "/deliveries/held/0"),
        ("custodian", "/line/faults/find/2/refuse"),
        ("custodian", "/drive/automatic_ms"),
        ("custodian", "/ends/1"),
        ("issuer", "/line/faults/key_set"),
    ] {
        assert!(
            broken[system].pointer(switch).is_some(),
            "{system}{switch}: {broken}"
        );
    }
    let repaired = remote.post("/repair", json!({})).await;
    assert_eq!(switches(repaired), before);
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds(), ["payment_intent.created"]);
}

#[tokio::test]
async fn repair_moves_transfers_on_that_stood_still() {
    let step = Duration::from_millis(2);
    let stage = Stage::set_with(Drive::Automatic { step }).await;
    let remote = Remote::of(&stage.world);
    remote.put("/custodian/drive", json!({ "drive": "manual" })).await;
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    let status = async || remote.state().await["custodian"]["transfers"][0]["status"].clone();
    tokio::time::sleep(20 * step).await;
    assert_eq!(status().await, "SUBMITTED");
    remote.post("/repair", json!({})).await;
    let arrived = async {
        while status().await != "COMPLETED" {
            tokio::time::sleep(step).await;
        }
    };
    tokio::time::timeout(WITHIN, arrived).await.unwrap();
}
