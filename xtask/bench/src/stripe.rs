//! The payment provider's side: intents that have succeeded, and webhooks about them, signed as the provider signs.

use std::sync::Arc;

use aws_lc_rs::hmac;
use posx_kernel::{Clock, SystemClock};
use posx_sandbox::{DeliveryPlan, World};
use reqwest::Client;

use crate::scene::{REQUEST_TIMEOUT, fresh_key};
use crate::{Outcome, seed};

/// Asked for at once.
const CREATING: usize = 16;
const EVENT: &str = "payment_intent.succeeded";

/// Posts webhooks to the API. A clone is a handle on the same.
#[derive(Clone)]
pub struct Stripe {
    client: Client,
    url: String,
    key: Arc<hmac::Key>,
    /// A webhook that the sandbox itself wrote, about `sample`.
    body: Arc<str>,
    event: String,
    /// An intent that has succeeded.
    pub sample: String,
}

impl Stripe {
    pub async fn new(world: &World, api: &str) -> Outcome<Self> {
        let client = Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build()?;
        let sample = create(&client, world).await?;
        let notices = world.payments().webhooks().notices();
        let notice = notices
            .iter()
            .find(|notice| notice.kind == EVENT && notice.resource == sample)
            .ok_or("the sandbox told nothing of a payment")?;
        // The others are ours to tell.
        world.payments().webhooks().plan(DeliveryPlan {
            dropped: vec!["payment_intent.created".to_owned(), EVENT.to_owned()],
            ..DeliveryPlan::default()
        });
        let secrets = &world.secrets().stripe_webhook;
        let secret = secrets.first().ok_or("the sandbox signs nothing")?;
        Ok(Self {
            client,
            url: format!("{api}/webhooks/stripe"),
            key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())),
            body: String::from_utf8(notice.body.to_vec())?.into(),
            event: notice.id.clone(),
            sample,
        })
    }

    /// New intents that have received their amount.
    pub async fn succeeded(&self, world: &Arc<World>, count: usize) -> Outcome<Vec<String>> {
        let tasks: Vec<_> = (0..CREATING)
            .map(|task| {
                let (client, world) = (self.client.clone(), Arc::clone(world));
                tokio::spawn(async move {
                    let mut intents = Vec::new();
                    for _ in (task..count).step_by(CREATING) {
                        intents.push(create(&client, &world).await?);
                    }
                    Outcome::Ok(intents)
                })
            })
            .collect();
        let mut intents = Vec::with_capacity(count);
        for task in tasks {
            intents.extend(task.await??);
        }
        Ok(intents)
    }

    /// A new event about the intent. True: it was stored as a new one.
    pub async fn post(&self, intent: &str) -> bool {
        self.post_as(intent, &format!("evt_{}", fresh_key())).await
    }

    pub async fn post_as(&self, intent: &str, event: &str) -> bool {
        let body = self
            .body
            .replace(&self.sample, intent)
            .replace(&self.event, event);
        let at = SystemClock.now().timestamp();
        let signature = hmac::sign(&self.key, format!("{at}.{body}").as_bytes());
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/json")
            .header(
                "stripe-signature",
                format!("t={at},v1={}", hex::encode(signature)),
            )
            .body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => {
                answer.text().await.is_ok_and(|text| text.contains(r#""stored""#))
            }
            _ => false,
        }
    }
}

async fn create(client: &Client, world: &World) -> Outcome<String> {
    let answer = client
        .post(format!("{}/v1/payment_intents", world.stripe_url()))
        .bearer_auth(&world.secrets().stripe_secret_key)
        .header("idempotency-key", fresh_key())
        .form(&[
            ("amount", seed::PRICE.to_string()),
            ("currency", "usd".to_owned()),
        ])
        .send()
        .await?
        .error_for_status()?;
    let intent: serde_json::Value = answer.json().await?;
    let id = intent["id"].as_str().ok_or("an intent has no id")?.to_owned();
    world.payments().receive(&id, i64::from(seed::PRICE))?;
    Ok(id)
}
