//! Property 41: who may not serve.

use posx_postgres::{Database, DatabaseOptions};

use crate::server::{shared, superuser};

async fn problems(url: &str) -> Vec<String> {
    let options = DatabaseOptions {
        pool_size: 1,
        ..DatabaseOptions::default()
    };
    let database = Database::connect(url, options).await.expect("a pool");
    database.posture().await.expect("an answer").problems
}

fn says(problems: &[String], part: &str) -> bool {
    problems.iter().any(|problem| problem.contains(part))
}

#[tokio::test]
async fn p41_the_app_role_may_serve_and_every_migration_is_there() {
    assert_eq!(problems(&shared().app_url).await, Vec::<String>::new());
    let database = Database::connect(&shared().app_url, DatabaseOptions::default())
        .await
        .expect("a pool");
    assert_eq!(database.pending_migrations().await.expect("an answer"), 0);
    database.ping().await.expect("it answers");
}

#[tokio::test]
async fn p41_a_superuser_the_owner_and_a_member_of_another_role_may_not() {
    assert!(says(&problems(&shared().superuser_url).await, "superuser"));
    assert!(says(&problems(&shared().migrator_url).await, "member"));
    assert!(says(&problems(&shared().jobs_url).await, "queue"));
    let as_owner = format!("{}?options=-c%20role%3Dposx_owner", shared().migrator_url);
    assert!(says(&problems(&as_owner).await, "owns"));
    // Who became the app role by SET ROLE can go back.
    let disguised = format!("{}?options=-c%20role%3Dposx_app", shared().superuser_url);
    assert!(says(&problems(&disguised).await, "superuser"));
}

#[tokio::test]
async fn p41_a_role_with_bypassrls_may_not() {
    let mut admin = superuser().await;
    let name = format!("test_{}", crate::world::unique(10).to_lowercase());
    let database = &shared().name;
    let make = format!(
        "create role {name} login bypassrls password 'only-for-these-tests'; grant connect on database {database} to {name};
         grant usage on schema public to {name}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(make))
        .execute(&mut admin)
        .await
        .expect("a role");
    let (_, address) = shared().app_url.rsplit_once('@').expect("a URL with a password");
    let found = problems(&format!("postgres://{name}:only-for-these-tests@{address}")).await;
    let remove = format!("drop owned by {name}; drop role {name}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(remove))
        .execute(&mut admin)
        .await
        .expect("removed");
    assert!(says(&found, "BYPASSRLS"), "{found:?}");
}
