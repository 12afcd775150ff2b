//! What the clock does to calls of language models.

use chrono::TimeDelta;
use posx_assistant::testing::{reservation, spent};
use posx_assistant::{Asker, Purpose};
use posx_kernel::{Clock as _, Ids as _, ModelCallId, SystemIds};
use posx_worker::{Tick, drain, tick_site};

use crate::world::World;

async fn states(world: &World) -> Vec<(String, i64)> {
    let sql = "select state, count(*) from model_calls group by 1 order by 1";
    sqlx::query_as(sql).fetch_all(&world.superuser).await.unwrap()
}

/// P34: a process that died between reserving and settling leaves nothing held.
#[tokio::test]
async fn p34_a_call_that_nobody_settles_is_given_back_by_the_clock_and_forgotten_after_a_year() {
    let world = World::own().await;
    let asker = Asker::Member(world.admin().await);
    let quota = &world.services.model_quota;
    let reserved = async || {
        let now = world.clock.now();
        let id = ModelCallId::from_uuid(SystemIds.uuid(now));
        let wish = reservation(id, asker, Purpose::Documents, 1_000, now);
        quota.reserve(&world.scope, &wish).await.unwrap();
        id
    };
    let settled = reserved().await;
    quota
        .settle(&world.scope, settled, &spent(600, world.clock.now()))
        .await
        .unwrap();
    reserved().await;
    let tick = async |tick| {
        tick_site(&world.services, world.site.id, tick).await.unwrap();
        drain(&world.services).await.unwrap();
    };
    tick(Tick::Expire).await;
    assert_eq!(
        states(&world).await,
        [("held".to_owned(), 1), ("spent".to_owned(), 1)]
    );
    world.clock.advance(TimeDelta::minutes(3));
    tick(Tick::Expire).await;
    assert_eq!(
        states(&world).await,
        [("expired".to_owned(), 1), ("spent".to_owned(), 1)]
    );
    let held: i64 = sqlx::query_scalar("select sum(reserved)::bigint from model_counters")
        .fetch_one(&world.superuser)
        .await
        .unwrap();
    assert_eq!(held, 0);
    world.clock.advance(TimeDelta::days(399));
    tick(Tick::Purge).await;
    assert_eq!(states(&world).await.len(), 2);
    world.clock.advance(TimeDelta::days(3));
    tick(Tick::Purge).await;
    assert_eq!(states(&world).await, []);
}
