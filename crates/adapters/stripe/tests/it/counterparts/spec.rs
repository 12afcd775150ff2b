//! Stripe's own OpenAPI document, served strictly: paths, parameters, required fields; answers are its fixtures.

use posx_orders::gateway::{CreateRefund, IntentId, PaymentGateway as _};
use posx_stripe::{NewConnectedAccount, NewTransfer, Window};
use serde_json::Value;

use super::{address, http};
use crate::server::Server;
use crate::support::{KEY, cause, client, config, gateway_with, money, once, site, stage};

const VARIABLE: &str = "POSX_COUNTERPART_STRIPE_SPEC";

/// What the document's server noted: each request, and after it what it found wrong with it.
async fn noted(base: &str) -> Vec<Value> {
    let all = http().get(format!("{base}/__requests")).send().await.unwrap();
    all.json().await.unwrap()
}

fn is_wrong(note: &Value) -> bool {
    note["invalid"] == true
}

/// One test, so that what the server notes is of one caller.
#[tokio::test]
async fn every_request_is_as_stripes_own_document_has_it() {
    let Some(base) = address(VARIABLE) else { return };
    let before = noted(&base).await.len();
    the_gateways_requests(&base).await;
    the_clients_requests(&base).await;
    let requests = noted(&base).await.split_off(before);
    assert!(!requests.iter().any(is_wrong), "{requests:?}");
    an_unknown_parameter_would_be_noted(&base).await;
    let posts = requests.iter().filter(|request| request["method"] == "POST");
    let keyed = posts.filter(|request| request["headers"]["idempotency-key"].is_string());
    assert_eq!(keyed.count(), 7);
    for request in &requests {
        assert_eq!(
            request["headers"]["stripe-version"],
            posx_stripe::API_VERSION,
            "{}",
            request["path"]
        );
    }
}

/// So that the check above is known to be one.
async fn an_unknown_parameter_would_be_noted(base: &str) {
    let form = [("amount", "100"), ("currency", "usd"), ("posx_attempt", "pat_1")];
    let url = format!("{base}/v1/payment_intents");
    let request = http().post(url).bearer_auth(KEY).form(&form);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 400);
    assert!(noted(base).await.last().is_some_and(is_wrong));
}

/// The fixtures are of no attempt of ours, and not always in a state that fits: what counts is that the request passed
/// the document and that the answer could be read.
async fn the_gateways_requests(base: &str) {
    let clock = Server::start().await;
    let gateway = gateway_with(&config(base), &clock);
    let stage = stage(&gateway, &clock);
    let made = gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    let id = made.id.clone();
    assert!(!made.livemode);
    assert!(gateway.intent(site(), &id).await.unwrap().is_some());
    let attempt = stage.wish(1, "USD").attempt;
    assert_eq!(gateway.intent_of_attempt(site(), attempt).await.unwrap(), None);
    // The fixture is open after all: an answer that does not say "canceled" is none.
    cause(gateway.cancel_intent(site(), &id).await);
    let wish = CreateRefund {
        site: site(),
        intent: IntentId("pi_1".to_owned()),
        ..stage.refund_of(&made, 100)
    };
    gateway.create_refund(&wish).await.unwrap();
    assert_eq!(
        gateway.refund(site(), &wish.intent, wish.refund).await.unwrap(),
        None
    );
}

async fn the_clients_requests(base: &str) {
    let client = client(base);
    let window = Window {
        from: "2026-01-01T00:00:00Z".parse().unwrap(),
        to: Some("2026-02-01T00:00:00Z".parse().unwrap()),
    };
    let account = NewConnectedAccount {
        country: "DE",
        email: Some("agent@example.com"),
        metadata: &[("posx_agent", "pty_1".to_owned())],
    };
    let made = client
        .create_account(&once("spec-account"), &account)
        .await
        .unwrap();
    assert!(client.account(&made.id).await.unwrap().is_some());
    let link = client
        .onboarding_link(&made.id, "https://posx.example/a", "https://posx.example/b")
        .await;
    assert!(link.unwrap().url.starts_with("https://"));
    let transfer = NewTransfer {
        destination: "acct_1",
        amount: money(5000, "USD"),
        transfer_group: "ord_1",
        source_transaction: Some("ch_1"),
        metadata: &[("posx_payout_line", "7".to_owned())],
    };
    let made = client
        .create_transfer(&once("spec-transfer"), &transfer)
        .await
        .unwrap();
    assert!(client.transfer(&made.id).await.unwrap().is_some());
    client.transfers_of_group("ord_1", None).await.unwrap();
    client
        .reverse_transfer(&once("spec-reversal"), &made.id, money(100, "USD"), &[])
        .await
        .unwrap();
    client.balance().await.unwrap();
    client.balance_lines(window, Some("txn_1")).await.unwrap();
    assert!(client.dispute("dp_1").await.unwrap().is_some());
    client.disputes(window, None).await.unwrap();
    client.undelivered_events(window, Some("evt_1")).await.unwrap();
    assert!(client.refund("re_1").await.unwrap().is_some());
}
