//! Everything that runs during the demo, in the order in which it starts, and stopped in the opposite one.

mod database;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use chrono::TimeDelta;
use posx_envelope::MasterKey;
use posx_kernel::{ManualClock, StoreError, SystemIds, SystemRandomness};
use posx_pgcluster::ClusterError;
use posx_postgres::{Database, DatabaseOptions, MigrateError, PlatformDatabase};
use posx_runtime::{
    CustodyMode, CustodyProvider, CustodySettings, DatabaseSettings, DocumentsSettings, Environment,
    IssuerSettings, LogSettings, MetricsHandle, PaymentProvider, PaymentSettings, ServerSettings, Services,
    Settings, StartError, WorkerSettings, serve_metrics,
};
use posx_sandbox::{World, WorldConfig, WorldError};
use posx_tenancy::Platform;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use self::database::Postgres;
use super::client::{AUDIENCE, Client};
use crate::cli::DemoArguments;
use crate::servers::{Servers, ServersError};
use crate::ui;
use posx_postgres::database_url::UrlError;

/// The file under `--data` that says how far the demo's clock is ahead, in seconds.
const CLOCK_FILE: &str = "clock-ahead";
const MASTER_KEY_FILE: &str = "master-key";
const DOCUMENTS_FOLDER: &str = "documents";

#[derive(Debug, thiserror::Error)]
pub enum StageError {
    #[error("PostgreSQL cannot be started")]
    Cluster(#[from] ClusterError),
    #[error("the task that starts or stops PostgreSQL broke off")]
    Blocking(#[from] tokio::task::JoinError),
    #[error("--database-url is not usable")]
    DatabaseUrl(#[from] UrlError),
    #[error("the database cannot be made")]
    Migrate(#[from] MigrateError),
    #[error("the database cannot be reached")]
    Database(#[from] StoreError),
    #[error("the sandbox cannot be started")]
    World(#[from] WorldError),
    #[error("the services cannot be started")]
    Start(#[from] StartError),
    #[error("{address} cannot be listened on")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} cannot be read or written")]
    Data {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("an HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
    #[error("the servers did not stop well")]
    Servers(#[from] ServersError),
}

/// What the story plays with.
#[derive(Debug)]
pub struct Set {
    pub world: World,
    pub client: Client,
    pub http: reqwest::Client,
    pub platform: Platform,
    /// To add ticks as the schedule does.
    pub services: Services,
    /// On the app role: what an attacker with a stolen connection has.
    pub database: Database,
    pub base: String,
    pub metrics: SocketAddr,
    clock: Arc<ManualClock>,
    clock_file: Option<PathBuf>,
}

#[derive(Debug)]
pub struct Stage {
    servers: Servers,
    set: Set,
    scraper: JoinHandle<()>,
    postgres: Postgres,
    /// Of a demo that keeps nothing: gone with it.
    _documents: Option<TempDir>,
}

impl Stage {
    pub async fn start(
        arguments: &DemoArguments,
        log: &LogSettings,
        metrics: MetricsHandle,
    ) -> Result<Self, StageError> {
        let (api, private) = (listen(arguments.port.unwrap_or(0))?, listen(0)?);
        let address = |listener: &TcpListener| listener.local_addr().map_err(cannot_listen);
        let (api_address, metrics_address) = (address(&api)?, address(&private)?);
        let postgres = Postgres::start(arguments).await?;
        let database = postgres.migrated().await?;
        let clock = Arc::new(ManualClock::default());
        let clock_file = arguments.data_dir().map(|dir| dir.join(CLOCK_FILE));
        wind(&clock, clock_file.as_ref())?;
        let world = World::start(WorldConfig::new(clock.clone())).await?;
        ui::good("payment provider, custodian and issuer of tokens: a sandbox on this machine");
        let base = format!("http://{api_address}");
        world.deliver_webhooks_to(
            format!("{base}/webhooks/stripe"),
            format!("{base}/webhooks/fireblocks"),
        );
        let master_key = master_key(arguments.data_dir())?;
        let (folder, temporary) = documents(arguments.data_dir())?;
        let mut settings = settings(database, &world, master_key, log, api_address, metrics_address);
        settings.documents = Some(DocumentsSettings {
            folder: Some(folder),
            s3: None,
        });
        let app_url = settings.database.app_url.expose_secret();
        let attacker = Database::connect(app_url, DatabaseOptions::default()).await?;
        let platform = platform(&settings, &clock).await?;
        let api_services = Services::connect(&settings, clock.clone()).await?;
        let services = Services::connect(&settings, clock.clone()).await?;
        let scraper = scraped(private, metrics)?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(StageError::Client)?;
        Ok(Self {
            servers: Servers::start(api_services, services.clone(), &settings, api),
            set: Set {
                client: Client::new(http.clone(), base.clone(), world.issuer().clone()),
                world,
                http,
                platform,
                services,
                database: attacker,
                base,
                metrics: metrics_address,
                clock,
                clock_file,
            },
            scraper,
            postgres,
            _documents: temporary,
        })
    }

    pub fn base(&self) -> &str {
        &self.set.base
    }

    pub fn split(&mut self) -> (&mut Servers, &Set) {
        (&mut self.servers, &self.set)
    }

    /// Everything, even when something did not stop well; then the first fault.
    pub async fn stop(self) -> Result<(), StageError> {
        // What comes now would only be refused, and tried again.
        self.set.world.stop().await;
        let servers = self.servers.stop().await;
        self.scraper.abort();
        self.set.database.close().await;
        // The platform's pool has no handle: the server cuts it.
        drop(self.set.platform);
        let postgres = self.postgres.stop().await;
        servers?;
        postgres
    }
}

impl Set {
    /// Moves the clock that everything here shares.
    pub fn advance(&self, by: TimeDelta, says: &str) -> Result<(), StageError> {
        self.clock.advance(by);
        ui::note(&format!("the clock moves: {says}"));
        if let Some(path) = &self.clock_file {
            let ahead = ahead(path)? + by.num_seconds();
            std::fs::write(path, ahead.to_string()).map_err(|source| data(path, source))?;
        }
        Ok(())
    }

    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

/// Kept data are from a clock that was moved: it goes on from there, so that time never runs backwards for them.
fn wind(clock: &ManualClock, file: Option<&PathBuf>) -> Result<(), StageError> {
    if let Some(path) = file {
        let ahead = ahead(path)?;
        clock.advance(TimeDelta::seconds(ahead));
    }
    Ok(())
}

fn ahead(path: &PathBuf) -> Result<i64, StageError> {
    match std::fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|error| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
            data(path, source)
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        Err(source) => Err(data(path, source)),
    }
}

/// Kept with the data that are sealed under it.
fn master_key(data_dir: Option<&std::path::Path>) -> Result<SecretString, StageError> {
    let new = MasterKey::generate("demo", &SystemRandomness);
    let Some(dir) = data_dir else { return Ok(new) };
    let path = dir.join(MASTER_KEY_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => return Ok(text.trim().into()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(data(&path, source)),
    }
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(new.expose_secret().as_bytes()))
        .map_err(|source| data(&path, source))?;
    Ok(new)
}

/// Where papers are kept: with the data, or for as long as the demo runs.
fn documents(data_dir: Option<&std::path::Path>) -> Result<(PathBuf, Option<TempDir>), StageError> {
    if let Some(dir) = data_dir {
        return Ok((dir.join(DOCUMENTS_FOLDER), None));
    }
    let temporary = TempDir::new().map_err(|source| data(&std::env::temp_dir(), source))?;
    Ok((temporary.path().to_owned(), Some(temporary)))
}

fn data(path: &std::path::Path, source: std::io::Error) -> StageError {
    StageError::Data {
        path: path.to_owned(),
        source,
    }
}

fn cannot_listen(source: std::io::Error) -> StageError {
    StageError::Listen {
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        source,
    }
}

fn listen(port: u16) -> Result<TcpListener, StageError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).map_err(|source| StageError::Listen { address, source })
}

fn scraped(listener: TcpListener, metrics: MetricsHandle) -> Result<JoinHandle<()>, StageError> {
    listener.set_nonblocking(true).map_err(cannot_listen)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot_listen)?;
    Ok(tokio::spawn(serve_metrics(listener, metrics)))
}

async fn platform(settings: &Settings, clock: &Arc<ManualClock>) -> Result<Platform, StageError> {
    let url = settings.database.platform_url.as_ref();
    let url = url.map_or("", |url| url.expose_secret());
    let ids = Arc::new(SystemIds);
    let directory = PlatformDatabase::connect(url, clock.clone(), ids.clone()).await?;
    Ok(Platform::new(
        Arc::new(directory),
        clock.clone(),
        ids,
        Arc::new(SystemRandomness),
    ))
}

fn settings(
    database: DatabaseSettings,
    world: &World,
    master_key: SecretString,
    log: &LogSettings,
    bind: SocketAddr,
    metrics_bind: SocketAddr,
) -> Settings {
    let secrets = world.secrets();
    Settings {
        environment: Environment::Sandbox,
        database,
        server: ServerSettings {
            bind,
            metrics_bind,
            shutdown_grace_s: 2,
            ..ServerSettings::default()
        },
        issuers: vec![IssuerSettings {
            issuer: world.issuer().url().to_owned(),
            audience: AUDIENCE.to_owned(),
            jwks_url: None,
        }],
        auth0: Vec::new(),
        cognito: Vec::new(),
        payments: PaymentSettings {
            provider: PaymentProvider::Sandbox,
            base_url: world.stripe_url(),
            secret_key: Some(secrets.stripe_secret_key.as_str().into()),
            webhook_secrets: secrets
                .stripe_webhook
                .iter()
                .cloned()
                .map(SecretString::from)
                .collect(),
            connect_webhook_secrets: Vec::new(),
            accounts: Vec::new(),
        },
        wallets: posx_runtime::WalletSettings::default(),
        secrets: posx_runtime::SecretsSettings {
            master_keys: vec![master_key],
        },
        sessions: None,
        custody: CustodySettings {
            provider: CustodyProvider::Sandbox,
            base_url: world.fireblocks_url(),
            api_key: secrets.fireblocks_api_key.as_str().into(),
            jwks_url: world.fireblocks_jwks_url(),
            region: None,
            private_key: None,
            mode: CustodyMode::Sandbox,
            real_transfers: false,
            gas_floors: Vec::new(),
        },
        redis: None,
        mail: None,
        documents: None,
        assistant: posx_runtime::AssistantSettings::sandbox(&world.models_url()),
        platform: None,
        step_up: posx_runtime::StepUpSettings::default(),
        log: log.clone(),
        worker: WorkerSettings {
            // A demo has spectators: a second's wait for a second try is long.
            poll_interval_ms: 200,
            shutdown_grace_s: 2,
            metrics_bind,
            ..WorkerSettings::default()
        },
    }
}
