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

/// What is disputed at once, as the panel is asked for it.
async fn disputed(remote: &Remote, intent: &str, status: &str) -> String {
    let body = json!({ "status": status, "amount_minor": 2_000 });
    let opened = remote.post(&format!("{intent}/dispute"), body).await;
    opened["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s38_disputed_money_is_taken_and_given_back_and_each_step_is_told() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let path = new_intent(&stage).await;
    confirmed(&remote, &path, "pm_card_visa").await;
    let id = disputed(&remote, &path, "needs_response").await;
    let fee = json!({ "fee_minor": 1_500 });
    for (step, body) in [
        ("withdraw", fee.clone()),
        ("evidence", json!({ "due_by": "2026-06-20T12:00:00Z" })),
        ("decide", json!({ "status": "won" })),
        ("reinstate", fee),
    ] {
        remote
            .post(&format!("/payments/disputes/{id}/{step}"), body)
            .await;
    }
    let site = stage.wish(1, "USD").site;
    let seen = stage.gateway.dispute(site, &id).await.unwrap().unwrap();
    let moved = |at: usize| (seen.movements[at].amount.minor(), seen.movements[at].fee.minor());
    assert_eq!(seen.movements.len(), 2);
    assert_eq!((moved(0), moved(1)), ((-2_000, 1_500), (2_000, -1_500)));
    let due_by = seen.evidence_due_by.unwrap().to_rfc3339();
    assert_eq!(due_by, "2026-06-20T12:00:00+00:00");
    let shown = remote.state().await["payments"].clone();
    assert_eq!(shown["disputes"][0]["status"], "won");
    let kinds = shown["notices"].as_array().unwrap().iter().rev();
    let told: Vec<_> = kinds
        .filter_map(|notice| notice["kind"].as_str()?.strip_prefix("charge.dispute."))
        .collect();
    assert_eq!(
        told,
        [
            "created",
            "funds_withdrawn",
            "updated",
            "closed",
            "funds_reinstated"
        ]
    );
}

#[tokio::test]
async fn s36_an_inquiry_takes_a_refund_and_a_dispute_does_not() {
    let stage = Stage::set().await;
    let remote = Remote::of(&stage.world);
    let wish = stage.wish(2_500, "USD");
    let intent = stage.gateway.create_intent(&wish).await.unwrap();
    let path = format!("/payments/intents/{}", intent.id.0);
    let refused = async |path: &str, body: &str| remote.refused(Method::POST, path, body).await.0;
    let early = refused(&format!("{path}/dispute"), r#"{"status":"needs_response"}"#).await;
    assert_eq!(early, 409, "nothing was paid yet");
    confirmed(&remote, &path, "pm_card_visa").await;
    let id = disputed(&remote, &path, "warning_needs_response").await;
    let part = json!({ "amount_minor": 100 });
    let by_hand = remote.post(&format!("{path}/refund"), part).await;
    assert!(by_hand["id"].as_str().unwrap().starts_with("re_"));
    let decide = format!("/payments/disputes/{id}/decide");
    remote.post(&decide, json!({ "status": "needs_response" })).await;
    let request = stage.refund_of(&intent.id, 100);
    let outcome = format!("{:?}", stage.gateway.create_refund(&request).await);
    assert!(outcome.contains("charge_disputed"), "{outcome}");
    let withdraw = format!("/payments/disputes/{id}/withdraw");
    assert_eq!(refused(&withdraw, r#"{"fee_minor":-1}"#).await, 400);
    assert_eq!(refused(&decide, r#"{"status":"unknown"}"#).await, 400);
    let nobodys = "/payments/disputes/dp_nobody/decide";
    assert_eq!(refused(nobodys, r#"{"status":"won"}"#).await, 404);
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
