//! The outside world as one HTTP server and handles on what is behind it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::serve::ListenerExt as _;
use posx_kernel::{Clock, Ids, Randomness, SystemIds, SystemRandomness};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::custodian::{self, Custodian, Drive};
use crate::env::{Env, Tasks, base62};
use crate::issuer::{self, Issuer};
use crate::keys::{KeyError, WorldKeys};
use crate::models::{self, LanguageModels};
use crate::panel::{self, Panel};
use crate::payments::{self, Payments};
use crate::transport::local_client;
use crate::webhooks::RetryPolicy;

const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long a stop waits for requests that are being answered.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// What POSX and its providers must both know.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    /// `sk_test_…`
    pub stripe_secret_key: String,
    /// `whsec_…`: one, or two during a rotation.
    pub stripe_webhook: Vec<String>,
    pub fireblocks_api_key: String,
}

impl Secrets {
    pub fn generate(randomness: &dyn Randomness) -> Self {
        Self {
            stripe_secret_key: format!("sk_test_{}", base62(randomness, 32)),
            stripe_webhook: vec![format!("whsec_{}", base62(randomness, 32))],
            fireblocks_api_key: base62(randomness, 32),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets([redacted])")
    }
}

#[derive(Debug, Clone)]
pub struct WorldConfig {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub randomness: Arc<dyn Randomness>,
    pub secrets: Secrets,
    /// New ones if absent.
    pub keys: Option<WorldKeys>,
    /// An address of this machine; port 0 is any free one.
    pub bind: SocketAddr,
    pub drive: Drive,
    /// For webhooks of both providers.
    pub retry: RetryPolicy,
}

impl WorldConfig {
    /// True randomness, new secrets and keys, a free port, transfers that complete by themselves within a second.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ids: Arc::new(SystemIds),
            randomness: Arc::new(SystemRandomness),
            secrets: Secrets::generate(&SystemRandomness),
            keys: None,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            drive: Drive::Automatic {
                step: Duration::from_millis(100),
            },
            retry: RetryPolicy::default(),
        }
    }
}

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    #[error("the sandbox listens on this machine only, not on {0}")]
    NotLocal(SocketAddr),
    #[error("the sandbox cannot listen on {address}")]
    Bind {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the sandbox has no keys")]
    Keys(#[source] KeyError),
    #[error("the HTTP client that delivers webhooks cannot be made")]
    Client(#[source] reqwest::Error),
}

/// A running world. It ends when it is stopped or dropped; its handles stay readable.
#[derive(Debug)]
pub struct World {
    base: String,
    secrets: Secrets,
    payments: Payments,
    custodian: Custodian,
    issuer: Issuer,
    models: LanguageModels,
    panel: Panel,
    tasks: Arc<Tasks>,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl World {
    /// Listens when this returns. Must be called on a tokio runtime, which has to live as long as the world.
    pub async fn start(config: WorldConfig) -> Result<Self, WorldError> {
        let (listener, base) = listen(config.bind).await?;
        let keys = match config.keys {
            Some(keys) => keys,
            None => make_keys().await?,
        };
        let (issuer_keys, custodian_keys) = keys.rings();
        let http = local_client(reqwest::header::HeaderMap::new()).map_err(WorldError::Client)?;
        let tasks = Arc::new(Tasks::new(Handle::current()));
        let env = Env {
            clock: config.clock,
            ids: config.ids,
            randomness: config.randomness,
            tasks: Arc::clone(&tasks),
        };
        let secrets = config.secrets;
        let payments = Payments::new(
            env.clone(),
            http.clone(),
            secrets.stripe_secret_key.clone(),
            secrets.stripe_webhook.clone(),
            config.retry,
        );
        let custodian = Custodian::new(
            env.clone(),
            http,
            secrets.fireblocks_api_key.clone(),
            custodian_keys,
            config.drive,
            config.retry,
        );
        let randomness = Arc::clone(&env.randomness);
        let models = LanguageModels::new(env.clone());
        let issuer = Issuer::new(env, format!("{base}/issuer/"), issuer_keys);
        let panel = Panel::new(
            format!("{base}/panel"),
            randomness,
            payments.clone(),
            custodian.clone(),
            issuer.clone(),
            models.clone(),
        );
        let router = Router::new()
            .nest("/stripe", payments::router(payments.clone()))
            .nest("/fireblocks", custodian::router(custodian.clone()))
            .nest("/issuer", issuer::router(issuer.clone()))
            .nest("/models", models::router(models.clone()))
            .nest("/panel", panel::router(&panel))
            // Stripe's own client takes a host without a path.
            .merge(payments::router(payments.clone()))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX));
        Ok(Self {
            base,
            secrets,
            payments,
            custodian,
            issuer,
            models,
            panel,
            tasks,
            server: Some(serve(listener, router)),
        })
    }

    pub fn payments(&self) -> &Payments {
        &self.payments
    }

    pub fn custodian(&self) -> &Custodian {
        &self.custodian
    }

    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub fn models(&self) -> &LanguageModels {
        &self.models
    }

    /// The base of the models' provider, for a client of OpenAI's.
    pub fn models_url(&self) -> String {
        format!("{}/models", self.base)
    }

    /// Where others are told what goes wrong here.
    pub fn panel(&self) -> &Panel {
        &self.panel
    }

    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// For [`SandboxGateway::new`](crate::SandboxGateway::new).
    pub fn stripe_url(&self) -> String {
        format!("{}/stripe", self.base)
    }

    /// The same provider for a client of the real one, which puts `/v1` right behind the host.
    pub fn stripe_host_url(&self) -> String {
        self.base.clone()
    }

    /// For [`SandboxCustody::new`](crate::SandboxCustody::new).
    pub fn fireblocks_url(&self) -> String {
        format!("{}/fireblocks", self.base)
    }

    /// The key set of the custodian's webhook signatures.
    pub fn fireblocks_jwks_url(&self) -> String {
        format!("{}/fireblocks/.well-known/jwks.json", self.base)
    }

    /// Until this is said, webhooks wait.
    pub fn deliver_webhooks_to(&self, stripe_url: impl Into<String>, fireblocks_url: impl Into<String>) {
        self.payments.webhooks().deliver_to(stripe_url);
        self.custodian.webhooks().deliver_to(fireblocks_url);
    }

    /// Answers what is being asked, for two seconds at most, and ends: no webhook is sent and no transfer moves any
    /// more.
    pub async fn stop(mut self) {
        if let Some(Server { stop, mut task }) = self.server.take() {
            let _ = stop.send(());
            if tokio::time::timeout(STOP_TIMEOUT, &mut task).await.is_err() {
                task.abort();
            }
        }
        let mut ending = self.tasks.end();
        while ending.join_next().await.is_some() {}
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(Server { task, .. }) = self.server.take() {
            task.abort();
        }
        drop(self.tasks.end());
    }
}

async fn make_keys() -> Result<WorldKeys, WorldError> {
    tokio::task::spawn_blocking(WorldKeys::generate)
        .await
        .unwrap_or(Err(KeyError::Generate))
        .map_err(WorldError::Keys)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, String), WorldError> {
    if !address.ip().is_loopback() {
        return Err(WorldError::NotLocal(address));
    }
    let bind = |source| WorldError::Bind { address, source };
    let listener = TcpListener::bind(address).await.map_err(bind)?;
    let bound = listener.local_addr().map_err(bind)?;
    Ok((listener, format!("http://{bound}")))
}

fn serve(listener: TcpListener, router: Router) -> Server {
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(async move {
        // As real providers do: else the second event of a stream waits for the acknowledgement of the first.
        let listener = listener.tap_io(|socket| {
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its small writes back");
            }
        });
        let ended = axum::serve(listener, router).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        if let Err(error) = ended.await {
            tracing::error!(%error, "the sandbox's server ended");
        }
    });
    Server { stop, task }
}
