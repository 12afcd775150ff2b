//! From an empty server to one that the product runs on.

use posx_postgres::{Database, DatabaseOptions, MigrateError, bootstrap, migrate};
use sqlx::Row as _;

use crate::server::{connect, empty_database, shared, superuser};

#[tokio::test(flavor = "multi_thread")]
async fn two_that_migrate_at_once_both_succeed_and_a_third_changes_nothing() {
    let urls = empty_database().await;
    let (first, second) = tokio::join!(
        migrate(&urls.migrator_url, &urls.jobs_url),
        migrate(&urls.migrator_url, &urls.jobs_url)
    );
    first.expect("the first");
    second.expect("the second");
    let mut admin = connect(&urls.superuser_url).await;
    let sql =
        "select (select count(*) from _sqlx_migrations), (select count(*) from graphile_worker.migrations),
               has_database_privilege('posx_jobs', current_database(), 'create')";
    let row = sqlx::query(sql).fetch_one(&mut admin).await.expect("counts");
    let counts: (i64, i64) = (row.get(0), row.get(1));
    assert!(counts.0 >= 7 && counts.1 > 10, "{counts:?}");
    assert!(!row.get::<bool, _>(2), "the lent right is taken back");
    bootstrap(&shared().superuser_url, &urls.name, &shared().passwords())
        .await
        .expect("again");
    migrate(&urls.migrator_url, &urls.jobs_url).await.expect("again");
    let row = sqlx::query(sql).fetch_one(&mut admin).await.expect("counts");
    assert_eq!(counts, (row.get(0), row.get(1)));
}

#[tokio::test]
async fn a_database_that_was_never_migrated_is_said_to_lack_all() {
    let urls = empty_database().await;
    let database = Database::connect(&urls.app_url, DatabaseOptions::default())
        .await
        .expect("a pool");
    assert!(database.pending_migrations().await.expect("an answer") >= 7);
    assert!(database.posture().await.expect("an answer").is_sound());
}

#[tokio::test]
async fn a_weak_password_or_a_strange_name_is_refused_before_anything_is_done() {
    let mut weak = shared().passwords();
    weak.jobs = "short".to_owned();
    let refused = bootstrap(&shared().superuser_url, "posx_never", &weak).await;
    assert!(matches!(refused, Err(MigrateError::Password)));
    let refused = bootstrap(&shared().superuser_url, "posx; drop", &shared().passwords()).await;
    assert!(matches!(refused, Err(MigrateError::Name)));
    let sql = "select from pg_database where datname like 'posx_never%'";
    let made = sqlx::query(sql)
        .fetch_optional(&mut superuser().await)
        .await
        .expect("a look");
    assert!(made.is_none());
}
