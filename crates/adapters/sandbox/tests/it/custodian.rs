//! The custodian, through the port and by its own HTTP.

use std::time::Duration;

use posx_allocations::custody::{Custody as _, CustodyError, ExternalId};
use posx_sandbox::{CustodyCall, Drive, End, Fault, SandboxCustody, TransferStatus};
use serde_json::{Value, json};

use crate::support::{Stage, WITHIN, http};

fn is_unknown<T>(outcome: &Result<T, CustodyError>) -> bool {
    matches!(outcome, Err(CustodyError::Unknown(_)))
}

fn ours() -> ExternalId {
    ExternalId("alc_1-1".to_owned())
}

#[tokio::test]
async fn f05_an_external_id_has_one_transfer_for_ever() {
    let stage = Stage::set().await;
    let request = stage.transfer("alc_1-1");
    let made = stage.custody.submit(&request).await.unwrap();
    assert_eq!(made.external_id, Some(ours()));
    assert_eq!(made.status, "SUBMITTED");
    stage.world.custodian().settle_all();
    stage.days_pass(400);
    let mut other = request.clone();
    other.amount = posx_kernel::TokenAmount::from_base_units(9);
    for again in [&request, &other] {
        let refused = stage.custody.submit(again).await;
        assert!(matches!(refused, Err(CustodyError::Duplicate)), "{refused:?}");
    }
    let transfers = stage.world.custodian().transfers_to(&request.to);
    assert_eq!(transfers.len(), 1);
    assert_eq!(transfers[0].amount, "1.5");
    assert_eq!(
        (transfers[0].asset.as_str(), transfers[0].vault.as_str()),
        ("USDC_POLYGON", "7")
    );
}

#[tokio::test]
async fn f06_a_lost_answer_is_looked_up_and_the_transfer_is_there_once() {
    let stage = Stage::set().await;
    let line = stage.world.custodian().line();
    for (number, fault) in [Fault::LoseAnswer, Fault::GatewayTimeout].into_iter().enumerate() {
        let request = stage.transfer(&format!("alc_{number}-1"));
        line.inject(CustodyCall::Submit, fault, 1);
        assert!(is_unknown(&stage.custody.submit(&request).await));
        let found = stage
            .custody
            .find(request.site, &request.external_id)
            .await
            .unwrap();
        assert_eq!(found.unwrap().external_id, Some(request.external_id.clone()));
        assert!(matches!(
            stage.custody.submit(&request).await,
            Err(CustodyError::Duplicate)
        ));
    }
    assert_eq!(stage.world.custodian().transfers().len(), 2);
    assert_eq!(line.calls(CustodyCall::Submit), 4);
}

#[tokio::test]
async fn a_call_whose_caller_gave_up_takes_effect() {
    let stage = Stage::set().await;
    let line = stage.world.custodian().line();
    let hasty = SandboxCustody::new(
        &stage.world.fireblocks_url(),
        &stage.world.secrets().fireblocks_api_key,
    );
    let hasty = hasty.unwrap().timeout(Duration::from_millis(300));
    line.set_latency(Duration::from_millis(900));
    let request = stage.transfer("alc_1-1");
    assert!(is_unknown(&hasty.submit(&request).await));
    line.repair();
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let found = stage.custody.find(request.site, &request.external_id).await;
    assert!(found.unwrap().is_some());
}

#[tokio::test]
async fn what_was_refused_or_met_a_server_error_made_no_transfer() {
    let stage = Stage::set().await;
    let line = stage.world.custodian().line();
    let request = stage.transfer("alc_1-1");
    let code = "1427".to_owned();
    line.inject(CustodyCall::Submit, Fault::Refuse { code: code.clone() }, 1);
    line.inject(CustodyCall::Submit, Fault::ServerError, 1);
    let refused = stage.custody.submit(&request).await;
    assert!(matches!(refused, Err(CustodyError::Refused { code: held }) if held == code));
    assert!(is_unknown(&stage.custody.submit(&request).await));
    line.set_down(true);
    assert!(is_unknown(&stage.custody.submit(&request).await));
    assert!(is_unknown(
        &stage.custody.find(request.site, &request.external_id).await
    ));
    line.repair();
    line.inject(CustodyCall::Find, Fault::LoseAnswer, 1);
    assert!(is_unknown(
        &stage.custody.find(request.site, &request.external_id).await
    ));
    let found = stage.custody.find(request.site, &request.external_id).await;
    assert_eq!(found.unwrap(), None);
    stage.custody.submit(&request).await.unwrap();
    assert!(SandboxCustody::new("https://api.fireblocks.io", "key").is_err());
}

#[tokio::test]
async fn f12_a_transfer_moves_forward_and_has_a_hash_from_broadcasting_on() {
    let stage = Stage::set().await;
    let custodian = stage.world.custodian();
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    let mut seen = Vec::new();
    while let Some(status) = custodian.advance("alc_1-1") {
        let told = stage.custody.find(stage.site(), &ours()).await.unwrap().unwrap();
        assert_eq!(told.status, status.as_str());
        assert_eq!(told.tx_hash.is_some(), status >= TransferStatus::Broadcasting);
        assert_eq!(told.confirmations > 0, status >= TransferStatus::Confirming);
        seen.push(told);
    }
    let statuses: Vec<&str> = seen.iter().map(|told| told.status.as_str()).collect();
    assert_eq!(
        statuses,
        [
            "QUEUED",
            "PENDING_SIGNATURE",
            "BROADCASTING",
            "CONFIRMING",
            "COMPLETED"
        ]
    );
    assert_eq!(seen[2].tx_hash, seen[4].tx_hash);
    assert_eq!(seen[4].sub_status.as_deref(), Some("CONFIRMED"));
    assert_eq!(custodian.end("alc_1-1", End::FailedOnChain), None);
    assert_eq!(custodian.advance("alc_nobody-1"), None);
}

#[tokio::test]
async fn transfers_drive_themselves_when_told_to() {
    let step = Duration::from_millis(5);
    let stage = Stage::set_with(Drive::Automatic { step }).await;
    stage.custody.submit(&stage.transfer("alc_1-1")).await.unwrap();
    let completed = async {
        while stage.world.custodian().transfer("alc_1-1").unwrap().status != TransferStatus::Completed {
            tokio::time::sleep(step).await;
        }
    };
    tokio::time::timeout(WITHIN, completed).await.unwrap();
    stage.webhooks_settle().await;
    assert_eq!(stage.receiver.kinds().len(), 6);
}

#[tokio::test]
async fn f09_f10_other_ends_are_told_with_their_substatus_and_a_hash_only_if_on_chain() {
    let stage = Stage::set().await;
    let custodian = stage.world.custodian();
    for (number, (end, status, sub_status, on_chain)) in [
        (End::Failed, "FAILED", "INSUFFICIENT_FUNDS", false),
        (
            End::FailedOnChain,
            "FAILED",
            "SMART_CONTRACT_EXECUTION_FAILED",
            true,
        ),
        (End::Rejected, "REJECTED", "REJECTED_BY_USER", false),
        (End::Blocked, "BLOCKED", "BLOCKED_BY_POLICY", false),
        (End::Cancelled, "CANCELLED", "CANCELLED_BY_USER", false),
        (
            End::CompletedButThirdPartyFailed,
            "COMPLETED",
            "COMPLETED_BUT_3RD_PARTY_FAILED",
            true,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        for planned in [false, true] {
            let request = stage.transfer(&format!("alc_{number}{planned}-1"));
            if planned {
                custodian.end_next(end, 1);
            }
            stage.custody.submit(&request).await.unwrap();
            if !planned {
                custodian.end(&request.external_id.0, end).unwrap();
            }
            custodian.settle_all();
            let told = stage
                .custody
                .find(request.site, &request.external_id)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                (told.status.as_str(), told.sub_status.as_deref()),
                (status, Some(sub_status))
            );
            assert_eq!(told.tx_hash.is_some(), on_chain, "{end:?}");
        }
    }
}

async fn post(stage: &Stage, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = http()
        .post(format!("{}{path}", stage.world.fireblocks_url()))
        .header("x-api-key", &stage.world.secrets().fireblocks_api_key)
        .json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn transaction(external_id: &str) -> Value {
    json!({
        "assetId": "ETH", "amount": "1.5", "externalTxId": external_id,
        "source": { "type": "VAULT_ACCOUNT", "id": "0" },
        "destination": { "type": "ONE_TIME_ADDRESS", "oneTimeAddress": { "address": "0xabc" } },
    })
}

#[tokio::test]
async fn f04_a_key_gives_its_first_answer_again_and_is_spent_by_an_internal_error() {
    let stage = Stage::set().await;
    let first = post(&stage, "/v1/transactions", Some("k1"), &transaction("a-1")).await;
    assert_eq!((first.0, &first.1["status"]), (200, &"SUBMITTED".into()));
    assert_eq!(
        post(&stage, "/v1/transactions", Some("k1"), &transaction("a-1")).await,
        first
    );
    let (status, body) = post(&stage, "/v1/transactions", None, &transaction("a-1")).await;
    assert_eq!((status, &body["code"]), (400, &1438.into()));

    stage
        .world
        .custodian()
        .line()
        .inject(CustodyCall::Submit, Fault::ServerError, 1);
    let statuses = [
        post(&stage, "/v1/transactions", Some("k2"), &transaction("b-1"))
            .await
            .0,
        post(&stage, "/v1/transactions", Some("k2"), &transaction("b-1"))
            .await
            .0,
        post(&stage, "/v1/transactions", Some("k3"), &transaction("b-1"))
            .await
            .0,
    ];
    assert_eq!(statuses, [500, 400, 200]);
    let long = "k".repeat(41);
    assert_eq!(
        post(&stage, "/v1/transactions", Some(&long), &transaction("c-1"))
            .await
            .0,
        400
    );
}

#[tokio::test]
async fn f11_cancelling_works_only_before_broadcasting() {
    let stage = Stage::set().await;
    for (external_id, steps, success) in [("a-1", 2, true), ("b-1", 3, false)] {
        let (_, created) = post(&stage, "/v1/transactions", None, &transaction(external_id)).await;
        for _ in 0..steps {
            stage.world.custodian().advance(external_id).unwrap();
        }
        let path = format!("/v1/transactions/{}/cancel", created["id"].as_str().unwrap());
        let answer = post(&stage, &path, None, &json!({})).await;
        assert_eq!(answer, (200, json!({ "success": success })));
    }
}

#[tokio::test]
async fn f13_a_transaction_is_told_with_amounts_as_text() {
    let stage = Stage::set().await;
    let (_, created) = post(&stage, "/v1/transactions", None, &transaction("a-1")).await;
    let get = async |path: &str, key: &str| {
        let url = format!("{}/v1/transactions/{path}", stage.world.fireblocks_url());
        let answer = http().get(url).header("x-api-key", key).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let key = &stage.world.secrets().fireblocks_api_key;
    let (status, by_id) = get(created["id"].as_str().unwrap(), key).await;
    assert_eq!(status, 200);
    assert_eq!(get("external_tx_id/a-1", key).await.1, by_id);
    assert_eq!(by_id["amountInfo"]["amount"], "1.5");
    assert_eq!(by_id["destinationAddress"], "0xabc");
    assert_eq!(
        by_id["createdAt"],
        crate::support::start_of_time().timestamp_millis()
    );
    assert_eq!(get("external_tx_id/a-2", key).await.0, 404);
    assert_eq!(get("external_tx_id/a-1", "guess").await.0, 401);
    // An external id may hold what a path may not.
    let odd = ExternalId("a/b c?%2F..é".to_owned());
    let mut request = stage.transfer("");
    request.external_id = odd.clone();
    stage.custody.submit(&request).await.unwrap();
    let found = stage.custody.find(request.site, &odd).await.unwrap();
    assert_eq!(found.unwrap().external_id, Some(odd));
}

#[tokio::test]
async fn a_malformed_transaction_gets_an_error_object_and_makes_nothing() {
    let stage = Stage::set().await;
    for (pointer, value) in [
        ("/externalTxId", Value::Null),
        ("/externalTxId", "".into()),
        ("/externalTxId", "x".repeat(256).into()),
        ("/amount", 1.5.into()),
        ("/amount", "-1".into()),
        ("/amount", "0.00".into()),
        ("/amount", "1e3".into()),
        ("/amount", "1.".into()),
        ("/source/type", "EXCHANGE_ACCOUNT".into()),
        ("/destination/type", "VAULT_ACCOUNT".into()),
        ("/destination/oneTimeAddress", json!({})),
        ("/assetId", "".into()),
        ("", "nonsense".into()),
    ] {
        let mut body = transaction("a-1");
        *body.pointer_mut(pointer).unwrap() = value;
        let (status, answer) = post(&stage, "/v1/transactions", None, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(
            answer["code"].is_i64() && answer["message"].is_string(),
            "{answer}"
        );
    }
    assert_eq!(stage.world.custodian().transfers(), []);
}
