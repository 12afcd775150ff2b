//! What goes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use posx_allocations::custody::{Custody as _, ExternalId};
use posx_fireblocks::{FireblocksError, RetryPolicy};
use posx_kernel::{ManualClock, TokenAmount};
use proptest::prelude::*;
use serde_json::json;

use crate::server::{Reply, Seen, Server};
use crate::support::{
    API_KEY, cause, claims, config, custody, custody_at, custody_of, now, request, transaction,
};

fn created() -> Reply {
    Reply::Json(200, json!({ "id": "tx-1", "status": "SUBMITTED" }))
}

fn busy() -> Reply {
    Reply::Headed(429, "retry-after", "0")
}

/// Checks the signature, and gives the nonce.
fn nonce(seen: &Seen) -> String {
    let (authorization, api_key) = (seen.header("authorization"), seen.header("x-api-key"));
    let claims = claims(authorization.unwrap(), api_key.unwrap(), &seen.uri, &seen.body);
    claims["nonce"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn f01_every_request_is_signed_for_its_own_address_and_bytes() {
    let there = || Reply::Json(200, transaction("a/b c?%2F..é", "SUBMITTED"));
    let success = Reply::Json(200, json!({ "success": true }));
    let server = Server::with([created(), there(), there(), success]).await;
    let custody = custody(&format!("{}/below/v1/", server.url()));
    let odd = "a/b c?%2F..é";
    custody.submit(&request(odd)).await.unwrap();
    // The port's text takes visible ASCII only: the answer is not usable, and the address is what matters here.
    let id = ExternalId(odd.to_owned());
    let unusable = cause(custody.find(request(odd).site, &id).await);
    assert!(
        matches!(unusable, FireblocksError::Field("data.externalTxId")),
        "{unusable}"
    );
    custody.transaction("tx-1").await.unwrap_err();
    custody.cancel("tx-1").await.unwrap();
    assert_eq!(
        server.asked(),
        [
            "POST /below/v1/transactions",
            "GET /below/v1/transactions/external_tx_id/a%2Fb%20c%3F%252F..%C3%A9",
            "GET /below/v1/transactions/tx-1",
            "POST /below/v1/transactions/tx-1/cancel",
        ]
    );
    let nonces: BTreeSet<_> = server.seen().iter().map(nonce).collect();
    assert_eq!(nonces.len(), 4);
}

#[tokio::test]
async fn f04_f05_f13_a_transfer_carries_its_external_id_a_short_key_and_its_amount_as_text() {
    let server = Server::with([created()]).await;
    let mut wish = request("alc_1-1");
    wish.amount = TokenAmount::from_base_units(1_234_567_890_123_456_789_012_345);
    wish.decimals = 18;
    let made = custody(&server.url()).submit(&wish).await.unwrap();
    assert_eq!(
        (made.provider_id.as_str(), made.status.as_str()),
        ("tx-1", "SUBMITTED")
    );
    assert_eq!(made.external_id, Some(wish.external_id));
    let seen = &server.seen()[0];
    assert_eq!(
        seen.json(),
        json!({
            "operation": "TRANSFER", "externalTxId": "alc_1-1", "assetId": "USDC_POLYGON",
            "source": { "type": "VAULT_ACCOUNT", "id": "7" },
            "destination": {
                "type": "ONE_TIME_ADDRESS",
                "oneTimeAddress": { "address": "0x52908400098527886E0F7030069857D2E4169EE7" },
            },
            "amount": "1234567.890123456789012345",
        })
    );
    assert_eq!(seen.key().len(), 40);
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn f04_the_same_request_has_the_same_key_in_every_process_and_any_other_has_another() {
    let server = Server::with((0..5).map(|_| created())).await;
    for _ in 0..2 {
        // As after a restart.
        custody(&server.url()).submit(&request("alc_1-1")).await.unwrap();
    }
    let (mut amount, mut address) = (request("alc_1-1"), request("alc_1-1"));
    amount.amount = TokenAmount::from_base_units(1);
    address.to = "0x0000000000000000000000000000000000000001".to_owned();
    for other in [request("alc_1-2"), amount, address] {
        custody(&server.url()).submit(&other).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!((seen[0].key(), &seen[0].body), (seen[1].key(), &seen[1].body));
    let keys: BTreeSet<_> = seen.iter().map(Seen::key).collect();
    assert_eq!(keys.len(), 4);
}

#[tokio::test]
async fn f03_what_the_rate_limit_turned_away_is_sent_again_with_its_key_and_signed_anew() {
    let server = Server::with([busy(), Reply::Json(429, json!({})), created()]).await;
    custody(&server.url()).submit(&request("alc_1-1")).await.unwrap();
    let seen = server.seen();
    let keys: BTreeSet<_> = seen.iter().map(Seen::key).collect();
    let nonces: BTreeSet<_> = seen.iter().map(nonce).collect();
    assert_eq!((seen.len(), keys.len(), nonces.len()), (3, 1, 3));
}

#[tokio::test]
async fn f03_waiting_for_the_rate_limit_ends() {
    let server = Server::with((0..9).map(|_| busy())).await;
    let outcome = custody(&server.url()).submit(&request("alc_1-1")).await;
    let tries = RetryPolicy::default().tries_max;
    assert!(matches!(cause(outcome), FireblocksError::Busy { tries: told } if told == tries));
    assert_eq!(server.seen().len(), tries as usize);

    let server = Server::with([Reply::Headed(429, "retry-after", "2"), created()]).await;
    let outcome = custody(&server.url()).submit(&request("alc_1-1")).await;
    assert!(matches!(cause(outcome), FireblocksError::Busy { tries: 1 }));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn f01_a_retry_is_signed_with_the_time_it_is_sent_at() {
    let server = Server::with([Reply::Headed(429, "retry-after", "1"), created()]).await;
    let clock = Arc::new(ManualClock::stopped_at(now()));
    let custody = custody_at(config(&server.url()), clock.clone());
    let sending = tokio::spawn(async move { custody.submit(&request("alc_1-1")).await });
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    clock.advance(chrono::TimeDelta::seconds(60));
    sending.await.unwrap().unwrap();
    let issued: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| {
            let authorization = seen.header("authorization").unwrap();
            claims(authorization, API_KEY, &seen.uri, &seen.body)["iat"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert_eq!(issued[1] - issued[0], 60);
}

#[tokio::test]
async fn f02_neither_key_nor_token_is_in_any_error_or_debug_output() {
    let server = Server::with([
        Reply::Cut,
        Reply::Json(401, json!({ "message": API_KEY, "code": -7 })),
    ])
    .await;
    let settings = config(&server.url());
    let mut shown = vec![format!("{settings:?}")];
    let custody = custody_of(settings);
    shown.push(format!("{custody:?}"));
    for _ in 0..2 {
        let error = custody.submit(&request("alc_1-1")).await.unwrap_err();
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            shown.push(format!("{error} {error:?}"));
            cause = error.source();
        }
    }
    for secret in [API_KEY, "eyJ", "PRIVATE KEY", "MII"] {
        assert!(
            shown.iter().all(|text| !text.contains(secret)),
            "{secret} in {shown:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn f01_whatever_an_external_id_holds_the_address_is_signed_as_it_is_sent(id in "\\PC{1,40}") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::with([Reply::Json(404, json!({ "message": "none", "code": 1404 }))]).await;
            let found = custody(&server.url()).find(request("").site, &ExternalId(id.clone())).await;
            assert_eq!(found.unwrap(), None);
            for seen in server.seen() {
                nonce(&seen);
                assert_eq!(seen.uri.matches('/').count(), 4, "{}", seen.uri);
            }
        });
    }
}
