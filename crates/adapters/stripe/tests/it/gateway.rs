//! The port of orders on a server in Stripe's shape: keys, stored answers, and what is sent at all.

use axum::http::Method;
use chrono::TimeDelta;
use posx_orders::gateway::{IntentId, PaymentGateway as _};
use posx_orders::testing::gateway_contract;
use posx_stripe::{API_VERSION, StripeError, StripeEvent};
use serde_json::json;

use crate::server::{Reply, Server};
use crate::support::{KEY, cause, gateway, money, paid, refusal, site, stage};

#[tokio::test]
async fn stripe_keeps_the_contract_of_a_payment_provider() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    gateway_contract(&stage).await;
}

#[tokio::test]
async fn s01_s10_every_post_carries_a_key_and_every_request_the_pinned_version() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let wish = stage.wish(12_500, "KWD");
    let intent = gateway.create_intent(&wish).await.unwrap();
    let create = server.last();
    assert_eq!(
        (create.method.as_str(), create.path.as_str()),
        ("POST", "/v1/payment_intents")
    );
    assert_eq!(create.key(), Some(wish.attempt.to_string().as_str()));
    let form: Vec<_> = create
        .form
        .iter()
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect();
    assert_eq!(
        form,
        [
            ("amount", "12500".to_owned()),
            ("currency", "kwd".to_owned()),
            ("metadata[posx_attempt]", wish.attempt.to_string()),
            ("metadata[posx_order]", wish.order.to_string()),
            ("metadata[posx_site]", wish.site.to_string()),
        ]
    );
    server.book(|book| book.moves(&intent.id.0, "succeeded"));
    let refund = stage.refund_of(&intent, 500);
    gateway.create_refund(&refund).await.unwrap();
    assert_eq!(server.last().key(), Some(refund.refund.to_string().as_str()));
    gateway.intent(site(), &intent.id).await.unwrap();
    assert_eq!(server.last().key(), None);
    gateway.cancel_intent(site(), &intent.id).await.unwrap();

    for seen in server.seen() {
        assert_eq!(seen.header("stripe-version"), Some(API_VERSION));
        assert_eq!(
            seen.header("authorization"),
            Some(format!("Bearer {KEY}").as_str())
        );
        assert_eq!(seen.key().is_some(), seen.is_post(), "{seen:?}");
        assert!(seen.key().is_none_or(|key| key.len() <= 255));
    }
}

#[tokio::test]
async fn s06_whatever_is_asked_is_asked_of_version_1_also_after_an_event_of_version_2() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    gateway_contract(&stage).await;
    let intent = stage.made(2_500, "USD").await;
    let thin = json!({
        "id": "evt_test_65R", "object": "v2.core.event", "type": "v1.payment_intent.succeeded",
        "created": "2026-06-01T12:00:00.000Z", "livemode": false, "context": null,
        "related_object": {
            "id": intent.id.0, "type": "payment_intent", "url": format!("/v2/core/events/{}", intent.id.0),
        },
    });
    let event = StripeEvent::parse(thin.to_string().as_bytes()).unwrap();
    let named = IntentId(event.payment_intent().unwrap().intent_id.to_owned());
    assert_eq!(gateway.intent(site(), &named).await.unwrap(), Some(intent));
    assert_eq!(
        server.last().path,
        format!("/v1/payment_intents/{}", named.0),
        "by its id, not by the event's address"
    );
    for seen in server.seen() {
        assert!(seen.path.starts_with("/v1/"), "{seen:?}");
    }
}

#[tokio::test]
async fn s02_a_500_is_unknown_and_is_not_sent_again() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.reply(&Method::POST, Reply::Stored500);
    let outcome = cause(gateway.create_intent(&wish).await);
    assert!(
        matches!(
            outcome,
            StripeError::Server {
                status: 500,
                replayed: false
            }
        ),
        "{outcome:?}"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn s02_a_stored_500_behind_which_is_nothing_ends_the_attempt() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let wish = stage.wish(2_500, "USD");
    server.reply(&Method::POST, Reply::Stored500);
    cause(gateway.create_intent(&wish).await);
    assert_eq!(refusal(gateway.create_intent(&wish).await), "stored_server_error");
    assert!(server.last().path.ends_with("/payment_intents") && !server.last().is_post());
    // The next attempt is another key.
    gateway.create_intent(&stage.wish(2_500, "USD")).await.unwrap();
    assert_eq!(server.book(|book| book.intents.len()), 1);
}

#[tokio::test]
async fn s02_a_stored_500_behind_which_is_an_intent_is_that_intent() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.reply(&Method::POST, Reply::Stored500AfterEffect);
    cause(gateway.create_intent(&wish).await);
    let intent = gateway.create_intent(&wish).await.unwrap();
    assert_eq!((intent.attempt, intent.amount), (Some(wish.attempt), wish.amount));
    assert_eq!(server.book(|book| book.intents.len()), 1);
}

#[tokio::test]
async fn s02_a_refund_behind_a_stored_500_stays_unknown_and_calls_a_person() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = paid(&stage, &server, 2_500).await;
    let wish = stage.refund_of(&intent, 2_500);
    server.reply(&Method::POST, Reply::Stored500);
    assert!(!cause(gateway.create_refund(&wish).await).needs_a_person());
    assert!(cause(gateway.create_refund(&wish).await).needs_a_person());
    assert_eq!(server.book(|book| book.refunds.len()), 0);
}

#[tokio::test]
async fn s03_other_parameters_under_the_same_key_are_unknown_and_an_alarm_and_get_no_new_key() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let mut wish = stage(&gateway, &server).wish(2_500, "USD");
    let made = gateway.create_intent(&wish).await.unwrap();
    wish.amount = money(2_600, "USD");
    let outcome = cause(gateway.create_intent(&wish).await);
    assert!(matches!(outcome, StripeError::KeyReused) && outcome.needs_a_person());
    let posts = server.posts();
    assert_eq!(posts.len(), 2);
    assert_eq!(posts[0].key(), posts[1].key());
    let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
    assert_eq!(found, Some(made));
}

#[tokio::test]
async fn s05_an_old_attempt_is_looked_up_before_it_is_sent_again() {
    for minutes in [22 * 60, 23 * 60 + 1, 72 * 60] {
        let server = Server::start().await;
        let gateway = gateway(&server);
        let wish = stage(&gateway, &server).wish(2_500, "USD");
        let made = gateway.create_intent(&wish).await.unwrap();
        server.clock.advance(TimeDelta::minutes(minutes));
        // After a day Stripe has forgotten the key, and would make a second one.
        let again = gateway.create_intent(&wish).await.unwrap();
        assert_eq!(again.id, made.id, "after {minutes} minutes");
        assert_eq!(server.book(|book| book.intents.len()), 1);
        assert_eq!(server.posts().len(), if minutes < 23 * 60 { 2 } else { 1 });
    }
}

#[tokio::test]
async fn s05_an_old_attempt_that_made_nothing_is_sent() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let wish = stage(&gateway, &server).wish(2_500, "USD");
    server.clock.advance(TimeDelta::hours(30));
    let made = gateway.create_intent(&wish).await.unwrap();
    assert_eq!(made.attempt, Some(wish.attempt));
    assert!(server.seen().len() > 1 && !server.seen()[0].is_post());
    let found = gateway.intent_of_attempt(wish.site, wish.attempt).await.unwrap();
    assert_eq!(found, Some(made));
}

#[tokio::test]
async fn s05_an_old_refund_is_looked_up_before_it_is_sent_again() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    let intent = paid(&stage, &server, 2_500).await;
    let wish = stage.refund_of(&intent, 1_000);
    let made = gateway.create_refund(&wish).await.unwrap();
    server.clock.advance(TimeDelta::hours(25));
    assert_eq!(gateway.create_refund(&wish).await.unwrap(), made);
    assert_eq!(server.book(|book| book.refunds.len()), 1);
}

#[tokio::test]
async fn s09_what_stripe_would_refuse_is_not_sent() {
    let server = Server::start().await;
    let gateway = gateway(&server);
    let stage = stage(&gateway, &server);
    for (minor, currency, code) in [
        (49, "USD", "amount_too_small"),
        (12_505, "KWD", "invalid_charge_amount"),
        (0, "EUR", "parameter_invalid_integer"),
    ] {
        let wish = stage.wish(minor, currency);
        assert_eq!(refusal(gateway.create_intent(&wish).await), code);
    }
    assert!(server.seen().is_empty());
    let intent = gateway.create_intent(&stage.wish(12_500, "KWD")).await.unwrap();
    let odd = stage.refund_of(&intent, 1_005);
    assert_eq!(
        refusal(gateway.create_refund(&odd).await),
        "invalid_charge_amount"
    );
    assert_eq!(server.seen().len(), 1);
}
