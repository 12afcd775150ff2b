//! What Fireblocks tells of a transaction, and stopping one.

use posx_allocations::Standing;
use posx_allocations::custody::Custody as _;
use posx_fireblocks::{CancelOutcome, FireblocksError, TransactionStatus};
use serde_json::json;

use crate::server::{Reply, Server, refused};
use crate::support::{cause, custody, request, transaction};

#[tokio::test]
async fn f07_all_twenty_states_come_through_in_fireblocks_words() {
    let replies =
        TransactionStatus::KNOWN.map(|status| Reply::Json(200, transaction("alc_1-1", status.name())));
    let server = Server::with(replies).await;
    let (custody, wish) = (custody(&server.url()), request("alc_1-1"));
    for status in TransactionStatus::KNOWN {
        let found = custody.find(wish.site, &wish.external_id).await.unwrap().unwrap();
        assert_eq!(found.status, status.name());
        let known = Standing::STATUSES.iter().find(|(word, _)| *word == status.name());
        assert_eq!(Standing::of(&found.status, None), known.unwrap().1);
    }
}

#[tokio::test]
async fn f07_a_state_that_nobody_knows_comes_through_and_is_parked() {
    let server = Server::with([Reply::Json(200, transaction("alc_1-1", "TELEPORTING"))]).await;
    let wish = request("alc_1-1");
    let found = custody(&server.url()).find(wish.site, &wish.external_id).await;
    let found = found.unwrap().unwrap();
    assert_eq!(found.status, "TELEPORTING");
    assert_eq!(Standing::of(&found.status, None), Standing::Parked);
}

#[tokio::test]
async fn f09_f10_f14_substatus_hash_and_confirmations_come_through() {
    let told = json!({
        "id": "tx-1", "externalTxId": "alc_1-1", "status": "COMPLETED",
        "subStatus": "COMPLETED_BUT_3RD_PARTY_FAILED", "txHash": "0xabc", "numOfConfirmations": 12,
        "assetId": "USDC_POLYGON", "blockInfo": { "blockHeight": "42", "blockHash": "0xdef" },
        "amountInfo": { "amount": "1.5" }, "source": { "type": "VAULT_ACCOUNT", "id": "7" },
    });
    let server = Server::with([Reply::Json(200, told.clone()), Reply::Json(200, told)]).await;
    let (custody, wish) = (custody(&server.url()), request("alc_1-1"));
    let found = custody.find(wish.site, &wish.external_id).await.unwrap().unwrap();
    assert_eq!(
        found.sub_status.as_deref(),
        Some("COMPLETED_BUT_3RD_PARTY_FAILED")
    );
    assert_eq!(
        (found.tx_hash.as_deref(), found.confirmations),
        (Some("0xabc"), 12)
    );
    let seen = custody.transaction("tx-1").await.unwrap().unwrap();
    assert_eq!(
        (seen.block_height.as_deref(), seen.block_hash.as_deref()),
        (Some("42"), Some("0xdef"))
    );
}

#[tokio::test]
async fn a_transaction_is_found_by_fireblocks_id_or_is_not_there() {
    let server = Server::with([
        Reply::Json(200, transaction("alc_1-1", "QUEUED")),
        refused(404, 1404),
    ])
    .await;
    let custody = custody(&server.url());
    let found = custody.transaction("tx-1").await.unwrap().unwrap();
    assert_eq!(found.status, TransactionStatus::Queued);
    assert_eq!(custody.transaction("tx-2").await.unwrap(), None);
    assert_eq!(custody.transaction("..").await.unwrap(), None);
    assert_eq!(
        server.asked(),
        ["GET /v1/transactions/tx-1", "GET /v1/transactions/tx-2"]
    );
}

#[tokio::test]
async fn f11_a_cancellation_says_whether_it_came_in_time() {
    let success = |success: bool| Reply::Json(200, json!({ "success": success }));
    let server = Server::with([
        success(true),
        success(false),
        refused(404, 1404),
        Reply::Cut,
        refused(400, 1),
    ])
    .await;
    let custody = custody(&server.url());
    for outcome in [
        CancelOutcome::Cancelling,
        CancelOutcome::NotCancellable,
        CancelOutcome::NoSuchTransaction,
    ] {
        assert_eq!(custody.cancel("tx-1").await.unwrap(), outcome);
    }
    assert!(matches!(
        custody.cancel("tx-1").await,
        Err(FireblocksError::NoAnswer(_))
    ));
    assert!(matches!(
        custody.cancel("tx-1").await,
        Err(FireblocksError::Refused { .. })
    ));
    assert_eq!(
        custody.cancel("").await.unwrap(),
        CancelOutcome::NoSuchTransaction
    );
    let seen = server.seen();
    assert_eq!(seen.len(), 5);
    assert!(
        seen.iter()
            .all(|seen| seen.uri == "/v1/transactions/tx-1/cancel" && seen.key().len() == 40)
    );
    assert_ne!(
        seen[0].key(),
        seen[1].key(),
        "a second wish is not answered by the first one's answer"
    );
}

#[tokio::test]
async fn an_answer_with_words_that_no_row_can_hold_is_unknown() {
    for (field, text) in [
        ("status", "x".repeat(256)),
        ("id", "\u{1}".to_owned()),
        ("txHash", "a b".to_owned()),
    ] {
        let mut told = transaction("alc_1-1", "QUEUED");
        told[field] = json!(text);
        let server = Server::with([Reply::Json(200, told)]).await;
        let wish = request("alc_1-1");
        cause(custody(&server.url()).find(wish.site, &wish.external_id).await);
    }
}
