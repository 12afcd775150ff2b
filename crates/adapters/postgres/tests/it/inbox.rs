//! Webhooks before their site is known, and the jobs that events add.

use chrono::Duration;
use posx_kernel::{Begin as _, PageRequest, WebhookId};
use posx_postgres::{AuditFilter, JobsDatabase, NewWebhook, WebhookEndpoint};
use posx_tiers::TiersTx;

use crate::server::shared;
use crate::world::{World, new_id, noon, unique};

fn delivery<'a>(event_id: &'a str, external_id: &'a str, known: bool) -> NewWebhook<'a> {
    NewWebhook {
        id: WebhookId::from_uuid(new_id()),
        provider: "stripe",
        event_id,
        event_type: "payment_intent.succeeded",
        external_id: Some(external_id),
        known,
        endpoint: WebhookEndpoint::SHARED,
        body: b"{}",
        headers: serde_json::json!({}),
        received_at: noon(),
    }
}

async fn runner() -> JobsDatabase {
    JobsDatabase::connect(&shared().jobs_url, 2)
        .await
        .expect("the runner's pool")
}

async fn claim(world: &World, external_id: &str) -> bool {
    let mut tx = world.begin().await;
    let ours = tx
        .attempts()
        .claim_external_id("stripe", external_id)
        .await
        .expect("claimed");
    tx.commit().await.expect("committed");
    ours
}

fn page() -> PageRequest {
    PageRequest::new(None, None)
}

/// How many jobs interpret this event.
async fn jobs_of(id: WebhookId) -> i64 {
    let sql = "select count(*) from graphile_worker._private_jobs where payload ->> 'webhook' = $1::text";
    let count = sqlx::query_scalar(sql)
        .bind(id.as_uuid().to_string())
        .fetch_one(runner().await.pool())
        .await;
    count.expect("a count")
}

#[tokio::test]
async fn p11_an_event_delivered_twice_is_stored_once_with_one_job() {
    let world = World::new().await;
    let (event, intent) = (unique(16), unique(16));
    let first = delivery(&event, &intent, true);
    assert!(world.database.store_webhook(&first).await.expect("stored"));
    let second = delivery(&event, &intent, true);
    assert!(!world.database.store_webhook(&second).await.expect("counted"));
    assert_eq!((jobs_of(first.id).await, jobs_of(second.id).await), (1, 0));
    // Our own insert came later than the event: the site is looked up again.
    let runner = runner().await;
    let row = runner.webhook(first.id).await.expect("read").expect("the event");
    assert_eq!((row.site, row.tries, row.state.as_str()), (None, 1, "received"));
    assert!(claim(&world, &intent).await);
    let row = runner.webhook(first.id).await.expect("read").expect("the event");
    assert_eq!((row.site, row.tries), (Some(world.site.id), 2));
    assert_eq!(row.body, b"{}");
    let seen = world
        .database
        .webhooks(&world.scope, None, page())
        .await
        .expect("a list");
    assert_eq!(
        seen.items
            .iter()
            .map(|webhook| webhook.deliveries)
            .collect::<Vec<_>>(),
        [2]
    );
}

#[tokio::test]
async fn p33_a_type_that_nobody_acts_on_is_stored_as_ignored_without_a_job() {
    let world = World::new().await;
    let (event, intent) = (unique(16), unique(16));
    assert!(claim(&world, &intent).await);
    let new = delivery(&event, &intent, false);
    assert!(world.database.store_webhook(&new).await.expect("stored"));
    assert_eq!(jobs_of(new.id).await, 0);
    let seen = world
        .database
        .webhooks(&world.scope, Some("ignored"), page())
        .await
        .expect("a list");
    assert_eq!(seen.items[0].id, new.id);
    assert!(
        !world
            .database
            .replay_webhook(&world.scope, new.id, noon())
            .await
            .expect("an answer")
    );
}

#[tokio::test]
async fn p01_an_outside_object_belongs_to_the_site_that_claimed_it_first_and_so_do_its_events() {
    let (here, elsewhere) = (World::new().await, World::new().await);
    let (event, intent) = (unique(16), unique(16));
    assert!(claim(&here, &intent).await);
    assert!(claim(&here, &intent).await, "again, by its owner");
    assert!(!claim(&elsewhere, &intent).await);
    let new = delivery(&event, &intent, true);
    here.database.store_webhook(&new).await.expect("stored");
    let theirs = elsewhere
        .database
        .webhooks(&elsewhere.scope, None, page())
        .await
        .expect("a list");
    assert!(theirs.items.is_empty());
    assert!(
        !elsewhere
            .database
            .replay_webhook(&elsewhere.scope, new.id, noon())
            .await
            .expect("an answer")
    );
    let runner = runner().await;
    runner
        .finish_webhook(new.id, "done", None, noon())
        .await
        .expect("finished");
    assert!(
        here.database
            .replay_webhook(&here.scope, new.id, noon())
            .await
            .expect("an answer")
    );
    let row = runner.webhook(new.id).await.expect("read").expect("the event");
    assert_eq!(row.state, "received");
}

#[tokio::test]
async fn finished_events_are_deleted_by_age_and_open_ones_never() {
    let world = World::new().await;
    let runner = runner().await;
    let old = noon() - Duration::days(3650);
    let [open_event, done_event] = [unique(16), unique(16)];
    let (open, done) = (delivery(&open_event, "x", true), delivery(&done_event, "x", true));
    world.database.store_webhook(&open).await.expect("stored");
    world.database.store_webhook(&done).await.expect("stored");
    runner
        .finish_webhook(done.id, "done", None, old)
        .await
        .expect("finished");
    runner
        .purge_webhooks(old + Duration::days(1))
        .await
        .expect("purged");
    assert!(runner.webhook(done.id).await.expect("read").is_none());
    assert!(runner.webhook(open.id).await.expect("read").is_some());
}

#[tokio::test]
async fn placing_adds_no_job_and_paying_adds_each_followers_job_once() {
    let world = World::new().await;
    let (tier, buyer) = (world.tier(5, 100).await, world.member(None).await);
    let order = world.place(&buyer, tier, 1).await.expect("placed");
    assert_eq!(jobs(&world, false).await, []);
    world.pay(&order).await;
    let subject = order.id.as_uuid();
    let payload = serde_json::json!({ "order": subject });
    for _ in 0..2 {
        let following = jobs(&world, false)
            .await
            .into_iter()
            .filter(|job| job.payload == payload);
        let mut following: Vec<_> = following.map(|job| job.task).collect();
        following.sort_unstable();
        assert_eq!(following, ["accrue_commissions", "allocate_order"]);
        // While one waits, it is not added again.
        let again = posx_kernel::Event {
            kind: "order.paid",
            subject,
            payload: payload.clone(),
            at: noon(),
        };
        let mut tx: Box<dyn TiersTx> = world.database.begin(&world.scope).await.expect("a transaction");
        tx.outbox().append(again).await.expect("appended");
        tx.commit().await.expect("committed");
    }
}

async fn jobs(world: &World, dead: bool) -> Vec<posx_postgres::JobView> {
    world
        .database
        .jobs(&world.scope, dead, None, 100)
        .await
        .expect("a list")
}

async fn replay(world: &World, job: i64) -> bool {
    world
        .database
        .replay_job(&world.scope, job, noon())
        .await
        .expect("an answer")
}

#[tokio::test]
async fn p39_a_dead_job_is_listed_for_its_site_only_and_replayed_by_it_only() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let runner = runner().await;
    for _ in 0..2 {
        runner
            .add_job_for_site(world.site.id, "made_up", "k", 0, 1)
            .await
            .expect("added once");
    }
    let waiting = jobs(&world, false).await;
    assert_eq!(
        waiting
            .iter()
            .map(|job| (job.task.as_str(), job.dead))
            .collect::<Vec<_>>(),
        [("made_up", false)]
    );
    let job = waiting[0].id;
    assert!(!replay(&world, job).await, "it is not dead");
    let sql = "update graphile_worker._private_jobs set attempts = max_attempts, last_error = 'poison' where id = $1";
    sqlx::query(sql)
        .bind(job)
        .execute(runner.pool())
        .await
        .expect("it fails for the last time");
    let dead = jobs(&world, true).await;
    assert_eq!(
        (dead[0].dead, dead[0].last_error.as_deref()),
        (true, Some("poison"))
    );
    assert_eq!(jobs(&elsewhere, true).await, []);
    assert!(!replay(&elsewhere, job).await);
    assert!(replay(&world, job).await);
    assert_eq!(jobs(&world, true).await, []);
    let trail = world
        .database
        .audit_trail(&world.scope, &AuditFilter::default(), None, 1)
        .await;
    assert_eq!(
        trail.expect("a trail")[0].payload,
        serde_json::json!({ "job": job })
    );
}

#[tokio::test]
async fn a_suspended_site_gets_no_scheduled_work() {
    let world = World::new().await;
    let runner = runner().await;
    assert!(
        runner
            .active_sites()
            .await
            .expect("a list")
            .contains(&world.site.id)
    );
    let code = world.site.code.as_str();
    world
        .platform
        .set_state(code, posx_tenancy::SiteState::Suspended)
        .await
        .expect("suspended");
    assert!(
        !runner
            .active_sites()
            .await
            .expect("a list")
            .contains(&world.site.id)
    );
    let suspended = runner.suspended_sites().await.expect("a list");
    assert!(suspended.contains(&world.site.id), "retention goes on");
}

#[tokio::test]
async fn p01_a_job_carries_its_transactions_site_whatever_its_payload_says() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let mut app = crate::server::connect(&shared().app_url).await;
    let forged = format!(
        "begin; set local app.current_site_id = '{}';
         select app.add_job('forged', '{{\"site_id\": \"{}\"}}', 'k', 0, 3600, 1); commit",
        world.site.id.as_uuid(),
        elsewhere.site.id.as_uuid()
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(forged))
        .execute(&mut app)
        .await
        .expect("added");
    assert_eq!(jobs(&world, false).await.len(), 1);
    assert_eq!(jobs(&elsewhere, false).await, []);
}

#[tokio::test]
async fn a_parked_event_stays_until_its_own_site_replays_it_and_one_that_is_done_is_not_parked() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let (event, intent) = (unique(16), unique(16));
    assert!(claim(&world, &intent).await);
    let new = delivery(&event, &intent, true);
    world.database.store_webhook(&new).await.expect("stored");
    let runner = runner().await;
    let park = |of: &'static str| {
        let world = if of == "ours" { &world } else { &elsewhere };
        world
            .database
            .park_webhook(&world.scope, new.id, "looked_at", noon())
    };
    assert!(!park("theirs").await.expect("an answer"));
    assert!(park("ours").await.expect("an answer"));
    let row = runner.webhook(new.id).await.expect("read").expect("the event");
    assert_eq!((row.state.as_str(), row.endpoint.as_str()), ("parked", "shared"));
    // A job that had begun with it before comes to its end.
    for outcome in ["dead", "received", "ignored"] {
        runner
            .finish_webhook(new.id, outcome, Some("late"), noon())
            .await
            .expect("an answer");
        let row = runner.webhook(new.id).await.expect("read").expect("the event");
        assert_eq!(row.state, "parked", "{outcome}");
    }
    let much_later = noon() + chrono::Duration::days(400);
    runner.purge_webhooks(much_later).await.expect("purged");
    assert!(
        world
            .database
            .replay_webhook(&world.scope, new.id, noon())
            .await
            .expect("an answer")
    );
    let row = runner.webhook(new.id).await.expect("read").expect("the event");
    assert_eq!(row.state, "received");
    runner
        .finish_webhook(new.id, "done", None, noon())
        .await
        .expect("finished");
    assert!(!park("ours").await.expect("an answer"));
}
