//! What nobody needs any more.

use chrono::TimeDelta;
use posx_tenancy::{SessionClient, SignInFacts};
use posx_worker::drain;
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_daily_tick_deletes_sessions_that_are_long_over_and_no_other() {
    let world = World::own().await;
    let identity = world.admin().await;
    let sessions = &world.services.sessions;
    let open = async || {
        let facts = SignInFacts {
            identity,
            issuer: "https://issuer.test/".to_owned(),
            authenticated_at: None,
            methods: Vec::new(),
            context: None,
            second_factor: false,
        };
        let opened = sessions.open(facts, SessionClient::default()).await.unwrap();
        let renewed = sessions.refresh(&opened.token, SessionClient::default()).await;
        renewed.unwrap()
    };
    let rows = async || -> (i64, i64) {
        let sql = "select (select count(*) from sessions), (select count(*) from session_tokens)";
        sqlx::query_as(sql).fetch_one(&world.superuser).await.unwrap()
    };
    open().await;
    world.clock.advance(TimeDelta::days(36));
    let lives = open().await;
    world.add_job("tick_purge", json!({}), 3).await;
    drain(&world.services).await.unwrap();
    assert_eq!(
        rows().await,
        (2, 1),
        "its last cookie was good until the seventh day"
    );
    world.clock.advance(TimeDelta::days(2));
    world.add_job("tick_purge", json!({}), 3).await;
    drain(&world.services).await.unwrap();
    assert_eq!(rows().await, (1, 1));
    sessions
        .refresh(&lives.token, SessionClient::default())
        .await
        .unwrap();
}
