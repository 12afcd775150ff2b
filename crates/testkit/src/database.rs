//! One PostgreSQL for a whole test run, migrated: a private one, or the one that is configured.

use std::path::Path;
use std::sync::OnceLock;

use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::{Randomness as _, SystemRandomness};
use posx_pgcluster::{Cluster, Durability, Options};
use posx_postgres::database_url::{self, UrlError, as_role, in_database};
use posx_postgres::{MigrateError, Passwords, bootstrap, migrate, schema_fingerprint};

/// Addresses of the migrated database, one for each role.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    pub name: String,
    pub superuser_url: String,
    pub migrator_url: String,
    pub app_url: String,
    pub jobs_url: String,
    pub platform_url: String,
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

/// Names a server for the run by its superuser's URL, instead of a private one. The roles of POSX get new passwords there,
/// and the database `posx_test_…` stays.
const CONFIGURED: &str = "POSX_TEST_DATABASE_URL";

fn start() -> TestDatabase {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test world has no settings but this one"
    )]
    let configured = std::env::var(CONFIGURED).ok();
    if let Some(url) = configured {
        // Safe to run again: each process of the run does, and they wait for each other.
        let database = TestDatabase::on(&url).unwrap_or_else(|error| panic!("{CONFIGURED}: {error}"));
        migrated(&url, &database).unwrap_or_else(|error| panic!("{CONFIGURED}: {}", chain(&error)));
        return database;
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).display().to_string();
    let options = Options {
        durability: Durability::Fast,
        settings: vec![("max_connections".to_owned(), "400".to_owned())],
        ..Options::default()
    };
    let cluster = Cluster::shared(&checkout, &options).unwrap_or_else(|error| panic!("{}", chain(&error)));
    let url = cluster.server().superuser_url();
    let database = TestDatabase::on(&url).unwrap_or_else(|error| panic!("{error}"));
    let made = cluster.once(&database.name, || migrated(&url, &database));
    made.unwrap_or_else(|error| panic!("{}", chain(&error)));
    database
}

impl TestDatabase {
    /// The run's database on that server. Its passwords follow from the superuser's, so that every process of the run
    /// knows them.
    fn on(superuser_url: &str) -> Result<Self, UrlError> {
        database_url::password(superuser_url)?;
        let name = format!("posx_test_{}", schema_fingerprint());
        let url = |role: &str| {
            let password = digest(&SHA256, format!("{role} {superuser_url}").as_bytes());
            as_role(superuser_url, role, &hex::encode(password), &name)
        };
        Ok(Self {
            migrator_url: url("posx_migrator")?,
            app_url: url("posx_app")?,
            jobs_url: url("posx_jobs")?,
            platform_url: url("posx_platform")?,
            superuser_url: in_database(superuser_url, &name)?,
            name,
        })
    }

    pub fn passwords(&self) -> Passwords {
        let of = |url: &str| database_url::password(url).unwrap_or_default();
        Passwords {
            migrator: of(&self.migrator_url),
            app: of(&self.app_url),
            jobs: of(&self.jobs_url),
            platform: of(&self.platform_url),
        }
    }

    /// The same server and roles, in another database.
    ///
    /// # Panics
    /// When the name cannot stand in a URL.
    pub fn named(&self, name: &str) -> Self {
        let url = |url: &str| in_database(url, name).expect("a database's name");
        Self {
            superuser_url: url(&self.superuser_url),
            migrator_url: url(&self.migrator_url),
            app_url: url(&self.app_url),
            jobs_url: url(&self.jobs_url),
            platform_url: url(&self.platform_url),
            name: name.to_owned(),
        }
    }
}

/// A migrated database on the run's server that no other test uses: for what works across all sites.
pub async fn own_database() -> TestDatabase {
    let mut random = [0; 6];
    SystemRandomness.fill(&mut random);
    let name = random.iter().fold("posx_test_own_".to_owned(), |name, byte| {
        format!("{name}{byte:02x}")
    });
    let shared = database();
    let own = shared.named(&name);
    let made = async {
        bootstrap(&shared.superuser_url, &name, &shared.passwords()).await?;
        migrate(&own.migrator_url, &own.jobs_url).await
    };
    made.await.unwrap_or_else(|error| panic!("{}", chain(&error)));
    own
}

fn migrated(superuser_url: &str, database: &TestDatabase) -> Result<(), MigrateError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        bootstrap(superuser_url, &database.name, &database.passwords()).await?;
        migrate(&database.migrator_url, &database.jobs_url).await
    })
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
