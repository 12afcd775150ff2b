//! A real API process is killed between two steps of a payment, and another one goes on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::TimeDelta;
use posx_kernel::{Clock as _, PageRequest, PaymentAttemptId, SiteScope};
use posx_orders::gateway::IntentId;
use posx_orders::{OrderView, PaymentStatus};
use posx_sandbox::PaymentCall;
use posx_worker::{Drained, Tick, drain_site, tick_site};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::objects::{Objects, WALLET, furnish, stripe_event, stripe_signature};
use crate::world::{AUDIENCE, Person, Scene, api};

/// Killed when dropped.
struct Process {
    child: Child,
    base: String,
}

impl Process {
    async fn start(scene: &Scene) -> Self {
        Self::paying_at(scene, &scene.world.stripe_url()).await
    }

    async fn paying_at(scene: &Scene, stripe_url: &str) -> Self {
        let free = || {
            TcpListener::bind("127.0.0.1:0")
                .and_then(|l| l.local_addr())
                .expect("a free port")
        };
        let (bind, metrics) = (free(), free());
        let settings = &scene.settings;
        let issuers = json!([{ "issuer": scene.world.issuer().url(), "audience": AUDIENCE }]);
        let child = Command::new(env!("CARGO_BIN_EXE_posx-api"))
            .env_clear()
            .env("POSX__ENVIRONMENT", "sandbox")
            .env(
                "POSX__DATABASE__APP_URL",
                settings.database.app_url.expose_secret(),
            )
            .env(
                "POSX__DATABASE__JOBS_URL",
                settings.database.jobs_url.expose_secret(),
            )
            .env("POSX__DATABASE__POOL_SIZE", "2")
            .env("POSX__SERVER__BIND", bind.to_string())
            .env("POSX__SERVER__METRICS_BIND", metrics.to_string())
            .env("POSX__ISSUERS", issuers.to_string())
            .env("POSX__SECRETS__MASTER_KEYS", posx_testkit::MASTER_KEY)
            .env("POSX__PAYMENTS__PROVIDER", "sandbox")
            .env("POSX__PAYMENTS__BASE_URL", stripe_url)
            .env(
                "POSX__PAYMENTS__SECRET_KEY",
                &scene.world.secrets().stripe_secret_key,
            )
            .env(
                "POSX__PAYMENTS__WEBHOOK_SECRETS",
                scene.world.secrets().stripe_webhook.join(","),
            )
            .env("POSX__CUSTODY__PROVIDER", "sandbox")
            .env("POSX__CUSTODY__BASE_URL", scene.world.fireblocks_url())
            .env(
                "POSX__CUSTODY__API_KEY",
                &scene.world.secrets().fireblocks_api_key,
            )
            .env("POSX__CUSTODY__JWKS_URL", scene.world.fireblocks_jwks_url())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the API starts");
        let process = Self {
            child,
            base: format!("http://{bind}"),
        };
        for _ in 0..400 {
            if reqwest::get(format!("{}/health", process.base)).await.is_ok() {
                return process;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the API does not answer");
    }

    fn post(&self, scene: &Scene, by: &Person, path: &str, key: &str) -> reqwest::RequestBuilder {
        let request = reqwest::Client::new().post(format!("{}{path}", self.base));
        request
            .bearer_auth(&by.token)
            .header("x-site-code", scene.other.code.as_str())
            .header("idempotency-key", key)
    }

    /// Of one unit.
    async fn places(&self, scene: &Scene, objects: &Objects) -> String {
        let lines = json!([{ "tier_id": objects.tier, "quantity": 1 }]);
        let placed = self
            .post(scene, &objects.buyer, "/api/v1/orders", "crash-order")
            .json(&json!({ "lines": lines, "wallet_address": WALLET }))
            .send()
            .await
            .expect("an answer");
        let placed: Value = placed.json().await.expect("an order");
        placed["id"].as_str().expect("an id").to_owned()
    }

    /// Twice with the same key: the same answer.
    async fn opens(&self, scene: &Scene, objects: &Objects, checkout: &str) -> IntentId {
        let mut opened = Vec::new();
        for _ in 0..2 {
            let answer = self
                .post(scene, &objects.buyer, checkout, "crash-pay")
                .send()
                .await
                .expect("an answer");
            assert_eq!(answer.status().as_u16(), 200);
            opened.push(answer.json::<Value>().await.expect("a checkout"));
        }
        assert_eq!(opened[0], opened[1], "the same answer again");
        IntentId(opened[0]["intent_id"].as_str().expect("an intent").to_owned())
    }

    /// Stripe tells of the intent's success; what the API answered.
    async fn is_told(&self, scene: &Scene, event: &str, intent: &IntentId) -> Value {
        let body = stripe_event(event, "payment_intent.succeeded", &intent.0);
        let signature = stripe_signature(scene, &body, scene.clock.now().timestamp());
        let answer = reqwest::Client::new()
            .post(format!("{}/webhooks/stripe", self.base))
            .header("content-type", "application/json")
            .header("stripe-signature", signature)
            .body(body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        answer.json().await.expect("an outcome")
    }
}

fn scope(scene: &Scene) -> SiteScope {
    SiteScope::of_claimed_job(scene.other.id)
}

async fn view(scene: &Scene, order: &str) -> OrderView {
    let id = order.parse().expect("an order's id");
    let found = scene.state.order_queries.get(&scope(scene), id, None).await;
    found.expect("read").expect("there")
}

fn happened(view: &OrderView, kind: &str) -> usize {
    view.history.iter().filter(|event| event.kind == kind).count()
}

/// The site's jobs that are due, as a worker runs them.
async fn works(scene: &Scene) -> Drained {
    drain_site(&scene.state.services, scene.other.id)
        .await
        .expect("drained")
}

async fn within_seconds(what: &str, so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in ten seconds it is not so that {what}");
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[actix_web::test]
async fn p11_an_api_killed_between_the_two_transactions_of_a_checkout_leaves_one_intent_that_is_found_again()
{
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let first = Process::start(&scene).await;
    let order = first.places(&scene, &objects).await;
    let checkout = format!("/api/v1/orders/{order}/checkout");

    let line = scene.world.payments().line();
    let (intents, calls) = (
        scene.world.payments().intents().len(),
        line.calls(PaymentCall::CreateIntent),
    );
    line.set_latency(Duration::from_millis(700));
    let cut_off = tokio::spawn(first.post(&scene, &objects.buyer, &checkout, "crash-pay").send());
    within_seconds("the provider is asked", || {
        line.calls(PaymentCall::CreateIntent) > calls
    })
    .await;
    drop(first);
    assert!(cut_off.await.expect("joined").is_err(), "nobody answered");
    // The provider does what it was asked to, though nobody listens any more.
    within_seconds("the intent is made", || {
        scene.world.payments().intents().len() > intents
    })
    .await;
    line.repair();

    let second = Process::start(&scene).await;
    let intent = second.opens(&scene, &objects, &checkout).await;
    assert_eq!(
        scene.world.payments().intents().len(),
        intents + 1,
        "one intent, though asked for in two lives"
    );
    let payments = scene.world.payments();
    payments.confirm(&intent.0, "pm_card_visa").expect("paid");
    let applied = scene.state.orders.apply_intent(&scope(&scene), &intent).await;
    applied.expect("applied");
    assert_eq!(view(&scene, &order).await.payment, PaymentStatus::Paid);
}

#[actix_web::test]
async fn s01_an_api_killed_between_its_committed_key_and_the_call_makes_one_intent_under_that_key() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    // Takes the connection, and passes nothing on: the call never reaches the provider.
    let wire = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let nowhere = format!("http://{}", wire.local_addr().expect("its address"));
    let first = Process::paying_at(&scene, &nowhere).await;
    let order = first.places(&scene, &objects).await;
    let checkout = format!("/api/v1/orders/{order}/checkout");
    let (payments, line) = (scene.world.payments(), scene.world.payments().line());
    let made = || (payments.intents().len(), line.calls(PaymentCall::CreateIntent));
    let (intents, calls) = made();

    let cut_off = tokio::spawn(first.post(&scene, &objects.buyer, &checkout, "crash-pay").send());
    let calling = tokio::time::timeout(Duration::from_secs(20), wire.accept());
    let calling = calling.await.expect("it calls").expect("a connection");
    drop(first);
    drop(calling);
    assert!(cut_off.await.expect("joined").is_err(), "nobody answered");
    assert_eq!(made(), (intents, calls), "the provider heard of nothing");
    let opened = view(&scene, &order).await.history;
    let opened = opened.iter().find(|event| event.kind == "checkout.opened");
    let committed = opened.expect("it is committed").payload["attempt"].clone();
    let committed = serde_json::from_value(committed).expect("an attempt's id");
    let committed = PaymentAttemptId::from_uuid(committed).to_string();

    // The job that settles such an attempt asks for it, and makes nothing by itself.
    let asked = line.calls(PaymentCall::SearchIntents);
    scene.clock.advance(TimeDelta::minutes(6));
    tick_site(&scene.state.services, scene.other.id, Tick::Reconcile)
        .await
        .expect("a tick");
    let worked = works(&scene).await;
    let failed = |task: &str| worked.failures.iter().any(|failure| failure.task == task);
    assert!(!failed("reconcile_payments"), "{worked:?}");
    assert!(line.calls(PaymentCall::SearchIntents) > asked);
    assert_eq!(made(), (intents, calls));

    let second = Process::start(&scene).await;
    let intent = second.opens(&scene, &objects, &checkout).await;
    assert_eq!(made(), (intents + 1, calls + 1), "one intent, asked for once");
    let metadata = payments.intent(&intent.0).expect("the intent").metadata;
    assert_eq!(
        metadata["attempt_id"], committed,
        "under the key of the first life"
    );
    payments.confirm(&intent.0, "pm_card_visa").expect("paid");
    tick_site(&scene.state.services, scene.other.id, Tick::Reconcile)
        .await
        .expect("a tick");
    works(&scene).await;
    let paid = view(&scene, &order).await;
    assert_eq!(
        (paid.payment, happened(&paid, "order.paid")),
        (PaymentStatus::Paid, 1)
    );
}

#[actix_web::test]
async fn s27_an_event_that_an_api_took_before_it_was_killed_is_applied_once() {
    let scene = Scene::new().await;
    let app = api(&scene).await;
    let objects = furnish(&scene, &app, &scene.other).await;
    let first = Process::start(&scene).await;
    let order = first.places(&scene, &objects).await;
    let checkout = format!("/api/v1/orders/{order}/checkout");
    let intent = first.opens(&scene, &objects, &checkout).await;
    let payments = scene.world.payments();
    payments.confirm(&intent.0, "pm_card_visa").expect("paid");
    // What the site's own first order left to be done is not looked at here.
    works(&scene).await;
    let event = format!("evt_{}", order.trim_start_matches("ord_"));
    assert_eq!(first.is_told(&scene, &event, &intent).await["outcome"], "stored");
    drop(first);

    let state = async |state: &'static str| {
        let page = PageRequest::new(Some(10), None);
        let found = scene
            .state
            .database
            .webhooks(&scope(&scene), Some(state), page)
            .await;
        let found = found.expect("a page").items;
        found.iter().filter(|webhook| webhook.event_id == event).count()
    };
    assert_eq!(state("received").await, 1, "stored");
    assert_eq!(
        view(&scene, &order).await.payment,
        PaymentStatus::Unpaid,
        "and not applied"
    );
    let asked = payments.line().calls(PaymentCall::RetrieveIntent);
    let second = Process::start(&scene).await;
    // Stripe may not have seen the answer, and sends it again.
    assert_eq!(second.is_told(&scene, &event, &intent).await["outcome"], "again");
    works(&scene).await;
    works(&scene).await;
    assert_eq!(state("done").await, 1);
    let asked = payments.line().calls(PaymentCall::RetrieveIntent) - asked;
    let paid = view(&scene, &order).await;
    assert_eq!(
        (asked, paid.payment, happened(&paid, "order.paid")),
        (1, PaymentStatus::Paid, 1)
    );
    assert_eq!(paid.captured, paid.total);
}
