//! The run's migrated database; what is destructive gets a database of its own.

use posx_postgres::bootstrap;
use posx_testkit::TestDatabase;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

pub use posx_testkit::database as shared;

pub async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    options.connect().await.expect("a connection")
}

/// For looking at, or spoiling, what no role of ours may.
pub async fn superuser() -> PgConnection {
    connect(&shared().superuser_url).await
}

/// For writing what no entry stands for, as a hand beside the product would: nothing is checked.
pub async fn by_hand() -> PgConnection {
    let mut connection = superuser().await;
    sqlx::raw_sql("set session_replication_role = replica")
        .execute(&mut connection)
        .await
        .expect("set");
    connection
}

/// Roles and an empty database that no other test knows; migrated when the caller does so.
pub async fn empty_database() -> TestDatabase {
    let name = format!("posx_test_empty_{}", crate::world::unique(12).to_lowercase());
    bootstrap(&shared().superuser_url, &name, &shared().passwords())
        .await
        .expect("bootstrapped");
    shared().named(&name)
}
