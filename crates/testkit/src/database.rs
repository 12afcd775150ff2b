//! One private PostgreSQL for a whole test run, migrated once.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use posx_pgcluster::{Cluster, Durability, Options};
use posx_postgres::{Passwords, bootstrap, migrate, schema_fingerprint};

/// Addresses of the migrated database, one for each role.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    pub name: String,
    pub superuser_url: String,
    pub migrator_url: String,
    pub app_url: String,
    pub jobs_url: String,
    pub platform_url: String,
    /// Where psql and pgbench are.
    pub bindir: PathBuf,
}

/// The run's database; the first caller of the run starts the server and migrates. It ends with the last test process.
///
/// # Panics
/// When no PostgreSQL can be had: the message says what to install.
pub fn database() -> &'static TestDatabase {
    static DATABASE: OnceLock<TestDatabase> = OnceLock::new();
    DATABASE.get_or_init(|| {
        // Not on the caller's thread: it may be a runtime's, which must not block.
        std::thread::spawn(start)
            .join()
            .expect("the thread that starts PostgreSQL says why it failed")
    })
}

fn start() -> TestDatabase {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).display().to_string();
    let options = Options {
        durability: Durability::Fast,
        settings: vec![("max_connections".to_owned(), "400".to_owned())],
        ..Options::default()
    };
    let cluster = Cluster::shared(&checkout, &options).unwrap_or_else(|error| panic!("{}", chain(&error)));
    let server = cluster.server();
    let name = format!("posx_{}", schema_fingerprint());
    let superuser_url = server.superuser_url();
    // Known to every process of the run, and as hard to guess as the superuser's.
    let secret = superuser_url
        .split(['@', ':'])
        .nth(2)
        .unwrap_or_default()
        .to_owned();
    let password = |role: &str| format!("{role}-{secret}");
    let url = |role: &str| {
        format!(
            "postgres://posx_{role}:{}@127.0.0.1:{}/{name}",
            password(role),
            server.port()
        )
    };
    let database = TestDatabase {
        migrator_url: url("migrator"),
        app_url: url("app"),
        jobs_url: url("jobs"),
        platform_url: url("platform"),
        superuser_url: server.superuser_url_of(&name),
        bindir: server.bindir().to_path_buf(),
        name,
    };
    let made = cluster.once(&database.name, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let passwords = Passwords {
                migrator: password("migrator"),
                app: password("app"),
                jobs: password("jobs"),
                platform: password("platform"),
            };
            bootstrap(&superuser_url, &database.name, &passwords).await?;
            migrate(&database.migrator_url, &database.jobs_url).await
        })
    });
    made.unwrap_or_else(|error| panic!("{}", chain(&error)));
    database
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
