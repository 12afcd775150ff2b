//! What becomes of a stored event.

use posx_kernel::{Ids, PageRequest, SystemIds, WebhookId};
use posx_postgres::NewWebhook;
use posx_tenancy::SiteState;
use posx_worker::{drain, drain_site};
use serde_json::{Value, json};

use crate::world::World;

impl World {
    pub async fn owns(&self, provider: &str, external_id: &str) {
        sqlx::query("insert into external_ids values ($1, $2, $3)")
            .bind(provider)
            .bind(external_id)
            .bind(self.site.id.as_uuid())
            .execute(&self.superuser)
            .await
            .unwrap();
    }

    pub async fn delivered(&self, provider: &'static str, external_id: &str, body: &Value) -> WebhookId {
        self.delivered_at("shared", provider, external_id, body).await
    }

    pub async fn delivered_at(
        &self,
        endpoint: &str,
        provider: &'static str,
        external_id: &str,
        body: &Value,
    ) -> WebhookId {
        let now = self.services.clock.now();
        let id = WebhookId::from_uuid(SystemIds.uuid(now));
        let body = body.to_string();
        let new = NewWebhook {
            id,
            provider,
            event_id: &id.to_string(),
            event_type: "x",
            external_id: Some(external_id),
            known: true,
            endpoint,
            body: body.as_bytes(),
            headers: json!({}),
            received_at: now,
        };
        assert!(self.services.database.store_webhook(&new).await.unwrap());
        id
    }

    pub async fn webhook_state(&self, id: WebhookId) -> (String, Option<String>) {
        sqlx::query_as("select state, last_error from webhook_inbox where id = $1")
            .bind(id.as_uuid())
            .fetch_one(&self.superuser)
            .await
            .unwrap()
    }
}

pub fn stripe(kind: &str, intent: &str, livemode: bool) -> Value {
    json!({
        "id": "evt_1", "object": "event", "type": kind, "created": 1_767_225_600, "livemode": livemode,
        "data": { "object": { "id": intent, "object": kind.split('.').next() } },
    })
}

fn unique(world: &World, prefix: &str) -> String {
    format!("{prefix}_{}", world.site.id.as_uuid().simple())
}

#[tokio::test]
async fn s28_an_event_that_comes_before_our_own_commit_is_applied_after_it() {
    let world = World::own().await;
    let intent = unique(&world, "pi");
    let early = world
        .delivered("stripe", &intent, &stripe("charge.updated", &intent, false))
        .await;
    let drained = drain(&world.services).await.unwrap();
    assert!(
        drained.failures[0].error.starts_with("webhook_object_unknown"),
        "{drained:?}"
    );
    assert_eq!(
        world.webhook_state(early).await,
        ("received".into(), Some("webhook_object_unknown".into()))
    );
    world.owns("stripe", &intent).await;
    sqlx::query("update graphile_worker._private_jobs set run_at = now()")
        .execute(&world.superuser)
        .await
        .unwrap();
    let drained = drain(&world.services).await.unwrap();
    assert_eq!((drained.run, drained.failures.len()), (1, 0), "{drained:?}");
    assert_eq!(
        world.webhook_state(early).await,
        ("ignored".into(), Some("type_not_acted_on".into()))
    );
}

#[tokio::test]
async fn an_event_of_nobodys_object_is_dead_after_its_tries() {
    let world = World::own().await;
    let event = world
        .delivered(
            "stripe",
            "pi_nobodys",
            &stripe("payment_intent.succeeded", "pi_nobodys", false),
        )
        .await;
    for _ in 0..12 {
        assert_eq!(drain(&world.services).await.unwrap().run, 1);
        sqlx::query("update graphile_worker._private_jobs set run_at = now()")
            .execute(&world.superuser)
            .await
            .unwrap();
    }
    assert_eq!(drain(&world.services).await.unwrap().run, 0);
    assert_eq!(
        world.webhook_state(event).await,
        ("dead".into(), Some("webhook_object_unknown".into()))
    );
}

#[tokio::test]
async fn s10_s23_an_event_that_should_not_have_come_like_this_is_parked_with_the_reason() {
    let world = World::shared().await;
    let intent = unique(&world, "pi");
    world.owns("stripe", &intent).await;
    let event = stripe("payment_intent.succeeded", &intent, false);
    let with = |name: &str, value: Value| {
        let mut event = event.clone();
        event[name] = value;
        event
    };
    for (endpoint, event, why) in [
        ("shared", with("livemode", json!(true)), "livemode_mismatch"),
        ("shared", with("account", json!("acct_1")), "connected_account"),
        ("connect", event.clone(), "wrong_endpoint"),
        ("OTHER", event.clone(), "wrong_endpoint"),
        ("shared", with("api_version", json!("2019-05-16")), "api_version"),
    ] {
        let stored = world.delivered_at(endpoint, "stripe", &intent, &event).await;
        drain_site(&world.services, world.site.id).await.unwrap();
        assert_eq!(
            world.webhook_state(stored).await,
            ("parked".into(), Some(why.into()))
        );
    }
}

#[tokio::test]
async fn a_suspended_sites_event_waits() {
    let world = World::shared().await;
    let intent = unique(&world, "pi");
    world.owns("stripe", &intent).await;
    let event = world
        .delivered("stripe", &intent, &stripe("charge.updated", &intent, false))
        .await;
    world.set_state(SiteState::Suspended).await;
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!(drained.failures.len(), 1);
    assert_eq!(world.webhook_state(event).await.0, "received");
    world.set_state(SiteState::Active).await;
    world.end_back_off().await;
    drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!(world.webhook_state(event).await.0, "ignored");
}

#[tokio::test]
async fn s27_a_dead_event_is_interpreted_again_when_staff_replay_it() {
    let world = World::shared().await;
    let transfer = unique(&world, "alc");
    world.owns("fireblocks", &transfer).await;
    let event = world
        .delivered("fireblocks", &transfer, &json!({ "no": "notification" }))
        .await;
    for _ in 0..12 {
        assert_eq!(drain_site(&world.services, world.site.id).await.unwrap().run, 1);
        world.end_back_off().await;
    }
    assert_eq!(
        world.webhook_state(event).await,
        ("dead".into(), Some("webhook_unreadable".into()))
    );
    let database = &world.services.database;
    let listed = database
        .webhooks(&world.scope, Some("dead"), PageRequest::new(Some(10), None))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
    assert!(
        database
            .replay_webhook(&world.scope, event, world.services.clock.now())
            .await
            .unwrap()
    );
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!(drained.run, 1, "it has its tries again");
    assert_eq!(world.webhook_state(event).await.0, "received");
}
