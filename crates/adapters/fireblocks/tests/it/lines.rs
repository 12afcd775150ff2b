//! What Fireblocks says was delivered, as the books ask for it.

use posx_fireblocks::{FireblocksCustody, FireblocksError};
use posx_kernel::{ChainAssetId, Ids as _, SeededIds, Timestamp};
use posx_ledger::reconcile::{AskLines, Line, LinesError, Movement, ProviderLines as _, Wallet};
use serde_json::{Value, json};

use crate::server::{Reply, Server, refused};
use crate::support::{claims, custody, now, site};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn wallet(vault: &str) -> Wallet {
    Wallet {
        asset: ChainAssetId::from_uuid(SeededIds::new(9).uuid(now())),
        provider_asset: "USDC_POLYGON".to_owned(),
        vault: vault.to_owned(),
        decimals: 6,
    }
}

/// Of the first of June.
async fn ask(custody: &FireblocksCustody, wallets: &[Wallet]) -> Result<Vec<Line>, LinesError> {
    let ask = AskLines {
        site: site(),
        wallets,
        from: at("2026-06-01T00:00:00Z"),
        until: at("2026-06-02T00:00:00Z"),
    };
    custody.lines(&ask).await
}

#[track_caller]
fn failed(outcome: Result<Vec<Line>, LinesError>) -> FireblocksError {
    match outcome {
        Err(LinesError::Unavailable(cause)) => *cause.downcast().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn sent(id: &str, created: Timestamp, completed: Timestamp) -> Value {
    json!({
        "id": id, "externalTxId": format!("alc_{id}-1"), "status": "COMPLETED", "subStatus": "CONFIRMED",
        "assetId": "USDC_POLYGON", "amount": 1.5, "amountInfo": { "amount": "1.5" },
        "createdAt": created.timestamp_millis(), "lastUpdated": completed.timestamp_millis(),
    })
}

fn in_the_morning(number: usize) -> Value {
    let minutes = chrono::TimeDelta::minutes(i64::try_from(number).unwrap());
    let created = at("2026-06-01T08:00:00Z") + minutes;
    sent(&format!("tx-{number}"), created, created)
}

fn page(transactions: &[Value]) -> Reply {
    Reply::Json(200, transactions.into())
}

fn parameter(uri: &str, name: &str) -> String {
    let query = uri.split_once('?').unwrap().1;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(known, _)| *known == name).unwrap().1.to_owned()
}

#[tokio::test]
async fn f01_every_page_of_every_vault_is_read_and_the_whole_address_is_signed() {
    let all: Vec<_> = (0..150).map(in_the_morning).collect();
    // The last one of a page comes again at the front of the next.
    let server = Server::with([page(&all[..100]), page(&all[99..]), page(&[])]).await;
    let lines = ask(&custody(&server.url()), &[wallet("7"), wallet("8")])
        .await
        .unwrap();
    assert_eq!(lines.len(), 150);
    let seen = server.seen();
    for asked in &seen {
        let (authorization, api_key) = (asked.header("authorization"), asked.header("x-api-key"));
        claims(authorization.unwrap(), api_key.unwrap(), &asked.uri, &asked.body);
        for (name, value) in [
            ("status", "COMPLETED"),
            ("sourceType", "VAULT_ACCOUNT"),
            ("assets", "USDC_POLYGON"),
            ("orderBy", "createdAt"),
            ("sort", "ASC"),
            ("before", "1780358400000"),
        ] {
            assert_eq!(parameter(&asked.uri, name), value);
        }
    }
    let vaults: Vec<_> = seen
        .iter()
        .map(|asked| parameter(&asked.uri, "sourceId"))
        .collect();
    assert_eq!(vaults, ["7", "7", "8"]);
    let hundredth = all[99]["createdAt"].as_i64().unwrap();
    assert_eq!(parameter(&seen[1].uri, "after"), (hundredth - 1).to_string());
}

#[tokio::test]
async fn f03_rate_limits_server_errors_and_lost_answers_are_asked_again_and_part_is_no_answer() {
    let busy = || Reply::Headed(429, "retry-after", "0");
    let trouble = || Reply::Json(503, json!({ "message": "Internal error", "code": -1 }));
    let there = || page(&[in_the_morning(1)]);
    let server = Server::with([busy(), trouble(), Reply::Cut, there()]).await;
    assert_eq!(
        ask(&custody(&server.url()), &[wallet("7")]).await.unwrap().len(),
        1
    );

    let all: Vec<_> = (0..100).map(in_the_morning).collect();
    let server = Server::with([page(&all), trouble(), trouble(), trouble(), trouble(), trouble()]).await;
    let error = failed(ask(&custody(&server.url()), &[wallet("7")]).await);
    assert!(
        matches!(error, FireblocksError::Status { status: 503 }),
        "{error:?}"
    );

    let server = Server::with([refused(401, -7)]).await;
    let error = failed(ask(&custody(&server.url()), &[wallet("7")]).await);
    assert!(
        matches!(error, FireblocksError::NotAuthorized { .. }),
        "{error:?}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_transfer_is_of_the_day_on_which_it_completed() {
    let (before, noon) = (at("2026-05-29T10:00:00Z"), at("2026-06-01T12:00:00Z"));
    let weeks_ago = at("2026-05-02T10:00:00Z");
    let (midnight, after) = (at("2026-06-01T23:59:59.999Z"), at("2026-06-02T00:00:00Z"));
    let transactions = [
        sent("waited-for-a-month", weeks_ago, noon),
        sent("waited-for-leave", before, noon),
        sent("just-in-time", noon, midnight),
        sent("too-late", noon, after),
        sent("long-ago", before, before),
    ];
    let server = Server::with([page(&transactions)]).await;
    let lines = ask(&custody(&server.url()), &[wallet("7")]).await.unwrap();
    let ids: Vec<_> = lines.iter().map(|line| line.id.as_str()).collect();
    assert_eq!(ids, ["waited-for-a-month", "waited-for-leave", "just-in-time"]);
    let asked_from: i64 = parameter(&server.seen()[0].uri, "after").parse().unwrap();
    assert!(asked_from < weeks_ago.timestamp_millis(), "lists are by creation");
}

#[tokio::test]
async fn f09_f13_only_what_was_delivered_counts_exactly_and_by_our_name_for_it() {
    let mut denied = in_the_morning(1);
    denied["subStatus"] = "COMPLETED_BUT_3RD_PARTY_FAILED".into();
    let mut large = in_the_morning(2);
    large["amountInfo"]["amount"] = "340282366920938463463374607431768.211455".into();
    let mut by_hand = in_the_morning(3);
    by_hand["externalTxId"] = Value::Null;
    let server = Server::with([page(&[denied, large, by_hand])]).await;
    let lines = ask(&custody(&server.url()), &[wallet("7")]).await.unwrap();
    let said: Vec<_> = lines
        .iter()
        .map(|line| (line.reference.as_str(), line.moved.amount))
        .collect();
    assert_eq!(said, [("alc_tx-2-1", u128::MAX), ("tx-3", 1_500_000)]);
    assert!(lines.iter().all(|line| line.movement == Movement::Delivery));
    assert_eq!(lines[0].moved.unit, wallet("7").asset.to_string());

    let mut finer = in_the_morning(4);
    finer["amountInfo"]["amount"] = "1.0000001".into();
    let server = Server::with([page(&[finer])]).await;
    let error = failed(ask(&custody(&server.url()), &[wallet("7")]).await);
    assert!(
        matches!(error, FireblocksError::Field("amountInfo.amount")),
        "never rounded: {error:?}"
    );
}

#[tokio::test]
async fn more_of_one_millisecond_than_a_page_holds_is_no_answer() {
    let one = at("2026-06-01T08:00:00Z");
    let all: Vec<_> = (0..100)
        .map(|number| sent(&format!("tx-{number}"), one, one))
        .collect();
    let server = Server::with([page(&all), page(&all)]).await;
    let error = failed(ask(&custody(&server.url()), &[wallet("7")]).await);
    assert!(matches!(error, FireblocksError::Field("createdAt")), "{error:?}");
}
