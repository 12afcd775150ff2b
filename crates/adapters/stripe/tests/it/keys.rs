//! Whose key, of which mode, and what a faulty one leads to.

use posx_kernel::{PaymentAttemptId, SiteId};
use posx_orders::gateway::PaymentGateway as _;
use posx_stripe::{Mode, StripeAccounts, StripeError, StripeGateway};
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::support::{
    KEY, cause, config, connection, gateway, gateway_with, key, nowhere, paid, site, stage,
};

fn refusal(code: Option<&str>, message: &str) -> Value {
    json!({ "error": { "type": "invalid_request_error", "code": code, "message": message } })
}

#[tokio::test]
async fn s14_an_answer_of_the_other_mode_is_not_taken() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let intent = gateway
        .create_intent(&stage(&gateway, &server).wish(2_500, "USD"))
        .await
        .unwrap();
    server.book(|book| book.intents[0]["livemode"] = true.into());
    let outcome = cause(gateway.intent(site(), &intent.id).await);
    assert!(matches!(outcome, StripeError::WrongMode { .. }) && outcome.needs_a_person());
    let outcome = cause(gateway.intent_of_attempt(site(), intent.attempt.unwrap()).await);
    assert!(matches!(outcome, StripeError::WrongMode { .. }));
}

#[tokio::test]
async fn each_fault_of_a_key_has_its_own_error_and_none_is_final() {
    let wrong = (
        401,
        refusal(None, "Invalid API Key provided: sk_test_***klmn"),
        "KeyWrong",
    );
    let revoked = (
        401,
        refusal(
            Some("api_key_expired"),
            "Expired API Key provided: sk_test_***klmn",
        ),
        "KeyRevoked",
    );
    let narrow = (
        403,
        refusal(
            Some("more_permissions_required"),
            "The provided key 'rk_***klmn' …",
        ),
        "NotPermitted",
    );
    let other = (
        404,
        refusal(
            Some("resource_missing"),
            "No such payment_intent: 'pi_1'; a similar object exists in live mode, but a test mode key was used to make this request.",
        ),
        "WrongMode",
    );
    for (status, body, name) in [wrong, revoked, narrow, other] {
        let server = Server::start().await;
        let gateway = gateway(&server);
        let stage = stage(&gateway, &server);
        let intent = paid(&stage, &server, 2_500).await;
        server.always(Reply::Json(status, body));
        let refund = stage.refund_of(&intent, 2_500);
        let outcomes = [
            cause(gateway.create_intent(&stage.wish(2_500, "USD")).await),
            cause(gateway.intent(site(), &intent.id).await),
            cause(gateway.intent_of_attempt(site(), intent.attempt.unwrap()).await),
            cause(gateway.cancel_intent(site(), &intent.id).await),
            cause(gateway.create_refund(&refund).await),
            cause(gateway.refund(site(), &intent.id, refund.refund).await),
        ];
        for outcome in outcomes {
            let shown = format!("{outcome:?} {outcome}");
            assert!(shown.starts_with(name), "{name}: {shown}");
            assert!(outcome.needs_a_person() && !shown.contains("klmn"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_site_without_a_key_takes_no_payments_and_uses_nobody_elses() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let mut wish = stage(&gateway, &server).wish(2_500, "USD");
    wish.site = SiteId::from_uuid(wish.order.as_uuid());
    let outcome = cause(gateway.create_intent(&wish).await);
    assert!(matches!(outcome, StripeError::NoKey(site) if site == wish.site));
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn every_site_has_its_own_account() {
    let server = Server::start().await;
    let stage_gateway = gateway(&server);
    let one = stage(&stage_gateway, &server).wish(2_500, "USD");
    let other_site = SiteId::from_uuid(one.order.as_uuid());
    let other_key = "rk_test_zyxwvutsrqponmlkjihgfedc";
    let keys = [(site(), key(KEY)), (other_site, key(other_key))];
    let accounts = StripeAccounts::new(&connection(&config(&server.url())), Mode::Test, keys);
    let gateway = StripeGateway::new(accounts.unwrap(), server.clock.clone());
    gateway.create_intent(&one).await.unwrap();
    let mut other = stage(&stage_gateway, &server).wish(2_500, "USD");
    other.site = other_site;
    other.attempt = PaymentAttemptId::from_uuid(one.order.as_uuid());
    gateway.create_intent(&other).await.unwrap();
    let used: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").unwrap().to_owned())
        .collect();
    assert_eq!(used, [format!("Bearer {KEY}"), format!("Bearer {other_key}")]);
}

#[tokio::test]
async fn nothing_that_goes_wrong_shows_the_key() {
    let server = Server::start().await;
    let stopped = config(&nowhere());
    let gateway = gateway_with(&stopped, &server);
    let stage = stage(&gateway, &server);
    let error = gateway
        .create_intent(&stage.wish(2_500, "USD"))
        .await
        .unwrap_err();
    let mut shown = format!("{gateway:?} {error:?} {error}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        shown = format!("{shown} {cause:?} {cause}");
        source = cause.source();
    }
    assert!(!shown.contains("0123456789"), "{shown}");
}
