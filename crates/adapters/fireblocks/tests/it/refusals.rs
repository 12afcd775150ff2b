//! What comes back when it is not what was hoped for.

use std::time::Duration;

use posx_allocations::custody::{Custody as _, CustodyError};
use posx_fireblocks::FireblocksError;
use serde_json::json;

use crate::server::{Reply, Server, key_spent, refused};
use crate::support::{cause, config, custody, custody_of, request, transaction};

#[tokio::test]
async fn f06_an_answer_that_does_not_say_what_happened_is_unknown_and_nothing_is_sent_again() {
    let huge = vec![b'x'; 1024 * 1024 + 1];
    for reply in [
        Reply::Cut,
        Reply::Json(500, json!({ "message": "Internal error", "code": -1 })),
        Reply::Raw(502, b"<html>".to_vec()),
        Reply::Json(503, json!({})),
        Reply::Json(504, json!(null)),
        Reply::Json(409, json!({ "code": 1 })),
        Reply::Headed(307, "location", "http://127.0.0.1:1/"),
        Reply::Raw(400, b"<html>".to_vec()),
        Reply::Raw(200, b"{".to_vec()),
        Reply::Raw(200, huge),
        Reply::Json(200, json!({})),
        Reply::Json(200, json!({ "id": "", "status": "SUBMITTED" })),
        Reply::Json(200, json!({ "id": "tx-1" })),
        Reply::Json(200, json!({ "id": "two words", "status": "SUBMITTED" })),
    ] {
        let server = Server::with([reply.clone()]).await;
        cause(custody(&server.url()).submit(&request("alc_1-1")).await);
        assert_eq!(server.asked(), ["POST /v1/transactions"], "{reply:?}");
    }
}

#[tokio::test]
async fn f06_a_timeout_is_unknown() {
    let server = Server::with([Reply::Late(Duration::from_secs(20))]).await;
    let mut hasty = config(&server.url());
    hasty.timeout = Duration::from_millis(200);
    let outcome = custody_of(hasty).submit(&request("alc_1-1")).await;
    assert!(matches!(cause(outcome), FireblocksError::NoAnswer(_)));
    assert_eq!(server.seen().len(), 1);
    // Nobody listens there.
    let outcome = custody("http://127.0.0.1:1").submit(&request("alc_1-1")).await;
    assert!(matches!(cause(outcome), FireblocksError::NoAnswer(_)));
}

#[tokio::test]
async fn f06_a_duplicate_refusal_is_told_as_one() {
    let server = Server::with([refused(400, 1438)]).await;
    let outcome = custody(&server.url()).submit(&request("alc_1-1")).await;
    assert!(matches!(outcome, Err(CustodyError::Duplicate)), "{outcome:?}");
}

#[tokio::test]
async fn f04_a_spent_key_is_followed_by_a_look_up_and_then_by_a_new_key() {
    let created = Reply::Json(200, json!({ "id": "tx-9", "status": "SUBMITTED" }));
    let server = Server::with([key_spent(), refused(404, 1404), created]).await;
    let made = custody(&server.url()).submit(&request("alc_1-1")).await.unwrap();
    assert_eq!(made.provider_id, "tx-9");
    let find = "GET /v1/transactions/external_tx_id/alc_1-1";
    assert_eq!(
        server.asked(),
        ["POST /v1/transactions", find, "POST /v1/transactions"]
    );
    let seen = server.seen();
    assert_ne!(seen[0].key(), seen[2].key());
    assert!(seen[2].key().len() <= 40);
    assert_eq!(
        seen[0].body, seen[2].body,
        "the same transfer, under the same external id"
    );
}

#[tokio::test]
async fn f04_what_a_broken_request_made_after_all_is_adopted() {
    let there = Reply::Json(200, transaction("alc_1-1", "QUEUED"));
    let server = Server::with([key_spent(), there]).await;
    let found = custody(&server.url()).submit(&request("alc_1-1")).await.unwrap();
    assert_eq!(
        (found.provider_id.as_str(), found.status.as_str()),
        ("tx-1", "QUEUED")
    );
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn f04_a_spent_key_and_no_look_up_is_unknown_and_nothing_more_is_sent() {
    for reply in [
        Reply::Cut,
        Reply::Json(503, json!({})),
        Reply::Raw(404, b"not ours".to_vec()),
        // A refusal of the look-up is none of the transfer.
        refused(400, 1000),
        refused(403, 1003),
        refused(401, -7),
    ] {
        let server = Server::with([key_spent(), reply]).await;
        cause(custody(&server.url()).submit(&request("alc_1-1")).await);
        assert_eq!(server.seen().len(), 2);
    }
    let server = Server::with([key_spent(), refused(404, 1404), key_spent()]).await;
    let outcome = custody(&server.url()).submit(&request("alc_1-1")).await;
    assert!(matches!(cause(outcome), FireblocksError::KeySpent));
}

#[tokio::test]
async fn f25_an_unknown_vault_is_refused_with_fireblocks_code() {
    let server = Server::with([refused(404, 1004)]).await;
    match custody(&server.url()).submit(&request("alc_1-1")).await {
        Err(CustodyError::Refused { code }) => assert_eq!(code, "1004"),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn f01_a_wrong_key_or_clock_is_no_refusal_of_the_transfer() {
    for code in [-1, -5, -7, -10, -12] {
        let server = Server::with([refused(401, code), refused(401, code)]).await;
        let custody = custody(&server.url());
        let submitted = custody.submit(&request("alc_1-1")).await.map(|_| ());
        let wish = request("alc_1-1");
        let found = custody.find(wish.site, &wish.external_id).await.map(|_| ());
        for outcome in [submitted, found] {
            let expected = code.to_string();
            let told = matches!(&outcome, Err(CustodyError::NotAuthorized { code }) if *code == expected);
            assert!(told, "{outcome:?}");
        }
    }
}

#[tokio::test]
async fn p24_only_fireblocks_own_404_says_that_there_is_no_such_transfer() {
    let wish = request("alc_1-1");
    let server = Server::with([refused(404, 1404)]).await;
    let found = custody(&server.url()).find(wish.site, &wish.external_id).await;
    assert_eq!(found.unwrap(), None);
    for reply in [
        Reply::Raw(404, b"<html>".to_vec()),
        Reply::Json(404, json!({ "message": "Not Found" })),
        Reply::Json(500, json!({ "code": 1404 })),
        Reply::Json(200, json!({})),
        Reply::Json(200, transaction("alc_2-1", "COMPLETED")),
        Reply::Cut,
    ] {
        let server = Server::with([reply]).await;
        cause(custody(&server.url()).find(wish.site, &wish.external_id).await);
    }
}
