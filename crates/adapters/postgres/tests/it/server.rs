//! The run's migrated database; what is destructive gets a database of its own.

use posx_postgres::{Passwords, bootstrap};
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

/// Those that the roles have: they belong to the whole server, and other tests are using them.
pub fn passwords() -> Passwords {
    let of = |url: &str| url.split([':', '@']).nth(2).expect("a password").to_owned();
    Passwords {
        migrator: of(&shared().migrator_url),
        app: of(&shared().app_url),
        jobs: of(&shared().jobs_url),
        platform: of(&shared().platform_url),
    }
}

/// Roles and an empty database that no other test knows; migrated when the caller does so.
pub async fn empty_database() -> TestDatabase {
    let name = format!("empty_{}", crate::world::unique(12).to_lowercase());
    bootstrap(&shared().superuser_url, &name, &passwords())
        .await
        .expect("bootstrapped");
    let url = |url: &str| format!("{}/{name}", url.rsplit_once('/').expect("a database's name").0);
    TestDatabase {
        superuser_url: url(&shared().superuser_url),
        migrator_url: url(&shared().migrator_url),
        app_url: url(&shared().app_url),
        jobs_url: url(&shared().jobs_url),
        platform_url: url(&shared().platform_url),
        bindir: shared().bindir.clone(),
        name,
    }
}
