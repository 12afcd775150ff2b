//! localstripe keeps intents and refunds in their states. It lists without filters, so an attempt cannot be looked up on
//! it, and it ignores idempotency keys and the sum of refunds.

use posx_orders::gateway::{CancelOutcome, IntentState, PaymentGateway as _, RefundState};
use serde_json::Value;

use super::{address, http};
use crate::server::Server;
use crate::support::{KEY, config, gateway_with, site, stage};

const VARIABLE: &str = "POSX_COUNTERPART_LOCALSTRIPE";

async fn post(base: &str, path: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let http = http();
    let request = http.post(format!("{base}{path}")).bearer_auth(KEY).form(form);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// An intent whose buyer has paid with this card: made as a browser and another server would.
async fn confirmed(base: &str, card: &str) -> (u16, Value) {
    let card = [
        ("type", "card"),
        ("card[number]", card),
        ("card[exp_month]", "12"),
        ("card[exp_year]", "2040"),
        ("card[cvc]", "123"),
    ];
    let (_, method) = post(base, "/v1/payment_methods", &card).await;
    let method = method["id"].as_str().unwrap().to_owned();
    let form = [
        ("amount", "2500"),
        ("currency", "usd"),
        ("payment_method", method.as_str()),
        ("confirm", "true"),
    ];
    post(base, "/v1/payment_intents", &form).await
}

#[tokio::test]
async fn s11_s15_intents_are_made_read_and_cancelled_at_localstripe() {
    let Some(base) = address(VARIABLE) else { return };
    let clock = Server::start().await;
    let gateway = gateway_with(&config(&base), &clock);
    let stage = stage(&gateway, &clock);
    let wish = stage.wish(12_500, "KWD");
    let made = gateway.create_intent(&wish).await.unwrap();
    assert_eq!((made.attempt, made.amount), (Some(wish.attempt), wish.amount));
    assert_eq!(
        made.state,
        IntentState::RequiresPaymentMethod { last_decline: None }
    );
    assert_eq!(stage.now_of(&made).await, made);
    for _ in 0..2 {
        let outcome = gateway.cancel_intent(site(), &made.id).await.unwrap();
        assert_eq!(outcome, CancelOutcome::Cancelled);
    }
    assert_eq!(stage.now_of(&made).await.state, IntentState::Cancelled);
}

#[tokio::test]
async fn s15_s32_a_paid_intent_is_not_cancelled_and_is_refunded_at_localstripe() {
    let Some(base) = address(VARIABLE) else { return };
    let clock = Server::start().await;
    let gateway = gateway_with(&config(&base), &clock);
    let stage = stage(&gateway, &clock);
    let (status, paid) = confirmed(&base, "4242424242424242").await;
    assert_eq!(status, 200, "{paid}");
    let id = posx_orders::gateway::IntentId(paid["id"].as_str().unwrap().to_owned());
    let intent = gateway.intent(site(), &id).await.unwrap().unwrap();
    assert!(
        matches!(intent.state, IntentState::Succeeded { .. }),
        "{:?}",
        intent.state
    );
    let outcome = gateway.cancel_intent(site(), &id).await.unwrap();
    assert_eq!(outcome, CancelOutcome::NotCancellable(intent.clone()));

    let refund = stage.refund_of(&intent, 1_000);
    let made = gateway.create_refund(&refund).await.unwrap();
    assert_eq!(
        (made.refund, made.amount, made.state),
        (Some(refund.refund), refund.amount, RefundState::Succeeded)
    );
    let found = gateway.refund(site(), &id, refund.refund).await.unwrap();
    assert_eq!(found, Some(made));
    let unsent = stage.refund_of(&intent, 1_000).refund;
    assert_eq!(gateway.refund(site(), &id, unsent).await.unwrap(), None);
}

#[tokio::test]
async fn s11_an_intent_that_wants_the_buyer_is_read_at_localstripe() {
    let Some(base) = address(VARIABLE) else { return };
    let clock = Server::start().await;
    let gateway = gateway_with(&config(&base), &clock);
    let (_, challenged) = confirmed(&base, "4000002500003155").await;
    let id = posx_orders::gateway::IntentId(challenged["id"].as_str().unwrap().to_owned());
    let intent = gateway.intent(site(), &id).await.unwrap().unwrap();
    assert_eq!(
        (intent.state, intent.attempt),
        (IntentState::RequiresAction, None)
    );
}
