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

#[tokio::test]
async fn the_daily_tick_deletes_talks_that_the_site_has_kept_long_enough() {
    let world = World::own().await;
    let identity = world.admin().await;
    let talks = &world.services.conversations;
    let begin = async || {
        let made = talks.create(&world.scope, identity, None, None).await;
        made.unwrap().id
    };
    let left = async || -> i64 {
        let sql = "select count(*) from conversations";
        sqlx::query_scalar(sql).fetch_one(&world.superuser).await.unwrap()
    };
    begin().await;
    world.clock.advance(TimeDelta::days(100));
    begin().await;
    world.clock.advance(TimeDelta::days(84));
    world.add_job("tick_purge", json!({}), 3).await;
    drain(&world.services).await.unwrap();
    assert_eq!(left().await, 1, "half a year, if the site says nothing");
    talks.set_retention(&world.scope, 30, 1).await.unwrap();
    world.add_job("tick_purge", json!({}), 3).await;
    drain(&world.services).await.unwrap();
    assert_eq!(left().await, 0);
}
