//! Poison, replay, suspension.

use posx_tenancy::SiteState;
use posx_worker::drain_site;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn p39_a_poison_job_is_dead_after_its_tries_and_can_be_replayed() {
    let world = World::shared().await;
    let (services, site) = (&world.services, world.site.id);
    world
        .add_job("accrue_commissions", json!({ "order": "not an id" }), 2)
        .await;
    for _ in 0..2 {
        let drained = drain_site(services, site).await.unwrap();
        assert_eq!(drained.run, 1);
        assert_eq!(drained.failures[0].task, "accrue_commissions");
        assert!(
            drained.failures[0].error.starts_with("job_payload_unreadable"),
            "{drained:?}"
        );
        world.end_back_off().await;
    }
    assert_eq!(
        drain_site(services, site).await.unwrap().run,
        0,
        "a dead job does not run"
    );
    let dead = services
        .database
        .jobs(&world.scope, true, None, 10)
        .await
        .unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].dead && dead[0].attempts == 2);
    assert!(
        dead[0]
            .last_error
            .as_deref()
            .is_some_and(|error| error.starts_with("job_payload_unreadable"))
    );

    let other = posx_kernel::SiteScope::of_verified_request(world.another_site().await.id);
    assert!(
        !services
            .database
            .replay_job(&other, dead[0].id, services.clock.now())
            .await
            .unwrap(),
        "not another site's"
    );
    assert!(
        services
            .database
            .replay_job(&world.scope, dead[0].id, services.clock.now())
            .await
            .unwrap()
    );
    assert_eq!(
        drain_site(services, site).await.unwrap().run,
        1,
        "it has its tries again"
    );
}

#[tokio::test]
async fn a_refusal_that_no_repetition_would_change_ends_its_job() {
    let world = World::shared().await;
    let order = posx_kernel::Ids::uuid(&posx_kernel::SystemIds, world.services.clock.now());
    world
        .add_job("accrue_commissions", json!({ "order": order }), 5)
        .await;
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!((drained.run, drained.failures.len()), (1, 0));
    assert!(
        world
            .services
            .database
            .jobs(&world.scope, false, None, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_suspended_sites_jobs_wait_and_waiting_costs_no_try() {
    let world = World::shared().await;
    world.add_job("expire_orders", json!({}), 2).await;
    world.set_state(SiteState::Suspended).await;
    for _ in 0..4 {
        let drained = drain_site(&world.services, world.site.id).await.unwrap();
        assert_eq!((drained.run, drained.failures.len()), (1, 1), "{drained:?}");
        assert_eq!(
            drain_site(&world.services, world.site.id).await.unwrap().run,
            0,
            "not at once again"
        );
        world.end_back_off().await;
    }
    world.set_state(SiteState::Active).await;
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert_eq!((drained.run, drained.failures.len()), (1, 0), "{drained:?}");
}

#[tokio::test]
async fn a_job_of_a_task_that_nobody_knows_stays_and_is_told() {
    let world = World::shared().await;
    world.add_job("task_of_a_later_version", json!({}), 2).await;
    let drained = drain_site(&world.services, world.site.id).await.unwrap();
    assert!(
        drained.failures[0].error.starts_with("job_task_unknown"),
        "{drained:?}"
    );
}

#[tokio::test]
async fn a_job_that_was_asked_for_again_while_it_ran_is_superseded_and_not_dead() {
    let world = World::own().await;
    let ask = "select graphile_worker.enqueue_for_site($1, 'purge', '{}', 'one key', 0, 0, 20)";
    let site = world.site.id.as_uuid();
    sqlx::query(ask)
        .bind(site)
        .execute(&world.superuser)
        .await
        .unwrap();
    let run = "update graphile_worker._private_jobs set locked_at = now(), locked_by = 'killed later', attempts = 1";
    sqlx::query(run).execute(&world.superuser).await.unwrap();
    sqlx::query(ask)
        .bind(site)
        .execute(&world.superuser)
        .await
        .unwrap();
    let jobs = &world.services.jobs_database;
    assert_eq!(
        jobs.purge_superseded_jobs().await.unwrap(),
        0,
        "it may still end well"
    );
    let give_up = "update graphile_worker._private_jobs set locked_at = null, locked_by = null where locked_by is not null";
    sqlx::query(give_up).execute(&world.superuser).await.unwrap();
    let listed = world
        .services
        .database
        .jobs(&world.scope, false, None, 10)
        .await
        .unwrap();
    assert_eq!(
        (listed.len(), listed[0].dead, listed[0].attempts),
        (1, false, 0),
        "the newer one"
    );
    assert_eq!(world.queued("purge").await, 2);
    assert_eq!(jobs.purge_superseded_jobs().await.unwrap(), 1);
    assert_eq!(world.queued("purge").await, 1);
}
