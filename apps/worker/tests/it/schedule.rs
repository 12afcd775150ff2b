//! Ticks.

use std::time::Duration;

use posx_tenancy::SiteState;
use posx_worker::{Tick, drain_site, run, tick, tick_site};
use tokio::sync::watch;

use crate::world::World;

#[tokio::test]
async fn p39_a_tick_that_two_schedulers_add_is_one_job_per_site() {
    let world = World::own().await;
    world.another_site().await;
    let (one, other) = tokio::join!(
        tick(&world.services, Tick::Reconcile),
        tick(&world.services, Tick::Reconcile)
    );
    one.unwrap();
    other.unwrap();
    assert_eq!(world.queued("reconcile_payments").await, 2);
    assert_eq!(world.queued("reconcile_allocations").await, 2);
}

#[tokio::test]
async fn p39_two_schedulers_run_a_scheduled_minute_once() {
    let world = World::own().await;
    // Both were away for a while: each would catch up on the maturing that was due in the last hour.
    for statement in [
        "create table ticks (task_id int, run_at timestamptz)",
        "create function note_tick() returns trigger language plpgsql security definer as
         $$ begin insert into public.ticks values (new.task_id, new.run_at); return new; end $$",
        "create trigger note_tick after insert on graphile_worker._private_jobs for each row execute function note_tick()",
        "insert into graphile_worker._private_known_crontabs (identifier, known_since, last_execution)
         values ('tick_mature', now() - interval '1 day', now() - interval '3 hours')",
    ] {
        sqlx::raw_sql(statement).execute(&world.superuser).await.unwrap();
    }
    let mut settings = world.settings.worker.clone();
    settings.schedule = true;
    let (stop, stopped) = watch::channel(false);
    let worker = || {
        let mut stopped = stopped.clone();
        let stopped = async move {
            stopped.wait_for(|stop| *stop).await.ok();
        };
        run(world.services.clone(), &settings, stopped)
    };
    let counted = async || -> Vec<i64> {
        let sql = "select count(*) from ticks join graphile_worker._private_tasks t on t.id = task_id
                   where t.identifier = 'tick_mature' group by ticks.run_at";
        sqlx::query_scalar(sql).fetch_all(&world.superuser).await.unwrap()
    };
    let watcher = async {
        while counted().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Time for the other to do the same, if it would.
        tokio::time::sleep(Duration::from_secs(3)).await;
        stop.send_replace(true);
    };
    let (one, other, ()) = tokio::join!(worker(), worker(), watcher);
    one.unwrap();
    other.unwrap();
    // One instant, or two when the test itself runs across minute 7.
    let counted = counted().await;
    assert!(counted.iter().all(|count| *count == 1), "{counted:?}");
}

#[tokio::test]
async fn a_suspended_site_gets_retention_and_nothing_else_by_the_clock() {
    let world = World::own().await;
    world.set_state(SiteState::Suspended).await;
    for what in Tick::ALL {
        tick(&world.services, what).await.unwrap();
    }
    let sql = "select t.identifier from graphile_worker._private_jobs j
               join graphile_worker._private_tasks t on t.id = j.task_id order by 1";
    let queued: Vec<String> = sqlx::query_scalar(sql).fetch_all(&world.superuser).await.unwrap();
    assert_eq!(queued, ["forget_documents", "purge"]);
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!((drained.run, drained.failures.len()), (2, 0), "{drained:?}");
}

#[tokio::test]
async fn every_tick_runs_on_a_site_without_anything_to_do() {
    let world = World::shared().await;
    for what in Tick::ALL {
        tick_site(&world.services, world.site.id, what).await.unwrap();
    }
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!((drained.run, drained.failures.len()), (17, 0), "{drained:?}");
}
