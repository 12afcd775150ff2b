//! Finding again what was made: the answer "there is none" must be true.

use axum::http::Method;
use chrono::TimeDelta;
use posx_kernel::Clock as _;
use posx_orders::gateway::PaymentGateway as _;
use posx_stripe::StripeError;
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::support::{cause, gateway, paid, site, stage};

fn crowd(server: &Server, count: usize, after: TimeDelta) {
    let created = (server.clock.now() + after).timestamp();
    server.book(|book| {
        for _ in 0..count {
            let id = format!("pi_{}", book.intents.len() + 1);
            let other = json!({
                "id": id, "amount": 1000, "currency": "usd", "status": "requires_payment_method", "created": created,
                "client_secret": "x", "livemode": false, "metadata": { "posx_attempt": format!("pat_{id}") },
            });
            book.intents.push(other);
        }
    });
}

#[tokio::test]
async fn s07_an_intent_is_found_among_hundreds_of_the_same_minute() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let wish = stage.wish(2_500, "USD");
    crowd(&server, 130, TimeDelta::zero());
    let made = gateway.create_intent(&wish).await.unwrap();
    crowd(&server, 220, TimeDelta::seconds(30));
    let before = server.seen().len();
    let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
    assert_eq!(found, Some(made));
    let seen = server.seen().split_off(before);
    assert_eq!(seen.len(), 3, "three pages of the first window");
    assert!(
        seen.iter()
            .all(|request| request.parameter("limit") == Some("100"))
    );
}

#[tokio::test]
async fn s07_an_intent_that_was_made_long_after_its_attempt_is_found_too() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.clock.advance(TimeDelta::hours(20));
    let made = gateway.create_intent(&wish).await.unwrap();
    let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
    assert_eq!(found, Some(made));
}

#[tokio::test]
async fn s07_stripes_clock_may_be_minutes_behind_ours() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.clock.advance(TimeDelta::minutes(-9));
    let made = gateway.create_intent(&wish).await.unwrap();
    let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
    assert_eq!(found, Some(made));
}

#[tokio::test]
async fn s07_a_list_without_end_is_no_proof_that_there_is_none() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    let other = json!({
        "id": "pi_1", "amount": 1000, "currency": "usd", "status": "succeeded", "client_secret": "x", "livemode": false,
    });
    server.always(Reply::Json(200, json!({ "data": [other], "has_more": true })));
    let outcome = cause(gateway.intent_of_attempt(wish.site, wish.attempt).await);
    assert!(matches!(outcome, StripeError::TooManyPages { .. }) && outcome.needs_a_person());
    assert_eq!(server.seen().len(), 100);

    server.always(Reply::Json(200, json!({ "data": [], "has_more": true })));
    let outcome = cause(gateway.intent_of_attempt(wish.site, wish.attempt).await);
    assert!(matches!(outcome, StripeError::Field("has_more")));
}

#[tokio::test]
async fn s07_a_failure_on_the_second_page_is_no_proof_that_there_is_none() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    crowd(&server, 150, TimeDelta::zero());
    let first = json!({ "data": server.book(|book| book.intents[50..].to_vec()), "has_more": true });
    server.reply(&Method::GET, Reply::Json(200, first));
    server.reply(&Method::GET, Reply::Json(500, Value::Null));
    let outcome = cause(gateway.intent_of_attempt(wish.site, wish.attempt).await);
    assert!(matches!(outcome, StripeError::Server { status: 500, .. }));
}

#[tokio::test]
async fn s07_a_look_up_that_is_refused_is_no_refusal_of_what_was_asked_for() {
    let refused = json!({ "error": { "type": "invalid_request_error", "code": "parameter_unknown" } });
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.reply(&Method::GET, Reply::Json(400, refused.clone()));
    let outcome = cause(gateway.intent_of_attempt(wish.site, wish.attempt).await);
    assert!(matches!(outcome, StripeError::LookupRefused(_)) && outcome.needs_a_person());

    // An old attempt, and a stored failure: what was made before is not known, so the attempt goes on.
    server.reply(&Method::POST, Reply::Stored500);
    cause(gateway.create_intent(&wish).await);
    server.reply(&Method::GET, Reply::Json(400, refused.clone()));
    assert!(matches!(
        cause(gateway.create_intent(&wish).await),
        StripeError::LookupRefused(_)
    ));
    server.clock.advance(TimeDelta::hours(25));
    server.reply(&Method::GET, Reply::Json(400, refused));
    assert!(matches!(
        cause(gateway.create_intent(&wish).await),
        StripeError::LookupRefused(_)
    ));
    assert_eq!(server.posts().len(), 2);
}

#[tokio::test]
async fn s07_another_systems_intents_do_not_stand_in_the_way() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    let made = gateway.create_intent(&wish).await.unwrap();
    let created = server.clock.now().timestamp();
    server.book(|book| {
        for metadata in [Value::Null, json!({}), json!({ "posx_attempt": "of somebody" })] {
            let id = format!("pi_{}", book.intents.len() + 1);
            let other = json!({ "id": id, "currency": "zmw", "created": created, "metadata": metadata });
            book.intents.push(other);
        }
    });
    let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
    assert_eq!(found, Some(made));
}

#[tokio::test]
async fn s33_a_refund_is_found_among_many_of_one_intent() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = paid(&stage, &server, 99_999).await;
    let first = stage.refund_of(&intent, 1);
    let made = gateway.create_refund(&first).await.unwrap();
    for _ in 0..120 {
        gateway.create_refund(&stage.refund_of(&intent, 1)).await.unwrap();
    }
    let found = gateway.refund(site(), &intent.id, first.refund).await.unwrap();
    assert_eq!(found, Some(made));
    let unsent = stage.refund_of(&intent, 1).refund;
    assert_eq!(gateway.refund(site(), &intent.id, unsent).await.unwrap(), None);
}
