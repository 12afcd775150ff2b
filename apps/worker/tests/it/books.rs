//! The nightly look at the books.

use posx_worker::{check_books, drain};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn p31_the_nightly_job_tells_of_what_is_broken_and_of_nothing_else() {
    let world = World::own().await;
    let told = async || -> Vec<(String, String)> {
        let sql = "select payload ->> 'invariant', payload ->> 'detail' from events where kind = 'books.invariant_broken' order by id";
        sqlx::query_as(sql).fetch_all(&world.superuser).await.unwrap()
    };
    world.add_job("tick_purge", json!({}), 3).await;
    drain(&world.services).await.unwrap();
    assert_eq!(told().await, []);
    assert_eq!(check_books(&world.services, world.site.id).await.unwrap(), []);
    let site = world.site.id.as_uuid();
    let by_hand = format!(
        "begin; set local session_replication_role = replica;
         insert into postings (site_id, entry_id, line, account, unit, amount, posted_at)
         values ('{site}', gen_random_uuid(), 0, 'sales', 'USD', 5, now()); commit"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(by_hand))
        .execute(&world.superuser)
        .await
        .unwrap();
    let faults = check_books(&world.services, world.site.id).await.unwrap();
    assert_eq!(told().await, [], "who only looks tells nobody");
    world.add_job("tick_purge", json!({}), 3).await;
    drain(&world.services).await.unwrap();
    let told = told().await;
    let expected = ("trial_balance".to_owned(), "USD is off by 5".to_owned());
    assert!(told.contains(&expected), "{told:?}");
    assert_eq!(told.len(), faults.len());
}
