//! What Stripe says happened on an account, as the books ask for it.

use axum::http::Method;
use posx_kernel::{SiteId, Timestamp};
use posx_ledger::reconcile::{AskLines, Line, LinesError, Movement, ProviderLines as _};
use posx_stripe::{Mode, StripeAccounts, StripeError, StripeLines};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::{Reply, Server};
use crate::support::{KEY, config, connection, key, site};

fn account(server: &Server) -> StripeLines {
    let connection = connection(&config(&server.url()));
    let keys = [(site(), key(KEY))];
    StripeLines::new(StripeAccounts::new(&connection, Mode::Test, keys).unwrap())
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn ask(server: &Server) -> Result<Vec<Line>, LinesError> {
    ask_for(server, site()).await
}

/// The first of June in Kuwait.
async fn ask_for(server: &Server, site: SiteId) -> Result<Vec<Line>, LinesError> {
    let ask = AskLines {
        site,
        wallets: &[],
        from: at("2026-05-31T21:00:00Z"),
        until: at("2026-06-01T21:00:00Z"),
    };
    account(server).lines(&ask).await
}

#[track_caller]
fn failed(outcome: Result<Vec<Line>, LinesError>) -> StripeError {
    match outcome {
        Err(LinesError::Unavailable(cause)) => *cause.downcast().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn transaction(id: &str, category: &str, amount: i64, fee: i64, source: &Value) -> Value {
    json!({
        "id": id, "object": "balance_transaction", "amount": amount, "fee": fee, "net": amount - fee,
        "available_on": 1_780_400_000, "created": at("2026-06-01T12:00:00Z").timestamp(), "currency": "usd",
        "reporting_category": category, "type": "any", "status": "pending", "source": source,
    })
}

fn charge(number: usize) -> Value {
    let source =
        json!({ "id": format!("ch_{number}"), "object": "charge", "payment_intent": format!("pi_{number}") });
    transaction(&format!("txn_{number}"), "charge", 1_000, 0, &source)
}

fn page(transactions: &[Value], has_more: bool) -> Reply {
    let page = json!({ "object": "list", "data": transactions, "has_more": has_more, "url": "/v1/balance_transactions" });
    Reply::Json(200, page)
}

#[tokio::test]
async fn s49_every_page_of_a_day_is_read_and_no_other_day() {
    let server = Server::start().await;
    server.book(|book| {
        book.lines.extend((0..250).map(charge));
        for (id, created) in [
            ("txn_before", "2026-05-31T20:59:59Z"),
            ("txn_after", "2026-06-01T21:00:00Z"),
        ] {
            let mut other = charge(999);
            other["id"] = id.into();
            other["created"] = at(created).timestamp().into();
            book.lines.push(other);
        }
        book.lines[0]["created"] = at("2026-05-31T21:00:00Z").timestamp().into();
        book.lines[1]["created"] = at("2026-06-01T20:59:59Z").timestamp().into();
    });
    let lines = ask(&server).await.unwrap();
    let references: std::collections::BTreeSet<_> = lines.iter().map(|line| line.reference.clone()).collect();
    assert_eq!((lines.len(), references.len()), (250, 250));
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    for asked in &seen {
        assert_eq!(asked.parameter("limit"), Some("100"));
        assert_eq!(asked.parameter("expand[]"), Some("data.source"));
    }
    let after: Vec<_> = seen
        .iter()
        .map(|asked| asked.parameter("starting_after"))
        .collect();
    assert_eq!(after, [None, Some("txn_150"), Some("txn_50")]);
}

#[tokio::test]
async fn s08_rate_limits_server_errors_and_lost_answers_are_asked_again() {
    let server = Server::start().await;
    server.book(|book| book.lines.extend((0..150).map(charge)));
    let trouble = |status| Reply::Json(status, json!({ "error": { "type": "api_error" } }));
    for reply in [trouble(429), trouble(500), trouble(503), Reply::Lost] {
        server.reply(&Method::GET, reply);
    }
    let lines = ask(&server).await.unwrap();
    assert_eq!((lines.len(), server.seen().len()), (150, 6));
}

#[tokio::test]
async fn part_of_a_day_is_no_answer() {
    let server = Server::start().await;
    let first: Vec<_> = (0..100).map(charge).collect();
    server.reply(&Method::GET, page(&first, true));
    server.always(Reply::Json(500, json!({ "error": { "type": "api_error" } })));
    let error = failed(ask(&server).await);
    assert!(
        matches!(error, StripeError::Server { status: 500, .. }),
        "{error:?}"
    );
    assert_eq!(server.seen().len(), 5, "it gives up");
}

#[tokio::test]
async fn a_list_that_moves_while_it_is_read_gives_each_line_once() {
    let server = Server::start().await;
    let all: Vec<_> = (0..150).map(charge).collect();
    server.reply(&Method::GET, page(&all[..100], true));
    // Ten came in before: by their place, these are seen again.
    server.reply(&Method::GET, page(&all[90..], false));
    assert_eq!(ask(&server).await.unwrap().len(), 150);

    server.reply(&Method::GET, page(&all[..100], true));
    server.reply(&Method::GET, page(&all[99..100], true));
    let error = failed(ask(&server).await);
    assert!(
        matches!(error, StripeError::Field("has_more")),
        "not for ever: {error:?}"
    );

    // The line that the next page begins behind is gone: what follows it is not known.
    server.reply(&Method::GET, page(&all[..100], true));
    let gone = json!({ "error": { "type": "invalid_request_error", "code": "resource_missing", "param": "starting_after" } });
    server.reply(&Method::GET, Reply::Json(400, gone));
    let error = failed(ask(&server).await);
    assert!(matches!(error, StripeError::LookupRefused(_)), "{error:?}");
}

fn one_of_each() -> Vec<Value> {
    let refund = json!({ "id": "re_1", "object": "refund", "payment_intent": "pi_1" });
    let dispute = json!({ "id": "dp_1", "object": "dispute", "payment_intent": "pi_1" });
    let ours = json!({ "posx_site": site().to_string() });
    let reversal =
        json!({ "id": "trr_1", "object": "transfer_reversal", "transfer": "tr_1", "metadata": ours });
    vec![
        transaction(
            "txn_1",
            "charge",
            10_000,
            320,
            &json!({ "id": "ch_1", "payment_intent": "pi_1" }),
        ),
        transaction(
            "txn_2",
            "charge",
            500,
            0,
            &json!({ "id": "py_2", "payment_intent": null }),
        ),
        transaction("txn_3", "refund", -1_000, 0, &refund),
        transaction("txn_4", "refund_failure", 1_000, 0, &refund),
        transaction("txn_5", "dispute", -9_000, 1_500, &dispute),
        transaction("txn_6", "dispute_reversal", 9_000, -1_500, &dispute),
        transaction(
            "txn_7",
            "transfer",
            -700,
            0,
            &json!({ "id": "tr_1", "object": "transfer" }),
        ),
        transaction("txn_8", "transfer_reversal", 200, 0, &reversal),
        transaction("txn_9", "payout", -4_000, 10, &json!("po_1")),
        transaction("txn_10", "fee", -90, 18, &Value::Null),
        transaction("txn_11", "risk_reserved_funds", -50, 0, &Value::Null),
    ]
}

#[tokio::test]
async fn each_kind_of_line_is_about_what_the_books_know_it_by() {
    let transactions = one_of_each();
    let server = Server::start().await;
    server.reply(&Method::GET, page(&transactions, false));
    let lines = ask(&server).await.unwrap();
    let said: Vec<_> = lines
        .iter()
        .map(|line| {
            assert_eq!(line.moved.unit, "USD");
            (
                line.id.as_str(),
                line.movement,
                line.reference.as_str(),
                line.moved.signed(),
            )
        })
        .collect();
    let expected = [
        ("txn_1", Movement::Payment, "pi_1", "10000"),
        ("txn_1", Movement::Fee, "txn_1", "-320"),
        ("txn_2", Movement::Payment, "py_2", "500"),
        ("txn_3", Movement::Refund, "re_1", "-1000"),
        ("txn_4", Movement::RefundFailure, "re_1", "1000"),
        ("txn_5", Movement::Dispute, "dp_1", "-9000"),
        ("txn_5", Movement::DisputeFee, "dp_1", "-1500"),
        ("txn_6", Movement::Dispute, "dp_1", "9000"),
        ("txn_6", Movement::DisputeFee, "dp_1", "1500"),
        ("txn_7", Movement::Transfer, "tr_1", "-700"),
        ("txn_8", Movement::TransferReversal, "tr_1", "200"),
        ("txn_9", Movement::PaidOut, "txn_9", "-4000"),
        ("txn_9", Movement::Fee, "txn_9", "-10"),
        ("txn_10", Movement::Fee, "txn_10", "-108"),
        ("txn_11", Movement::Other, "txn_11", "-50"),
    ];
    let expected =
        expected.map(|(id, movement, reference, moved)| (id, movement, reference, moved.to_owned()));
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_site_without_a_key_has_no_account_and_a_wrong_key_is_no_empty_day() {
    let server = Server::start().await;
    let nobody = SiteId::from_uuid(Uuid::nil());
    assert!(matches!(
        ask_for(&server, nobody).await,
        Err(LinesError::NoAccount)
    ));
    let wrong = json!({ "error": { "type": "invalid_request_error", "message": "Invalid API Key provided: sk_test_*1234" } });
    server.always(Reply::Json(401, wrong));
    assert!(matches!(failed(ask(&server).await), StripeError::KeyWrong));
}

#[tokio::test]
async fn p01_of_an_account_that_two_sites_share_each_sees_what_names_it_and_nothing_else() {
    let server = Server::start().await;
    let other = SiteId::from_uuid(Uuid::nil());
    let of = |site: SiteId| json!({ "posx_site": site.to_string() });
    server.book(|book| {
        for (id, site) in [("pi_1", site()), ("pi_2", other)] {
            book.intents.push(json!({
                "id": id, "amount": 1_000, "currency": "usd", "status": "succeeded", "livemode": false, "metadata": of(site),
            }));
        }
        let charge = |number: usize, site| {
            let mut charge = charge(number);
            charge["source"]["metadata"] = of(site);
            charge
        };
        book.lines.extend([charge(1, site()), charge(2, other)]);
        // By hand, at the dashboard.
        for number in [1, 2] {
            let intent = format!("pi_{number}");
            let refund = json!({ "id": format!("re_{number}"), "object": "refund", "payment_intent": intent, "metadata": {} });
            let dispute = json!({ "id": format!("dp_{number}"), "object": "dispute", "payment_intent": intent });
            book.lines.push(transaction(&format!("txn_re_{number}"), "refund", -100, 0, &refund));
            book.lines.push(transaction(&format!("txn_dp_{number}"), "dispute", -500, 1_500, &dispute));
        }
        book.lines.push(transaction("txn_po", "payout", -50, 0, &json!("po_1")));
    });
    let connection = connection(&config(&server.url()));
    let keys = || [(site(), key(KEY)), (other, key(KEY))];
    let both = StripeLines::new(StripeAccounts::new(&connection, Mode::Test, keys()).unwrap());
    let ids = |lines: Vec<Line>| {
        let mut ids: Vec<_> = lines.into_iter().map(|line| line.id).collect();
        ids.dedup();
        ids.sort();
        ids
    };
    for (whose, number) in [(site(), 1), (other, 2)] {
        let ask = AskLines {
            site: whose,
            wallets: &[],
            from: at("2026-05-31T21:00:00Z"),
            until: at("2026-06-01T21:00:00Z"),
        };
        let expected = ["", "dp_", "re_"].map(|kind| format!("txn_{kind}{number}"));
        assert_eq!(ids(both.lines(&ask).await.unwrap()), expected);
    }
    // Alone with its account, what names nobody is the site's.
    let alone = ids(ask(&server).await.unwrap());
    assert_eq!(alone, ["txn_1", "txn_dp_1", "txn_po", "txn_re_1"]);
}
