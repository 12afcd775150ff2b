//! Events that Stripe could not deliver.

use std::sync::Arc;

use posx_kernel::SystemRandomness;
use posx_runtime::Services;
use posx_stripe::{ClientConfig, Connection, Mode, StripeAccounts, StripeKey};
use posx_worker::drain_site;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::webhooks::stripe;
use crate::world::World;

/// Answers each request with these lists, one after the other, and tells what was asked.
async fn stripe_with(pages: Vec<Value>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let mut asked = Vec::new();
        for page in pages {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            asked.push(request.lines().next().unwrap_or_default().to_owned());
            let body = page.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
        asked
    });
    (address, asked)
}

fn with_stripe(world: &World, base_url: String) -> Services {
    let config = ClientConfig {
        base_url,
        ..ClientConfig::default()
    };
    let connection = Connection::new(&config, Arc::new(SystemRandomness)).unwrap();
    let key = StripeKey::new(&"sk_test_0123456789abcdef".into()).unwrap();
    let accounts = StripeAccounts::new(&connection, Mode::Test, [(world.site.id, key)]).unwrap();
    Services {
        stripe: Some(accounts),
        ..world.services.clone()
    }
}

#[tokio::test]
async fn s29_events_that_were_not_delivered_are_fetched_page_by_page_into_the_inbox_once() {
    let world = World::shared().await;
    let id = |name: &str| format!("evt_{name}{}", world.site.id.as_uuid().simple());
    let missed = |name: &str| {
        let mut event = stripe("payment_intent.succeeded", "pi_missed", false);
        event["id"] = id(name).into();
        event
    };
    let page = |events: &[Value], has_more: bool| json!({ "object": "list", "url": "/v1/events", "data": events, "has_more": has_more });
    let (first, second) = (missed("one"), missed("two"));
    let lists = [
        page(std::slice::from_ref(&first), true),
        page(std::slice::from_ref(&second), false),
    ];
    let twice = [lists.clone(), lists].concat();
    let (address, asked) = stripe_with(twice).await;
    let services = with_stripe(&world, address);
    for _ in 0..2 {
        world.add_job("recover_events", json!({}), 1).await;
        let drained = drain_site(&services, world.site.id).await.unwrap();
        assert!(drained.failures.is_empty(), "{drained:?}");
    }
    let stored: Vec<(String, i32)> = sqlx::query_as(
        "select endpoint, deliveries from webhook_inbox where event_id = any ($1) order by event_id",
    )
    .bind(vec![id("one"), id("two")])
    .fetch_all(&world.superuser)
    .await
    .unwrap();
    assert_eq!(
        stored,
        [("recovered".to_owned(), 2), ("recovered".to_owned(), 2)],
        "fetched again they only count"
    );
    let asked = asked.await.unwrap();
    assert!(asked[0].contains("delivery_success=false"), "{asked:?}");
    assert!(
        asked[1].contains(&format!("starting_after={}", id("one"))),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_site_without_a_stripe_account_recovers_nothing_and_a_fault_is_tried_again() {
    let world = World::shared().await;
    world.add_job("recover_events", json!({}), 2).await;
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert!(drained.failures.is_empty(), "{drained:?}");
    let nobody = with_stripe(&world, "http://127.0.0.1:9".to_owned());
    world.add_job("recover_events", json!({}), 2).await;
    let drained = drain_site(&nobody, world.site.id).await.unwrap();
    assert!(
        drained.failures[0]
            .error
            .starts_with("undelivered_events_unknown"),
        "{drained:?}"
    );
}
