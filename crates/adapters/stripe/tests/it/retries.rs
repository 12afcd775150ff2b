//! What is sent again, with which key, and what is not.

use std::time::{Duration, Instant};

use axum::http::Method;
use posx_orders::gateway::PaymentGateway as _;
use posx_stripe::{ClientConfig, StripeError};
use serde_json::{Value, json};

use crate::server::{Reply, Server};
use crate::support::{cause, config, gateway, gateway_with, nowhere, refusal, stage};

fn busy(status: u16, code: &str) -> Reply {
    Reply::Json(
        status,
        json!({ "error": { "type": "invalid_request_error", "code": code } }),
    )
}

#[tokio::test]
async fn s04_a_refused_parameter_stores_nothing_and_the_same_key_goes_on() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.reply(&Method::POST, busy(400, "parameter_unknown"));
    assert_eq!(refusal(gateway.create_intent(&wish).await), "parameter_unknown");
    gateway.create_intent(&wish).await.unwrap();
    let posts = server.posts();
    assert_eq!((posts.len(), posts[0].key()), (2, posts[1].key()));
}

#[tokio::test]
async fn s04_a_key_in_use_is_waited_for_with_the_same_key() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    for _ in 0..2 {
        server.reply(&Method::POST, busy(409, "idempotency_key_in_use"));
    }
    gateway.create_intent(&wish).await.unwrap();
    assert_eq!(server.posts().len(), 3);
    for _ in 0..3 {
        server.reply(&Method::POST, busy(409, "idempotency_key_in_use"));
    }
    let outcome = cause(gateway.create_intent(&wish).await);
    assert!(matches!(outcome, StripeError::Busy { status: 409 }) && !outcome.needs_a_person());
    let key = wish.attempt.to_string();
    assert!(server.posts().iter().all(|post| post.key() == Some(key.as_str())));
    assert_eq!(server.posts().len(), 6);
}

#[tokio::test]
async fn s08_a_rate_limit_and_a_lock_are_waited_for_with_the_same_key() {
    for code in ["rate_limit", "lock_timeout"] {
        let server = Server::start().await;
        let gateway = gateway(&server);
        let wish = stage(&gateway, &server).wish(2_500, "USD");
        server.reply(&Method::POST, busy(429, code));
        gateway.create_intent(&wish).await.unwrap();
        server.always(busy(429, code));
        let outcome = cause(gateway.create_intent(&wish).await);
        assert!(matches!(outcome, StripeError::Busy { status: 429 }));
        assert_eq!(server.posts().len(), 2 + 3);
        let key = wish.attempt.to_string();
        assert!(server.posts().iter().all(|post| post.key() == Some(key.as_str())));
    }
}

#[tokio::test]
async fn s08_stripes_own_word_on_trying_again_is_kept() {
    for (status, headers, tries) in [
        (429, vec![("stripe-should-retry", "false")], 1),
        (409, vec![("stripe-should-retry", "false")], 1),
        (503, vec![("stripe-should-retry", "true")], 3),
        (503, vec![], 1),
        (429, vec![("retry-after", "3600")], 1),
    ] {
        let server = Server::start().await;
        let gateway = gateway(&server);
        server.always(Reply::Headed(status, headers.clone(), Value::Null));
        cause(
            gateway
                .create_intent(&stage(&gateway, &server).wish(2_500, "USD"))
                .await,
        );
        assert_eq!(server.posts().len(), tries, "{status} {headers:?}");
    }
}

#[tokio::test]
async fn s08_the_asked_for_pause_is_waited() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    server.reply(
        &Method::POST,
        Reply::Headed(429, vec![("retry-after", "1")], Value::Null),
    );
    let began = Instant::now();
    gateway
        .create_intent(&stage(&gateway, &server).wish(2_500, "USD"))
        .await
        .unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn s07_no_answer_in_time_is_unknown_and_what_was_made_is_found() {
    let server = Server::start().await;
    let hasty = ClientConfig {
        timeout: Duration::from_millis(200),
        ..config(&server.url())
    };
    let gateway = gateway_with(&hasty, &server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.reply(&Method::POST, Reply::Late(Duration::from_secs(3)));
    let outcome = cause(gateway.create_intent(&wish).await);
    assert!(
        matches!(&outcome, StripeError::NoAnswer(error) if error.is_timeout()),
        "{outcome:?}"
    );
    assert_eq!(server.posts().len(), 1);
    let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
    assert_eq!(found.unwrap().attempt, Some(wish.attempt));
}

#[tokio::test]
async fn s07_a_cut_connection_and_a_closed_port_are_unknown_and_not_sent_again() {
    let server = Server::start().await;
    let lost = gateway(&server);
    server.reply(&Method::POST, Reply::Lost);
    let outcome = cause(
        lost.create_intent(&stage(&lost, &server).wish(2_500, "USD"))
            .await,
    );
    assert!(matches!(outcome, StripeError::NoAnswer(_)));
    assert_eq!(server.posts().len(), 1);

    let closed = gateway_with(&config(&nowhere()), &server);
    let outcome = cause(
        closed
            .create_intent(&stage(&closed, &server).wish(2_500, "USD"))
            .await,
    );
    assert!(matches!(outcome, StripeError::NoAnswer(_)));
}

#[tokio::test]
async fn s07_an_answer_that_is_not_stripes_is_unknown() {
    let wrong_shape = br#"{"id":"pi_1","object":"payment_intent"}"#;
    let unknown_currency = br#"{"id":"pi_1","amount":1,"currency":"xxx","status":"succeeded","client_secret":"s","livemode":false}"#;
    for (status, body) in [
        (200, b"<html>welcome to the hotel network</html>".to_vec()),
        (200, Vec::new()),
        (200, wrong_shape.to_vec()),
        (200, unknown_currency.to_vec()),
        (200, vec![b' '; 5 * 1024 * 1024]),
        (400, b"<html>bad request</html>".to_vec()),
        (404, b"not here".to_vec()),
        (302, Vec::new()),
        (504, Vec::new()),
    ] {
        let server = Server::start().await;
        let gateway = gateway(&server);
        server.always(Reply::Raw(status, body.clone()));
        let outcome = cause(
            gateway
                .create_intent(&stage(&gateway, &server).wish(2_500, "USD"))
                .await,
        );
        assert!(!outcome.needs_a_person(), "{status} {outcome:?}");
        assert_eq!(server.posts().len(), 1);
    }
}
