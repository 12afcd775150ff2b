//! Accounts, transfers, balance, disputes and missed events.

use axum::http::Method;
use posx_stripe::{
    BalanceAmount, Capability, DisputeStatus, NewConnectedAccount, NewTransfer, Reversed, StripeError, Window,
};
use serde_json::{Value, json};

use crate::server::{Reply, Seen, Server};
use crate::support::{client, money, once};

fn window() -> Window {
    Window {
        from: "2026-05-01T00:00:00Z".parse().unwrap(),
        to: Some("2026-06-01T00:00:00Z".parse().unwrap()),
    }
}

fn form(seen: &Seen) -> Vec<(&str, &str)> {
    let pairs = seen.form.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

fn refused(code: &str) -> Reply {
    Reply::Json(
        400,
        json!({ "error": { "type": "invalid_request_error", "code": code, "message": "No." } }),
    )
}

fn transfer(reversed: i64) -> Value {
    json!({
        "id": "tr_1", "object": "transfer", "amount": 5000, "amount_reversed": reversed, "currency": "usd",
        "created": 1, "livemode": false, "destination": "acct_1", "transfer_group": "ord_1", "reversed": reversed == 5000,
        "source_transaction": "ch_1", "reversals": { "data": [] }, "metadata": { "posx_payout_line": "7" },
    })
}

fn line() -> Value {
    json!({
        "id": "txn_1", "object": "balance_transaction", "amount": -1500, "fee": 1500, "net": -3000, "currency": "usd",
        "type": "adjustment", "reporting_category": "dispute", "status": "pending", "source": "dp_1",
        "created": 1_780_000_000, "available_on": 1_780_086_400, "livemode": null,
    })
}

#[tokio::test]
async fn s47_an_account_says_what_it_may_and_what_it_lacks() {
    let server = Server::start().await;
    let client = client(&server.url());
    let account = |transfers: &str, payouts: bool| {
        json!({
            "id": "acct_1", "object": "account", "country": "DE", "details_submitted": true, "payouts_enabled": payouts,
            "capabilities": { "transfers": transfers, "card_payments": "pending" }, "charges_enabled": true,
            "requirements": { "disabled_reason": "requirements.past_due", "currently_due": ["external_account"], "current_deadline": 1_780_000_000 },
            "metadata": { "posx_agent": "pty_1" },
        })
    };
    server.reply(&Method::POST, Reply::Json(200, account("pending", false)));
    let new = NewConnectedAccount {
        country: "DE",
        email: None,
        metadata: &[("posx_agent", "pty_1".to_owned())],
    };
    let made = client.create_account(&once("account-1"), &new).await.unwrap();
    assert_eq!(
        form(&server.last()),
        [
            ("type", "express"),
            ("country", "DE"),
            ("capabilities[transfers][requested]", "true"),
            ("metadata[posx_agent]", "pty_1"),
        ]
    );
    assert_eq!(
        (made.capability("transfers"), made.capability("treasury")),
        (Capability::Pending, Capability::Inactive)
    );
    assert!(!made.takes_transfers());
    let due = made.requirements.unwrap();
    assert_eq!(
        (due.disabled_reason.as_deref(), due.currently_due.as_slice()),
        (
            Some("requirements.past_due"),
            ["external_account".to_owned()].as_slice()
        )
    );
    assert_eq!(due.current_deadline.unwrap().timestamp(), 1_780_000_000);

    for (transfers, payouts, takes) in [
        ("active", true, true),
        ("active", false, false),
        ("inactive", true, false),
        ("suspended", true, false),
    ] {
        server.reply(&Method::GET, Reply::Json(200, account(transfers, payouts)));
        let found = client.account("acct_1").await.unwrap().unwrap();
        assert_eq!(found.takes_transfers(), takes, "{transfers} {payouts}");
    }
    let gone =
        json!({ "error": { "type": "invalid_request_error", "code": "account_invalid", "message": "" } });
    server.reply(&Method::GET, Reply::Json(403, gone));
    let outcome = client.account("acct_1").await;
    assert!(matches!(outcome, Err(StripeError::NotPermitted { code }) if code == "account_invalid"));
}

#[tokio::test]
async fn an_onboarding_link_is_new_each_time_and_does_not_print() {
    let server = Server::start().await;
    let client = client(&server.url());
    let url = "https://connect.stripe.com/setup/e/acct_1/open-sesame";
    server.always(Reply::Json(
        200,
        json!({ "object": "account_link", "created": 1, "expires_at": 1_780_000_000, "url": url }),
    ));
    let link = client
        .onboarding_link(
            "acct_1",
            "https://posx.example/again",
            "https://posx.example/done",
        )
        .await
        .unwrap();
    assert_eq!(
        (link.url.as_str(), link.expires_at.timestamp()),
        (url, 1_780_000_000)
    );
    assert!(!format!("{link:?}").contains("sesame"));
    assert_eq!(server.last().parameter("type"), Some("account_onboarding"));
    client
        .onboarding_link(
            "acct_1",
            "https://posx.example/again",
            "https://posx.example/done",
        )
        .await
        .unwrap();
    let posts = server.posts();
    assert_ne!(posts[0].key(), posts[1].key());
}

#[tokio::test]
async fn s43_a_transfer_may_be_tied_to_the_charge_that_pays_for_it() {
    let server = Server::start().await;
    let client = client(&server.url());
    let new = NewTransfer {
        destination: "acct_1",
        amount: money(5000, "USD"),
        transfer_group: "ord_1",
        source_transaction: Some("ch_1"),
        metadata: &[("posx_payout_line", "7".to_owned())],
    };
    server.reply(&Method::POST, Reply::Json(200, transfer(0)));
    let made = client.create_transfer(&once("line-7"), &new).await.unwrap();
    assert_eq!(
        (made.amount(), made.amount_reversed(), made.reversed),
        (new.amount, money(0, "USD"), false)
    );
    assert_eq!(
        form(&server.last()),
        [
            ("amount", "5000"),
            ("currency", "usd"),
            ("destination", "acct_1"),
            ("transfer_group", "ord_1"),
            ("source_transaction", "ch_1"),
            ("metadata[posx_payout_line]", "7"),
        ]
    );
    server.reply(&Method::GET, Reply::Json(200, transfer(0)));
    assert_eq!(client.transfer("tr_1").await.unwrap(), Some(made));
}

#[tokio::test]
async fn s44_a_transfer_that_the_balance_does_not_cover_is_refused_and_not_sent_again() {
    let server = Server::start().await;
    let client = client(&server.url());
    server.reply(&Method::POST, refused("balance_insufficient"));
    let new = NewTransfer {
        destination: "acct_1",
        amount: money(5000, "USD"),
        transfer_group: "ord_1",
        source_transaction: None,
        metadata: &[],
    };
    let outcome = client.create_transfer(&once("line-7"), &new).await;
    assert!(matches!(outcome, Err(StripeError::Refused(refusal)) if refusal.code == "balance_insufficient"));
    assert_eq!(server.seen().len(), 1);
    assert_eq!(server.last().parameter("source_transaction"), None);
}

#[tokio::test]
async fn s48_a_transfer_carries_its_lines_own_key_and_is_found_by_its_group() {
    let server = Server::start().await;
    let client = client(&server.url());
    let new = NewTransfer {
        destination: "acct_1",
        amount: money(5000, "USD"),
        transfer_group: "ord_1",
        source_transaction: None,
        metadata: &[],
    };
    server.reply(&Method::POST, Reply::Json(500, Value::Null));
    client.create_transfer(&once("line-7"), &new).await.unwrap_err();
    server.reply(&Method::POST, Reply::Json(200, transfer(0)));
    client.create_transfer(&once("line-7"), &new).await.unwrap();
    assert!(server.posts().iter().all(|post| post.key() == Some("line-7")));

    let mut second = transfer(0);
    second["id"] = "tr_2".into();
    server.reply(
        &Method::GET,
        Reply::Json(200, json!({ "data": [second], "has_more": true })),
    );
    server.reply(
        &Method::GET,
        Reply::Json(200, json!({ "data": [transfer(0)], "has_more": false })),
    );
    let first = client.transfers_of_group("ord_1", None).await.unwrap();
    assert_eq!(first.next.as_deref(), Some("tr_2"));
    let last = client
        .transfers_of_group("ord_1", first.next.as_deref())
        .await
        .unwrap();
    assert_eq!((last.items[0].id.as_str(), last.next), ("tr_1", None));
    let seen = server.last();
    assert_eq!(
        (seen.parameter("transfer_group"), seen.parameter("starting_after")),
        (Some("ord_1"), Some("tr_2"))
    );
}

#[tokio::test]
async fn s45_what_was_all_taken_back_before_counts_as_taken_back() {
    let server = Server::start().await;
    let client = client(&server.url());
    let reversal = json!({ "id": "trr_1", "object": "transfer_reversal", "amount": 2000, "currency": "usd", "created": 1, "transfer": "tr_1", "metadata": {} });
    server.reply(&Method::POST, Reply::Json(200, reversal));
    let outcome = client
        .reverse_transfer(&once("r-1"), "tr_1", money(2000, "USD"), &[])
        .await
        .unwrap();
    assert!(
        matches!(&outcome, Reversed::Now(reversal) if reversal.amount() == money(2000, "USD") && reversal.transfer == "tr_1")
    );
    assert_eq!(server.last().path, "/v1/transfers/tr_1/reversals");

    let refusal = json!({ "error": { "type": "invalid_request_error", "message": "Transfer tr_1 is already fully reversed." } });
    server.reply(&Method::POST, Reply::Json(400, refusal));
    server.reply(&Method::GET, Reply::Json(200, transfer(5000)));
    let outcome = client
        .reverse_transfer(&once("r-2"), "tr_1", money(3000, "USD"), &[])
        .await
        .unwrap();
    assert!(
        matches!(outcome, Reversed::Before(transfer) if transfer.amount_reversed() == money(5000, "USD"))
    );
}

#[tokio::test]
async fn s45_a_reversal_that_the_account_cannot_pay_is_refused() {
    let server = Server::start().await;
    let client = client(&server.url());
    server.reply(&Method::POST, refused("balance_insufficient"));
    server.reply(&Method::GET, Reply::Json(200, transfer(2000)));
    let outcome = client
        .reverse_transfer(&once("r-1"), "tr_1", money(3000, "USD"), &[])
        .await;
    assert!(matches!(outcome, Err(StripeError::Refused(refusal)) if refusal.code == "balance_insufficient"));
    // Nobody knows: nothing is concluded, and the transfer is not even looked at.
    server.reply(&Method::POST, Reply::Json(500, Value::Null));
    let outcome = client
        .reverse_transfer(&once("r-1"), "tr_1", money(3000, "USD"), &[])
        .await;
    assert!(matches!(outcome, Err(StripeError::Server { .. })));
    assert!(server.last().is_post());
}

#[tokio::test]
async fn s46_s49_the_balance_is_read_per_currency_also_one_that_posx_does_not_know() {
    let server = Server::start().await;
    let client = client(&server.url());
    let amount = |amount: i64, currency: &str| json!({ "amount": amount, "currency": currency, "source_types": { "card": amount } });
    let balance = json!({
        "object": "balance", "livemode": false,
        "available": [amount(-250, "usd"), amount(12_500, "kwd")], "pending": [amount(7, "xyz")], "connect_reserved": [amount(900, "usd")],
    });
    server.reply(&Method::GET, Reply::Json(200, balance));
    let balance = client.balance().await.unwrap();
    let available: Vec<_> = balance.available.iter().map(BalanceAmount::money).collect();
    assert_eq!(available, [Some(money(-250, "USD")), Some(money(12_500, "KWD"))]);
    assert_eq!((balance.pending[0].amount, balance.pending[0].money()), (7, None));
    assert_eq!(balance.connect_reserved[0].money(), Some(money(900, "USD")));
}

#[tokio::test]
async fn s49_balance_lines_come_by_page_with_gross_fee_and_net() {
    let server = Server::start().await;
    let client = client(&server.url());
    server.reply(
        &Method::GET,
        Reply::Json(200, json!({ "data": [line()], "has_more": true })),
    );
    let page = client.balance_lines(window(), None).await.unwrap();
    let read = &page.items[0];
    assert_eq!(
        (read.net_money(), read.fee_money()),
        (Some(money(-3000, "USD")), Some(money(1500, "USD")))
    );
    assert_eq!(
        (read.kind.as_str(), read.source.as_deref()),
        ("adjustment", Some("dp_1"))
    );
    assert_eq!(page.next.as_deref(), Some("txn_1"));
    let seen = server.last();
    assert_eq!(seen.path, "/v1/balance_transactions");
    assert_eq!(seen.parameter("created[gte]"), Some("1777593600"));
    assert_eq!(seen.parameter("created[lte]"), Some("1780272000"));
}

#[tokio::test]
async fn s37_s39_a_dispute_is_read_with_its_own_amount_and_every_status() {
    let server = Server::start().await;
    let client = client(&server.url());
    let dispute = |status: &str| {
        json!({
            "id": "dp_1", "object": "dispute", "amount": 1500, "currency": "usd", "status": status, "reason": "fraudulent",
            "charge": "ch_1", "payment_intent": "pi_1", "is_charge_refundable": false, "livemode": false,
            "evidence_details": { "due_by": 1_780_000_000, "has_evidence": false }, "evidence": {}, "metadata": {},
            "balance_transactions": [line()], "created": 1_779_000_000,
        })
    };
    for (name, status) in [
        ("warning_needs_response", DisputeStatus::WarningNeedsResponse),
        ("warning_under_review", DisputeStatus::WarningUnderReview),
        ("warning_closed", DisputeStatus::WarningClosed),
        ("needs_response", DisputeStatus::NeedsResponse),
        ("under_review", DisputeStatus::UnderReview),
        ("won", DisputeStatus::Won),
        ("lost", DisputeStatus::Lost),
        ("prevented", DisputeStatus::Prevented),
        ("forgotten", DisputeStatus::Other),
    ] {
        server.reply(&Method::GET, Reply::Json(200, dispute(name)));
        let found = client.dispute("dp_1").await.unwrap().unwrap();
        assert_eq!(
            (found.status, found.amount()),
            (status, Some(money(1500, "USD"))),
            "{name}"
        );
        assert_eq!(found.evidence_due_by().unwrap().timestamp(), 1_780_000_000);
        assert_eq!(found.balance_transactions.len(), 1);
    }
    server.reply(
        &Method::GET,
        Reply::Json(200, json!({ "data": [dispute("lost")], "has_more": false })),
    );
    let page = client.disputes(window(), Some("dp_2")).await.unwrap();
    assert_eq!((page.items.len(), page.next), (1, None));
    assert_eq!(server.last().parameter("starting_after"), Some("dp_2"));
}

#[tokio::test]
async fn s29_events_whose_delivery_failed_come_by_page_ready_for_the_inbox() {
    let server = Server::start().await;
    let client = client(&server.url());
    let event = json!({
        "id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": 1_780_000_000, "livemode": false,
        "api_version": posx_stripe::API_VERSION, "pending_webhooks": 1, "request": { "id": null },
        "data": { "object": { "id": "pi_1", "object": "payment_intent", "client_secret": "pi_1_secret_x" } },
    });
    server.reply(
        &Method::GET,
        Reply::Json(
            200,
            json!({ "object": "list", "data": [event], "has_more": true }),
        ),
    );
    let page = client.undelivered_events(window(), None).await.unwrap();
    let missed = &page.items[0];
    assert_eq!(missed.event.payment_intent().unwrap().intent_id, "pi_1");
    assert_eq!(
        posx_stripe::StripeEvent::parse(&missed.body).unwrap(),
        missed.event
    );
    assert_eq!(serde_json::from_slice::<Value>(&missed.body).unwrap(), event);
    assert!(!format!("{missed:?}").contains("secret"));
    assert_eq!(page.next.as_deref(), Some("evt_1"));
    let seen = server.last();
    assert_eq!(
        (seen.parameter("delivery_success"), seen.parameter("limit")),
        (Some("false"), Some("100"))
    );
}

#[tokio::test]
async fn s32_a_refund_that_failed_later_names_the_line_that_brought_the_money_back() {
    let server = Server::start().await;
    let client = client(&server.url());
    let refund = json!({
        "id": "re_1", "object": "refund", "amount": 100, "currency": "usd", "status": "failed", "payment_intent": "pi_1",
        "created": 1, "failure_reason": "expired_or_canceled_card", "failure_balance_transaction": "txn_9", "metadata": null,
    });
    server.reply(&Method::GET, Reply::Json(200, refund));
    let found = client.refund("re_1").await.unwrap().unwrap();
    assert_eq!(found.failure_balance_transaction.as_deref(), Some("txn_9"));
    assert_eq!(found.failure_reason.as_deref(), Some("expired_or_canceled_card"));
    let missing = json!({ "error": { "type": "invalid_request_error", "code": "resource_missing" } });
    server.reply(&Method::GET, Reply::Json(404, missing));
    assert_eq!(client.refund("re_2").await.unwrap(), None);
    assert_eq!(client.refund("../charges").await.unwrap(), None);
}

#[tokio::test]
async fn an_object_of_the_other_mode_anywhere_in_a_page_stops_it() {
    let server = Server::start().await;
    let client = client(&server.url());
    let mut live = transfer(0);
    live["livemode"] = true.into();
    server.always(Reply::Json(
        200,
        json!({ "data": [transfer(0), live], "has_more": false }),
    ));
    let outcome = client.transfers_of_group("ord_1", None).await;
    assert!(matches!(outcome, Err(StripeError::WrongMode { .. })));
}
