//! Deliveries, with the key set over HTTP as it is in production.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_fireblocks::{HttpKeys, WebhookError, WebhookVerifier};
use posx_kernel::ManualClock;
use serde_json::json;

use crate::server::{Reply, Server};
use crate::support::{jwk, now, sign_webhook};

const BODY: &[u8] = br#"{"id":"e-1","eventType":"transaction.created","createdAt":1767225600000}"#;

#[tokio::test]
async fn f21_a_delivery_waits_for_a_key_server_that_is_away_and_asks_it_once_per_cool_down() {
    let keys = |kids: &[&str]| {
        let keys: Vec<_> = kids.iter().map(|kid| jwk(kid)).collect();
        Reply::Json(200, json!({ "keys": keys }))
    };
    let away = Reply::Json(503, json!({}));
    let both = keys(&["k1", "k2"]);
    let server = Server::with([away.clone(), keys(&["k1"]), away, both.clone(), both]).await;
    let clock = Arc::new(ManualClock::stopped_at(now()));
    let source = HttpKeys::new(&format!("{}/.well-known/jwks.json", server.url())).unwrap();
    let verifier = WebhookVerifier::new(Arc::new(source), clock.clone());
    let asked_for = async |kid: &str| {
        let outcome = match verifier.verify(BODY, &sign_webhook(kid, BODY)).await {
            Ok(_) => "taken",
            // 503, so that it is sent again; 400, which is final.
            Err(WebhookError::KeysUnavailable(_)) => "later",
            Err(WebhookError::Invalid(_)) => "refused",
        };
        (outcome, server.seen().len())
    };
    for _ in 0..3 {
        assert_eq!(asked_for("k1").await, ("later", 1));
    }
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(asked_for("k1").await, ("taken", 2));
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(asked_for("k2").await, ("later", 3), "away again: nobody knows");
    assert_eq!(asked_for("k1").await, ("taken", 3), "what is known stays known");
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(asked_for("k2").await, ("taken", 4));
    assert_eq!(
        asked_for("k3").await,
        ("later", 4),
        "asked too recently: nobody knows"
    );
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(
        asked_for("k3").await,
        ("refused", 5),
        "asked for it: there is none"
    );
}
