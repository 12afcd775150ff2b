//! Real worker processes: killed, stopped, and misconfigured.

use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use posx_allocations::StateName;
use posx_kernel::SystemClock;
use posx_orders::PaymentStatus;
use posx_runtime::{Services, Settings};
use posx_sandbox::{CustodyCall, Drive, PaymentCall, World as Sandbox, WorldConfig};
use posx_worker::{Tick, tick_site};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Postgres, Transaction};

use crate::webhooks::stripe;
use crate::world::World;

/// Killed with the test, however it ends.
struct WorkerProcess(Child);

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl WorkerProcess {
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    async fn stop(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the worker does not stop");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn command(env: &[(String, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_posx-worker"));
    command
        .env_clear()
        .envs(env.iter().cloned())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn start(world: &World) -> WorkerProcess {
    WorkerProcess(command(&world.env).spawn().unwrap())
}

async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !holds().await {
        assert!(Instant::now() < until, "not within 60 s: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A purge that hangs, because the test holds the table that it wants.
async fn hang_purges(world: &World) -> Transaction<'static, Postgres> {
    let mut lock = world.superuser.begin().await.unwrap();
    sqlx::raw_sql("lock table idempotency_keys in access exclusive mode")
        .execute(&mut *lock)
        .await
        .unwrap();
    lock
}

async fn add_an_old_key(world: &World) {
    sqlx::query(
        "insert into idempotency_keys (site_id, actor, operation, key, fingerprint, status, body, created_at)
         values ($1, 'a', 'o', 'k', decode(repeat('00', 32), 'hex'), 201, '', now() - interval '3 days')",
    )
    .bind(world.site.id.as_uuid())
    .execute(&world.superuser)
    .await
    .unwrap();
}

async fn purge_hangs(world: &World) -> bool {
    let sql = "select exists (select from pg_locks l join pg_class c on c.oid = l.relation
               where c.relname = 'idempotency_keys' and not l.granted
                 and l.database = (select oid from pg_database where datname = current_database()))";
    sqlx::query_scalar(sql).fetch_one(&world.superuser).await.unwrap()
}

async fn old_keys(world: &World) -> i64 {
    sqlx::query_scalar("select count(*) from idempotency_keys")
        .fetch_one(&world.superuser)
        .await
        .unwrap()
}

#[tokio::test]
async fn p39_a_job_whose_worker_was_killed_runs_again() {
    let world = World::own().await;
    add_an_old_key(&world).await;
    let lock = hang_purges(&world).await;
    tick_site(&world.services, world.site.id, Tick::Purge)
        .await
        .unwrap();
    let first = start(&world);
    eventually("the first worker is in the middle of the job", async || {
        purge_hangs(&world).await
    })
    .await;
    first.kill();
    lock.rollback().await.unwrap();
    assert_eq!(old_keys(&world).await, 1);
    assert_eq!(world.queued("purge").await, 1, "the dead worker holds it");
    let second = start(&world);
    eventually("the job is done", async || world.queued("purge").await == 0).await;
    assert_eq!(old_keys(&world).await, 0);
    assert!(second.stop().await.success());
}

#[tokio::test]
async fn p39_a_job_that_kills_its_worker_each_time_is_dead_after_its_tries() {
    let world = World::own().await;
    let lock = hang_purges(&world).await;
    world.add_job("purge", serde_json::json!({}), 2).await;
    for _ in 0..2 {
        let worker = start(&world);
        eventually("a worker is in the middle of the job", async || {
            purge_hangs(&world).await
        })
        .await;
        worker.kill();
        eventually("the database noticed", async || !purge_hangs(&world).await).await;
    }
    lock.rollback().await.unwrap();
    let last = start(&world);
    let dead = async || {
        world
            .services
            .database
            .jobs(&world.scope, true, None, 10)
            .await
            .unwrap()
    };
    // Dead is also what the last killed worker holds: wait until it is taken from it.
    eventually("the job is given up", async || {
        dead().await.iter().any(|job| job.last_error.is_some())
    })
    .await;
    let listed = dead().await;
    assert_eq!((listed.len(), listed[0].attempts), (1, 2));
    assert!(
        world
            .services
            .database
            .replay_job(&world.scope, listed[0].id, world.services.clock.now())
            .await
            .unwrap()
    );
    eventually("the replayed job is done", async || {
        world.queued("purge").await == 0
    })
    .await;
    assert!(last.stop().await.success());
}

#[tokio::test]
async fn p24_a_transfer_whose_worker_was_killed_is_sent_once() {
    let mut config = WorldConfig::new(Arc::new(SystemClock));
    config.drive = Drive::Manual;
    let sandbox = Sandbox::start(config).await.unwrap();
    let mut world = World::own().await;
    for (key, value) in &mut world.env {
        match key.as_str() {
            "POSX__CUSTODY__BASE_URL" => *value = sandbox.fireblocks_url(),
            "POSX__CUSTODY__API_KEY" => value.clone_from(&sandbox.secrets().fireblocks_api_key),
            _ => {}
        }
    }
    let allocation = world.allocation().await;
    world.batch(&[allocation]).await;
    // The custodian takes the transfer while its sender is dead already.
    let line = sandbox.custodian().line();
    line.set_latency(Duration::from_secs(2));
    let first = start(&world);
    eventually("the transfer is on its way", async || {
        line.calls(CustodyCall::Submit) == 1
    })
    .await;
    first.kill();
    assert!(sandbox.custodian().transfers().is_empty());
    line.repair();
    eventually("the transfer arrived", async || {
        sandbox.custodian().transfers().len() == 1
    })
    .await;
    let second = start(&world);
    eventually("the batch is submitted", async || {
        world.queued("submit_batch").await == 0
    })
    .await;
    let queries = &world.services.allocation_queries;
    let found = queries
        .allocation(&world.scope, allocation, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.state, StateName::Submitted);
    assert_eq!(line.calls(CustodyCall::Submit), 1, "looked up, not sent again");
    assert!(line.calls(CustodyCall::Find) >= 1);
    assert!(second.stop().await.success());
    sandbox.stop().await;
}

/// Services and workers of this world pay at the sandbox from now on.
async fn pay_at(world: &mut World, sandbox: &Sandbox) {
    for (key, value) in &mut world.env {
        match key.as_str() {
            "POSX__PAYMENTS__BASE_URL" => *value = sandbox.stripe_url(),
            "POSX__PAYMENTS__SECRET_KEY" => value.clone_from(&sandbox.secrets().stripe_secret_key),
            _ => {}
        }
    }
    let settings = Settings::load(None, world.env.iter().cloned()).unwrap();
    world.services = Services::connect(&settings, Arc::new(SystemClock)).await.unwrap();
}

#[tokio::test]
async fn s27_an_event_whose_worker_was_killed_before_it_was_applied_is_applied_once() {
    let sandbox = Sandbox::start(WorldConfig::new(Arc::new(SystemClock)))
        .await
        .unwrap();
    let mut world = World::own().await;
    pay_at(&mut world, &sandbox).await;
    let (tier, buyer) = (world.tier().await, world.joins("carol", None).await);
    let order = world.order(&buyer, tier).await;
    let intent = world.checkout(&order).await.intent;
    sandbox.payments().confirm(&intent.0, "pm_card_visa").unwrap();
    let event = world
        .delivered(
            "stripe",
            &intent.0,
            &stripe("payment_intent.succeeded", &intent.0, false),
        )
        .await;
    let view = async || {
        let queries = &world.services.order_queries;
        let found = queries.get(&world.scope, order.id, None).await;
        found.unwrap().unwrap()
    };
    // The provider is slow to say what the intent is: its asker is dead before the answer.
    let line = sandbox.payments().line();
    line.set_latency(Duration::from_mins(1));
    let first = start(&world);
    eventually("the event is being applied", async || {
        line.calls(PaymentCall::RetrieveIntent) == 1
    })
    .await;
    first.kill();
    line.repair();
    assert_eq!(world.webhook_state(event).await, ("received".into(), None));
    assert_eq!(view().await.payment, PaymentStatus::Unpaid);
    assert_eq!(world.queued("apply_webhook").await, 1, "the dead worker holds it");
    let second = start(&world);
    eventually("the event is applied", async || {
        world.queued("apply_webhook").await == 0
    })
    .await;
    assert!(second.stop().await.success());
    assert_eq!(world.webhook_state(event).await, ("done".into(), None));
    assert_eq!(line.calls(PaymentCall::RetrieveIntent), 2, "asked again");
    let paid = view().await;
    let times = |kind: &str| paid.history.iter().filter(|event| event.kind == kind).count();
    assert_eq!((paid.payment, times("order.paid")), (PaymentStatus::Paid, 1));
    assert_eq!(paid.captured, order.total);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_worker_outlives_its_database_connections() {
    let world = World::own().await;
    let worker = start(&world);
    tick_site(&world.services, world.site.id, Tick::Purge)
        .await
        .unwrap();
    eventually("the worker works", async || world.queued("purge").await == 0).await;
    for _ in 0..3 {
        sqlx::query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name in ('posx', 'posx-jobs')",
        )
        .execute(&world.superuser)
        .await
        .unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    add_an_old_key(&world).await;
    world.add_job("purge", serde_json::json!({}), 5).await;
    eventually("it works again", async || {
        world.queued("purge").await == 0 && old_keys(&world).await == 0
    })
    .await;
    assert!(worker.stop().await.success());
}

#[tokio::test]
async fn a_worker_that_is_stopped_finishes_what_it_runs() {
    let world = World::own().await;
    add_an_old_key(&world).await;
    let lock = hang_purges(&world).await;
    tick_site(&world.services, world.site.id, Tick::Purge)
        .await
        .unwrap();
    let worker = start(&world);
    eventually("the worker is in the middle of the job", async || {
        purge_hangs(&world).await
    })
    .await;
    let (status, ()) = tokio::join!(worker.stop(), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        lock.rollback().await.unwrap();
    });
    assert!(status.success());
    assert_eq!((old_keys(&world).await, world.queued("purge").await), (0, 0));
}

#[test]
fn p40_a_worker_without_its_secrets_does_not_start_and_names_them() {
    let env = [("POSX__ENVIRONMENT".to_owned(), "production".to_owned())];
    let Output { status, stderr, .. } = command(&env).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!status.success());
    for secret in [
        "database.app_url",
        "database.jobs_url",
        "payments.provider",
        "custody.api_key",
        "secrets.master_keys",
        "server.address_salt",
    ] {
        assert!(stderr.contains(&format!("{secret} is missing")), "{stderr}");
    }
}
