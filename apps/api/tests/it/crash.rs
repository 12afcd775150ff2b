//! A real API process is killed between the two transactions of a checkout, and another one goes on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use posx_kernel::SiteScope;
use posx_orders::PaymentStatus;
use posx_orders::gateway::IntentId;
use posx_sandbox::PaymentCall;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::objects::{WALLET, furnish};
use crate::world::{AUDIENCE, Person, Scene, api};

/// Killed when dropped.
struct Process {
    child: Child,
    base: String,
}

impl Process {
    async fn start(scene: &Scene) -> Self {
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
            .env("POSX__PAYMENTS__PROVIDER", "sandbox")
            .env("POSX__PAYMENTS__BASE_URL", scene.world.stripe_url())
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
    let (first, buyer) = (Process::start(&scene).await, &objects.buyer);
    let body = json!({ "lines": [{ "tier_id": objects.tier, "quantity": 1 }], "wallet_address": WALLET });
    let placed = first
        .post(&scene, buyer, "/api/v1/orders", "crash-order")
        .json(&body)
        .send()
        .await
        .expect("an answer");
    let placed: Value = placed.json().await.expect("an order");
    let order = placed["id"].as_str().expect("an id").to_owned();
    let checkout = format!("/api/v1/orders/{order}/checkout");

    let line = scene.world.payments().line();
    let (intents, calls) = (
        scene.world.payments().intents().len(),
        line.calls(PaymentCall::CreateIntent),
    );
    line.set_latency(Duration::from_millis(700));
    let cut_off = tokio::spawn(first.post(&scene, buyer, &checkout, "crash-pay").send());
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
    let mut opened = Vec::new();
    for _ in 0..2 {
        let answer = second
            .post(&scene, buyer, &checkout, "crash-pay")
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        opened.push(answer.json::<Value>().await.expect("a checkout"));
    }
    assert_eq!(opened[0], opened[1], "the same answer again");
    assert_eq!(
        scene.world.payments().intents().len(),
        intents + 1,
        "one intent, though asked for in two lives"
    );

    let intent = opened[0]["intent_id"].as_str().expect("an intent");
    scene
        .world
        .payments()
        .confirm(intent, "pm_card_visa")
        .expect("paid");
    let scope = SiteScope::of_verified_request(scene.other.id);
    let intent = IntentId(intent.to_owned());
    scene
        .state
        .orders
        .apply_intent(&scope, &intent)
        .await
        .expect("applied");
    let id = order.parse().expect("an order's id");
    let view = scene
        .state
        .order_queries
        .get(&scope, id, None)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(view.payment, PaymentStatus::Paid);
}
