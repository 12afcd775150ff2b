//! One server for the run, with one migrated database; what is destructive gets a database of its own.

use std::sync::OnceLock;

use posx_pgcluster::{Cluster, Durability, Options, Server};
use posx_postgres::{MigrateError, Passwords, bootstrap, migrate};
use sqlx::{ConnectOptions, PgConnection, postgres::PgConnectOptions};

const PASSWORD: &str = "only-for-these-tests";

/// How to reach one database in each role.
#[derive(Debug, Clone)]
pub struct Urls {
    server: Server,
    database: &'static str,
}

impl Urls {
    fn role(&self, role: &str) -> String {
        format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{}", self.server.port(), self.database)
    }

    pub fn app(&self) -> String {
        self.role("posx_app")
    }

    pub fn jobs(&self) -> String {
        self.role("posx_jobs")
    }

    pub fn migrator(&self) -> String {
        self.role("posx_migrator")
    }

    pub fn platform(&self) -> String {
        self.role("posx_platform")
    }

    pub fn superuser(&self) -> String {
        self.server.superuser_url_of(self.database)
    }

    /// For looking at, or spoiling, what no role of ours may.
    pub async fn as_superuser(&self) -> PgConnection {
        connect(&self.superuser()).await
    }
}

pub async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    options.connect().await.expect("a connection")
}

pub fn passwords() -> Passwords {
    let password = || PASSWORD.to_owned();
    Passwords { migrator: password(), app: password(), jobs: password(), platform: password() }
}

/// Roles and an empty database of this name; migrated when the caller does so.
pub async fn empty_database(database: &'static str) -> Urls {
    let urls = Urls { server: shared().server.clone(), database };
    bootstrap(&urls.server.superuser_url(), database, &passwords()).await.expect("bootstrapped");
    urls
}

/// The database that all tests share: each makes a site of its own in it.
pub fn shared() -> &'static Urls {
    static URLS: OnceLock<Urls> = OnceLock::new();
    // The cluster blocks, and its hook needs a runtime of its own.
    URLS.get_or_init(|| std::thread::spawn(start).join().expect("the thread that starts PostgreSQL"))
}

fn start() -> Urls {
    let options = Options { durability: Durability::Fast, ..Options::default() };
    let cluster = Cluster::shared(env!("CARGO_MANIFEST_DIR"), &options).expect("PostgreSQL");
    let urls = Urls { server: cluster.server().clone(), database: "posx" };
    cluster.once("migrated", || migrated(&urls)).expect("a migrated database");
    urls
}

fn migrated(urls: &Urls) -> Result<(), MigrateError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        bootstrap(&urls.server.superuser_url(), urls.database, &passwords()).await?;
        migrate(&urls.migrator(), &urls.jobs()).await
    })
}
