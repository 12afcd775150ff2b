use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Method;
use posx_kernel::{Clock as _, Currency, Ids as _, Money, SeededIds, SiteId};
use posx_orders::gateway::{GatewayError, Intent};
use posx_orders::testing::{Call, OtherSide, Stage};
use posx_stripe::{
    ClientConfig, Connection, IdempotencyKey, Mode, RetryPolicy, StripeAccounts, StripeClient, StripeError,
    StripeGateway, StripeKey,
};
use secrecy::SecretString;

use crate::server::{Reply, Server};

pub const KEY: &str = "sk_test_0123456789abcdefghijklmn";

pub fn config(base_url: &str) -> ClientConfig {
    ClientConfig {
        base_url: base_url.to_owned(),
        timeout: Duration::from_secs(5),
        retry: RetryPolicy {
            first_pause: Duration::from_millis(2),
            longest_pause: Duration::from_millis(1500),
            ..RetryPolicy::default()
        },
    }
}

pub fn site() -> SiteId {
    SiteId::from_uuid(SeededIds::new(1).uuid("2026-06-01T00:00:00Z".parse().unwrap()))
}

pub fn key(text: &str) -> StripeKey {
    StripeKey::new(&SecretString::from(text)).unwrap()
}

pub fn connection(config: &ClientConfig) -> Connection {
    Connection::new(config, Arc::new(SeededIds::new(5))).unwrap()
}

pub fn client(base_url: &str) -> StripeClient {
    StripeClient::new(&connection(&config(base_url)), key(KEY))
}

pub fn gateway_with(config: &ClientConfig, server: &Server) -> StripeGateway {
    let keys = [(site(), key(KEY))];
    let accounts = StripeAccounts::new(&connection(config), Mode::Test, keys).unwrap();
    StripeGateway::new(accounts, server.clock.clone())
}

pub fn gateway(server: &Server) -> StripeGateway {
    gateway_with(&config(&server.url()), server)
}

pub fn stage<'a>(gateway: &'a StripeGateway, server: &'a Server) -> Stage<'a> {
    Stage::new(gateway, server, site(), server.clock.now(), 7)
}

pub fn money(minor: i64, currency: &str) -> Money {
    Money::from_minor(minor, Currency::from_code(currency).unwrap())
}

pub fn once(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

/// The cause of an unknown outcome.
#[track_caller]
pub fn cause<T: std::fmt::Debug>(outcome: Result<T, GatewayError>) -> StripeError {
    match outcome {
        Err(GatewayError::Unknown(cause)) => *cause.downcast::<StripeError>().unwrap(),
        other => panic!("not unknown: {other:?}"),
    }
}

#[track_caller]
pub fn refusal<T: std::fmt::Debug>(outcome: Result<T, GatewayError>) -> String {
    match outcome {
        Err(GatewayError::Refused { code }) => code,
        other => panic!("not refused: {other:?}"),
    }
}

/// Paid at the test server.
pub async fn paid(stage: &Stage<'_>, server: &Server, minor: i64) -> Intent {
    let wish = stage.wish(minor, "USD");
    let intent = stage.gateway.create_intent(&wish).await.unwrap();
    server.book(|book| book.moves(&intent.id.0, "succeeded"));
    intent
}

#[async_trait]
impl OtherSide for Server {
    async fn pays(&self, intent: &Intent) {
        self.book(|book| book.moves(&intent.id.0, "succeeded"));
    }

    async fn is_declined(&self, intent: &Intent) {
        self.book(|book| book.declines(&intent.id.0));
    }

    async fn is_challenged(&self, intent: &Intent) {
        self.book(|book| book.moves(&intent.id.0, "requires_action"));
    }

    async fn debits(&self, intent: &Intent) {
        self.book(|book| book.moves(&intent.id.0, "processing"));
    }

    async fn debit_arrives(&self, intent: &Intent) {
        self.pays(intent).await;
    }

    async fn lose_answer(&self, _of: Call) {
        self.reply(&Method::POST, Reply::Lost);
    }
}

/// Where nobody listens.
pub fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
