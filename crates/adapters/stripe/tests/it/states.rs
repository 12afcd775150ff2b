//! Stripe's states in the port's words.

use axum::http::Method;
use posx_orders::gateway::{CancelOutcome, IntentId, IntentState, PaymentGateway as _, RefundState};
use posx_stripe::StripeError;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::support::{cause, gateway, money, paid, refusal, site, stage};

fn error(code: &str) -> Value {
    json!({ "error": { "type": "invalid_request_error", "code": code, "message": "" } })
}

#[tokio::test]
async fn s11_s17_a_state_that_posx_does_not_use_is_other_and_never_guessed() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    for name in ["requires_confirmation", "requires_capture", "requires_patience"] {
        server.book(|book| book.moves(&intent.id.0, name));
        let now = stage.now_of(&intent).await;
        assert_eq!(
            now.state,
            IntentState::Other {
                name: name.to_owned()
            }
        );
    }
}

#[tokio::test]
async fn s12_a_decline_keeps_the_issuers_word_and_nothing_of_the_card() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    server.book(|book| book.declines(&intent.id.0));
    let now = stage.now_of(&intent).await;
    let last_decline = Some("insufficient_funds".to_owned());
    assert_eq!(now.state, IntentState::RequiresPaymentMethod { last_decline });
    assert!(!format!("{now:?}").contains("9995"));
}

#[tokio::test]
async fn s15_a_cancellation_that_lost_against_the_money_says_so() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    // Refused for a reason that is gone by the time we look: nothing is concluded from it.
    server.reply(
        &Method::POST,
        Reply::Json(400, error("payment_intent_unexpected_state")),
    );
    let outcome = cause(gateway.cancel_intent(site(), &intent.id).await);
    assert!(matches!(outcome, StripeError::Field("status")), "{outcome:?}");
    server.book(|book| book.moves(&intent.id.0, "succeeded"));
    let outcome = gateway.cancel_intent(site(), &intent.id).await.unwrap();
    assert!(
        matches!(outcome, CancelOutcome::NotCancellable(now) if now.state == IntentState::Succeeded { received: money(2_500, "USD") })
    );
}

#[tokio::test]
async fn s32_every_state_of_a_refund_is_told() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = paid(&stage, &server, 2_500).await;
    let wish = stage.refund_of(&intent, 1_000);
    gateway.create_refund(&wish).await.unwrap();
    for (status, state) in [
        ("pending", RefundState::Pending),
        ("requires_action", RefundState::RequiresAction),
        ("succeeded", RefundState::Succeeded),
        ("failed", RefundState::Failed),
        ("canceled", RefundState::Cancelled),
    ] {
        server.book(|book| book.refunds[0]["status"] = status.into());
        let found = gateway
            .refund(site(), &intent.id, wish.refund)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.state, state, "{status}");
    }
    for status in [json!("reconsidered"), Value::Null] {
        server.book(|book| book.refunds[0]["status"] = status.clone());
        let outcome = cause(gateway.refund(site(), &intent.id, wish.refund).await);
        assert!(matches!(outcome, StripeError::Field("status")), "{status}");
    }
}

#[tokio::test]
async fn s36_a_disputed_charge_is_refused_by_its_name() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = paid(&stage, &server, 2_500).await;
    server.reply(&Method::POST, Reply::Json(400, error("charge_disputed")));
    let outcome = gateway.create_refund(&stage.refund_of(&intent, 100)).await;
    assert_eq!(refusal(outcome), "charge_disputed");
}

#[tokio::test]
async fn an_intent_that_another_system_made_is_read_and_is_of_no_attempt() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    server.book(|book| book.intents[0]["metadata"] = json!({ "posx_attempt": "of somebody", "order": "7" }));
    assert_eq!(stage.now_of(&intent).await.attempt, None);
    for odd in ["../refunds", "pi_1/confirm", "pi_1?expand[]=x", ""] {
        let found = gateway.intent(site(), &IntentId(odd.to_owned())).await.unwrap();
        assert_eq!(found, None, "{odd:?}");
    }
    assert_eq!(server.last().path, "/v1/payment_intents/pi_1");
}
