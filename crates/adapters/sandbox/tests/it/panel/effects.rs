//! What buyers, banks, approvers and chains do.

use posx_allocations::custody::Custody as _;
use posx_orders::gateway::PaymentGateway as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::Remote;
use crate::support::Stage;

async fn new_intent(stage: &Stage) -> String {
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    format!("/payments/intents/{}", intent.id.0)
}

async fn confirmed(remote: &Remote, intent: &str, method: &str) -> Value {
    let card = json!({ "payment_method": method });
    remote.post(&format!("{intent}/confirm"), card).await
}

#[tokio::test]
async fn a_buyer_is_declined_authenticated_and_debited() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let card = new_intent(&stage).await;
    let declined = confirmed(&remote, &card, "pm_card_chargeDeclined").await;
    assert_eq!(declined["status"], "requires_payment_method");
    assert_eq!(declined["last_error"], "card_declined");
    let challenged = confirmed(&remote, &card, "pm_card_threeDSecure2Required").await;
    assert_eq!(challenged["status"], "requires_action");
    let path = format!("{card}/complete_action");
    let paid = remote.post(&path, json!({ "succeeded": true })).await;
    assert_eq!(paid["status"], "succeeded");
    let again = remote.refused(Method::POST, &path, r#"{"succeeded":true}"#).await;
    assert_eq!(again, (409, "conflict".to_owned(), None));

    let debit = new_intent(&stage).await;
    assert_eq!(
        confirmed(&remote, &debit, "pm_bank_debit").await["status"],
        "processing"
    );
    let path = format!("{debit}/settle");
    let returned = remote.post(&path, json!({ "succeeded": false })).await;
    assert_eq!(returned["status"], "requires_payment_method");
}

#[tokio::test]
async fn s14_money_of_another_amount_arrives() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let path = format!("{}/receive", new_intent(&stage).await);
    let received = remote.post(&path, json!({ "amount_minor": 2_499 })).await;
    assert_eq!(received["status"], "succeeded");
    assert_eq!(
        received["received"],
        json!({ "amount": "24.99", "currency": "USD" })
    );
}

#[tokio::test]
async fn s32_a_refund_stays_pending_and_fails() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let intent = stage
        .gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap();
    confirmed(
        &remote,
        &format!("/payments/intents/{}", intent.id.0),
        "pm_card_visa",
    )
    .await;
    remote
        .put("/payments/refunds", json!({ "stay_pending": true }))
        .await;
    let request = stage.refund_of(&intent.id, 100);
    let refund = stage.gateway.create_refund(&request).await.unwrap();
    let status = async || remote.state().await["payments"]["refunds"][0]["status"].clone();
    assert_eq!(status().await, "pending");
    let path = format!("/payments/refunds/{}/settle", refund.id);
    remote.post(&path, json!({ "status": "failed" })).await;
    assert_eq!(status().await, "failed");
}

#[tokio::test]
async fn f09_f10_f11_transfers_end_as_they_are_told() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let next = json!({ "end": "completed_but_third_party_failed", "transfers": 1 });
    remote.post("/custodian/ends", next).await;
    for id in ["alc_1-1", "alc_2-1"] {
        stage.custody.submit(&stage.transfer(id)).await.unwrap();
    }
    for _ in 0..5 {
        remote
            .post("/custodian/transfers/alc_1-1/advance", json!({}))
            .await;
    }
    let ended = remote.state().await["custodian"]["transfers"][0].clone();
    assert_eq!(ended["external_id"], "alc_1-1");
    assert_eq!(
        (&ended["status"], &ended["sub_status"]),
        (&"COMPLETED".into(), &"COMPLETED_BUT_3RD_PARTY_FAILED".into())
    );
    for _ in 0..3 {
        remote
            .post("/custodian/transfers/alc_2-1/advance", json!({}))
            .await;
    }
    let path = "/custodian/transfers/alc_2-1/end";
    let too_late = remote.refused(Method::POST, path, r#"{"end":"rejected"}"#).await;
    assert_eq!(too_late, (409, "conflict".to_owned(), None));
    let failed = remote.post(path, json!({ "end": "failed_on_chain" })).await;
    assert_eq!(failed["status"], "FAILED");
    assert!(
        failed["tx_hash"]
            .as_str()
            .is_some_and(|hash| hash.starts_with("0x"))
    );
}
