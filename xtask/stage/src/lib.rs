//! The product's programs as processes of their own, on a private PostgreSQL, beside a sandbox of the outside world: what the
//! bench measures and what torture kills.

mod psql;
mod server;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use posx_envelope::MasterKey;
use posx_kernel::{Randomness as _, SystemClock, SystemIds, SystemRandomness};
use posx_pgcluster::{Cluster, Options};
use posx_postgres::{Passwords, PlatformDatabase, bootstrap, migrate};
use posx_sandbox::{RetryPolicy, TokenRequest, World, WorldConfig};
use posx_tenancy::Platform;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;

pub use psql::PsqlError;
pub use server::{Server, ServerError};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

pub const AUDIENCE: &str = "https://posx.test/api";
/// Far above what a run sends.
pub const PER_MINUTE: &str = "1000000";
/// A request that takes longer has failed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A setting by its name in the environment, without the prefix.
pub type Setting = (&'static str, String);

pub struct Stage {
    pub world: Arc<World>,
    cluster: Cluster,
    database: &'static str,
    password: String,
    /// The folder of the product's programs.
    programs: PathBuf,
    settings: Vec<Setting>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

/// 128 random bits as text.
pub fn fresh_key() -> String {
    let mut random = [0; 16];
    SystemRandomness.fill(&mut random);
    random
        .iter()
        .fold(String::new(), |key, byte| format!("{key}{byte:02x}"))
}

impl Stage {
    /// A migrated database and a world that sends its webhooks again as `retry` says; none of the product's programs runs yet.
    pub async fn set(programs: &Path, database: &'static str, retry: RetryPolicy) -> Outcome<Self> {
        let cluster = tokio::task::spawn_blocking(|| Cluster::start(&Options::default())).await??;
        let password = fresh_key();
        let passwords = Passwords {
            migrator: password.clone(),
            app: password.clone(),
            jobs: password.clone(),
            platform: password.clone(),
        };
        bootstrap(&cluster.server().superuser_url(), database, &passwords).await?;
        let config = WorldConfig {
            retry,
            ..WorldConfig::new(Arc::new(SystemClock))
        };
        let world = World::start(config).await?;
        let mut stage = Self {
            world: Arc::new(world),
            cluster,
            database,
            password,
            programs: programs.to_owned(),
            settings: Vec::new(),
        };
        migrate(&stage.url("migrator"), &stage.url("jobs")).await?;
        stage.settings = settings(&stage.world, &|role| stage.url(role));
        Ok(stage)
    }

    /// With which `posx_{role}` connects.
    pub fn url(&self, role: &str) -> String {
        format!(
            "postgres://posx_{role}:{}@127.0.0.1:{}/{}",
            self.password,
            self.cluster.server().port(),
            self.database
        )
    }

    pub fn superuser_url(&self) -> String {
        self.cluster.server().superuser_url_of(self.database)
    }

    /// Where psql and pgbench are.
    pub fn bindir(&self) -> &Path {
        self.cluster.server().bindir()
    }

    /// What PostgreSQL writes while it runs.
    pub fn log_file(&self) -> &Path {
        self.cluster.server().log_file()
    }

    /// An API on this port, with other settings than the stage's own.
    pub async fn api(&self, port: u16, more: &[Setting]) -> Outcome<Server> {
        let metrics = free_port()?;
        let mut settings = self.settings.clone();
        settings.push(("SERVER__BIND", format!("127.0.0.1:{port}")));
        settings.push(("SERVER__METRICS_BIND", format!("127.0.0.1:{metrics}")));
        settings.extend_from_slice(more);
        Ok(Server::start(&self.programs.join("posx-api"), port, "/health", &settings).await?)
    }

    /// A worker without its schedule: what happens by the clock is the caller's to add.
    pub async fn worker(&self, more: &[Setting]) -> Outcome<Server> {
        let port = free_port()?;
        let mut settings = self.settings.clone();
        settings.push(("WORKER__SCHEDULE", "false".to_owned()));
        settings.push(("WORKER__METRICS_BIND", format!("127.0.0.1:{port}")));
        settings.extend_from_slice(more);
        Ok(Server::start(&self.programs.join("posx-worker"), port, "/metrics", &settings).await?)
    }

    /// The platform plane, to make sites and appoint their first people.
    pub async fn platform(&self) -> Outcome<Platform> {
        let clock = Arc::new(SystemClock);
        let database =
            PlatformDatabase::connect(&self.url("platform"), clock.clone(), Arc::new(SystemIds)).await?;
        Ok(Platform::new(
            Arc::new(database),
            clock,
            Arc::new(SystemIds),
            Arc::new(SystemRandomness),
        ))
    }

    /// As superuser; answers what it prints, columns parted by `|`.
    pub async fn psql(&self, sql: String) -> Outcome<String> {
        let (bindir, url) = (self.bindir().to_path_buf(), self.superuser_url());
        Ok(tokio::task::spawn_blocking(move || psql::run(&bindir, &url, &sql)).await??)
    }

    pub async fn count(&self, sql: &str) -> Outcome<u64> {
        Ok(self.psql(sql.to_owned()).await?.trim().parse()?)
    }

    pub async fn waiting_jobs(&self) -> Outcome<u64> {
        self.count("select count(*) from graphile_worker._private_jobs")
            .await
    }

    /// Good for an hour, with a second factor.
    pub fn token(&self, subject: &str) -> Outcome<String> {
        Ok(self.world.issuer().token(&TokenRequest::new(subject, AUDIENCE))?)
    }

    pub async fn stop(self) {
        if let Ok(world) = Arc::try_unwrap(self.world) {
            world.stop().await;
        }
    }
}

pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One who is signed in, with a connection of their own. Panics only when the system has no TLS and no memory.
pub fn client(token: &str, site: Option<&'static str>) -> Client {
    let mut headers = HeaderMap::new();
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).expect("a token is ASCII");
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(site) = site {
        headers.insert("x-site-code", HeaderValue::from_static(site));
    }
    let builder = Client::builder()
        .default_headers(headers)
        .pool_max_idle_per_host(1)
        .timeout(REQUEST_TIMEOUT)
        .no_proxy();
    builder.build().expect("an HTTP client")
}

fn settings(world: &World, url: &dyn Fn(&str) -> String) -> Vec<Setting> {
    let issuers = serde_json::json!([{ "issuer": world.issuer().url(), "audience": AUDIENCE }]);
    vec![
        ("ENVIRONMENT", "sandbox".to_owned()),
        ("DATABASE__APP_URL", url("app")),
        ("DATABASE__JOBS_URL", url("jobs")),
        ("SERVER__RATE_LIMITS__PUBLIC_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__CALLER_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__WRITES_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__WEBHOOKS_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__SITE_PER_MINUTE", PER_MINUTE.to_owned()),
        ("ISSUERS", issuers.to_string()),
        (
            "SECRETS__MASTER_KEYS",
            MasterKey::generate("stage", &SystemRandomness)
                .expose_secret()
                .to_owned(),
        ),
        ("PAYMENTS__PROVIDER", "sandbox".to_owned()),
        ("PAYMENTS__BASE_URL", world.stripe_url()),
        ("PAYMENTS__SECRET_KEY", world.secrets().stripe_secret_key.clone()),
        (
            "PAYMENTS__WEBHOOK_SECRETS",
            world.secrets().stripe_webhook.join(","),
        ),
        ("CUSTODY__PROVIDER", "sandbox".to_owned()),
        ("CUSTODY__BASE_URL", world.fireblocks_url()),
        ("CUSTODY__API_KEY", world.secrets().fireblocks_api_key.clone()),
        ("CUSTODY__JWKS_URL", world.fireblocks_jwks_url()),
        ("LOG__FILTER", "warn".to_owned()),
    ]
}
