//! stripe-stateful-mock knows keys: a second answer to the same request, and an error for another one. It has no
//! PaymentIntents; accounts and disputes are what both sides know.

use std::time::Duration;

use posx_stripe::{DisputeStatus, NewConnectedAccount, StripeError};
use serde_json::Value;

use super::{address, http};
use crate::support::{KEY, client, money, once};

const VARIABLE: &str = "POSX_COUNTERPART_STRIPE_MOCK";

const GERMAN: NewConnectedAccount<'static> = NewConnectedAccount {
    country: "DE",
    email: Some("agent@example.com"),
    metadata: &[],
};

/// Of this run: the mock may have served another.
fn key(name: &str) -> posx_stripe::IdempotencyKey {
    let mut random = [0; 8];
    posx_kernel::Randomness::fill(&posx_kernel::SystemRandomness, &mut random);
    once(&format!("{name}-{}", u64::from_le_bytes(random)))
}

#[tokio::test]
async fn s02_s03_the_same_request_is_answered_again_and_another_is_refused_at_the_mock() {
    let Some(base) = address(VARIABLE) else { return };
    let client = client(&base);
    let key = key("account");
    let made = client.create_account(&key, &GERMAN).await.unwrap();
    let again = client.create_account(&key, &GERMAN).await.unwrap();
    assert_eq!(again.id, made.id);
    let french = NewConnectedAccount {
        country: "FR",
        ..GERMAN
    };
    let outcome = client.create_account(&key, &french).await;
    assert!(matches!(outcome, Err(StripeError::KeyReused)), "{outcome:?}");
    assert_eq!(client.account(&made.id).await.unwrap().unwrap().id, made.id);
}

/// A charge whose buyer disputes it some moments later.
async fn disputed(base: &str) -> String {
    let http = http();
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("source", "tok_createDispute"),
    ];
    let charge = http
        .post(format!("{base}/v1/charges"))
        .bearer_auth(KEY)
        .form(&form);
    let charge: Value = charge.send().await.unwrap().json().await.unwrap();
    let url = format!("{base}/v1/charges/{}", charge["id"].as_str().unwrap());
    for _ in 0..100 {
        let charge: Value = http
            .get(&url)
            .bearer_auth(KEY)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        if let Some(dispute) = charge["dispute"].as_str() {
            return dispute.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no dispute came");
}

#[tokio::test]
async fn s37_a_dispute_is_read_at_the_mock() {
    let Some(base) = address(VARIABLE) else { return };
    let found = client(&base)
        .dispute(&disputed(&base).await)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.status, found.amount()),
        (DisputeStatus::NeedsResponse, Some(money(2500, "USD")))
    );
    assert_eq!(
        found.balance_transactions[0].net_money(),
        Some(money(-4000, "USD"))
    );
    assert_eq!(client(&base).dispute("dp_nobody").await.unwrap(), None);
}
