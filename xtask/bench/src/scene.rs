//! Everything that is running while it is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use posx_envelope::MasterKey;
use posx_kernel::{Randomness, SystemClock, SystemRandomness};
use posx_pgcluster::{Cluster, Options};
use posx_postgres::{Passwords, bootstrap, migrate};
use posx_sandbox::{TokenRequest, World, WorldConfig};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::ExposeSecret as _;

use crate::server::Server;
use crate::watch::Watch;
use crate::{Outcome, pgbench, seed};

pub const AUDIENCE: &str = "https://posx.test/api";
const DATABASE: &str = "posx_bench";
/// Far above what a run sends: the limiter is measured, its refusals are not.
pub const PER_MINUTE: &str = "1000000";
const BUYERS: usize = 64;
/// A request that takes longer has failed.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Scene {
    pub api: Server,
    pub world: Arc<World>,
    cluster: Cluster,
    tokens: Vec<String>,
    app_url: String,
    /// The folder of the product's programs.
    programs: PathBuf,
    settings: Vec<(&'static str, String)>,
}

pub fn fresh_key() -> String {
    let mut random = [0; 16];
    SystemRandomness.fill(&mut random);
    random
        .iter()
        .fold(String::new(), |key, byte| format!("{key}{byte:02x}"))
}

impl Scene {
    pub async fn set(programs: &Path) -> Outcome<Self> {
        let cluster = tokio::task::spawn_blocking(|| Cluster::start(&Options::default())).await??;
        let secret = fresh_key();
        let passwords = Passwords {
            migrator: secret.clone(),
            app: secret.clone(),
            jobs: secret.clone(),
            platform: secret.clone(),
        };
        bootstrap(&cluster.server().superuser_url(), DATABASE, &passwords).await?;
        let url = |role: &str| {
            format!(
                "postgres://posx_{role}:{secret}@127.0.0.1:{}/{DATABASE}",
                cluster.server().port()
            )
        };
        migrate(&url("migrator"), &url("jobs")).await?;
        let world = World::start(WorldConfig::new(Arc::new(SystemClock))).await?;
        let port = free_port()?;
        let settings = settings(&world, &url, port)?;
        let tokens = (0..BUYERS)
            .map(|number| {
                world
                    .issuer()
                    .token(&TokenRequest::new(format!("bench|{number}"), AUDIENCE))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let api = Server::start(&programs.join("posx-api"), port, "/health", &settings).await?;
        let app_url = url("app");
        let scene = Self {
            api,
            world: Arc::new(world),
            cluster,
            tokens,
            app_url,
            programs: programs.to_owned(),
            settings,
        };
        scene.psql(seed::tiers()).await?;
        for buyer in scene.clients(BUYERS) {
            let joined = buyer
                .post(format!("{}/api/v1/me", scene.api.base_url))
                .body("{}")
                .send()
                .await?;
            joined.error_for_status()?;
        }
        Ok(scene)
    }

    /// One more API beside the first, with another setting.
    pub async fn api_with(&self, key: &'static str, value: &str) -> Outcome<Server> {
        let (port, metrics) = (free_port()?, free_port()?);
        let mut settings = self.settings.clone();
        settings.push((key, value.to_owned()));
        settings.push(("SERVER__BIND", format!("127.0.0.1:{port}")));
        settings.push(("SERVER__METRICS_BIND", format!("127.0.0.1:{metrics}")));
        Ok(Server::start(&self.programs.join("posx-api"), port, "/health", &settings).await?)
    }

    /// A worker without its schedule: what it does is what is measured.
    pub async fn worker(&self) -> Outcome<Server> {
        let port = free_port()?;
        let mut settings = self.settings.clone();
        settings.push(("WORKER__SCHEDULE", "false".to_owned()));
        settings.push(("WORKER__METRICS_BIND", format!("127.0.0.1:{port}")));
        Ok(Server::start(&self.programs.join("posx-worker"), port, "/metrics", &settings).await?)
    }

    pub fn watch(&self) -> std::io::Result<Watch> {
        let server = self.cluster.server();
        Watch::start(server.bindir(), &server.superuser_url_of(DATABASE))
    }

    /// What the server writes while it runs.
    pub fn log_file(&self) -> &Path {
        self.cluster.server().log_file()
    }

    pub async fn waiting_jobs(&self) -> Outcome<u64> {
        self.count("select count(*) from graphile_worker._private_jobs")
            .await
    }

    /// Waits until the worker has done every job.
    pub async fn until_nothing_waits(&self, patience: Duration) -> Outcome<()> {
        let end = Instant::now() + patience;
        while self.waiting_jobs().await? > 0 {
            if Instant::now() > end {
                return Err("the worker does not come to an end with its jobs".into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn count(&self, sql: &str) -> Outcome<u64> {
        Ok(self.psql(sql.to_owned()).await?.trim().parse()?)
    }

    /// Clients of the bench's site, each signed in as somebody else and with a connection of its own.
    pub fn clients(&self, count: usize) -> Vec<Client> {
        self.tokens
            .iter()
            .take(count)
            .map(|token| client(token, Some("BENCH")))
            .collect()
    }

    /// Clients that are all signed in as the viewer of every list site.
    pub fn staff(&self, count: usize) -> Vec<Client> {
        (0..count).map(|_| client(&self.tokens[0], None)).collect()
    }

    pub async fn psql(&self, sql: String) -> Outcome<String> {
        let (bindir, url) = (
            self.cluster.server().bindir().to_path_buf(),
            self.cluster.server().superuser_url_of(DATABASE),
        );
        Ok(tokio::task::spawn_blocking(move || seed::psql(&bindir, &url, &sql)).await??)
    }

    /// As the app role, so that row-level security is part of the limit.
    pub async fn pgbench(&self, script: &str, clients: usize, seconds: u64) -> Outcome<pgbench::Limit> {
        let (bindir, script) = (self.cluster.server().bindir().to_path_buf(), script.to_owned());
        let url = self.app_url.clone();
        Ok(
            tokio::task::spawn_blocking(move || pgbench::run(&bindir, &url, &script, clients, seconds))
                .await??,
        )
    }

    pub async fn stop(self) {
        drop(self.api);
        if let Ok(world) = Arc::try_unwrap(self.world) {
            world.stop().await;
        }
    }
}

fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn settings(world: &World, url: &dyn Fn(&str) -> String, port: u16) -> Outcome<Vec<(&'static str, String)>> {
    let metrics = free_port()?;
    let issuers = serde_json::json!([{ "issuer": world.issuer().url(), "audience": AUDIENCE }]);
    Ok(vec![
        ("ENVIRONMENT", "sandbox".to_owned()),
        ("DATABASE__APP_URL", url("app")),
        ("DATABASE__JOBS_URL", url("jobs")),
        ("SERVER__BIND", format!("127.0.0.1:{port}")),
        ("SERVER__METRICS_BIND", format!("127.0.0.1:{metrics}")),
        ("SERVER__RATE_LIMITS__PUBLIC_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__CALLER_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__WRITES_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__WEBHOOKS_PER_MINUTE", PER_MINUTE.to_owned()),
        ("SERVER__RATE_LIMITS__SITE_PER_MINUTE", PER_MINUTE.to_owned()),
        ("ISSUERS", issuers.to_string()),
        (
            "SECRETS__MASTER_KEYS",
            MasterKey::generate("bench", &SystemRandomness)
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
    ])
}

/// A client panics only when the system has no TLS and no memory, neither of which a bench can mend.
fn client(token: &str, site: Option<&'static str>) -> Client {
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
