//! The configuration: a TOML file, over it the environment, `docs/configuration.md` lists every key.

mod assistant;
mod check;
mod database;
mod documents;
mod mail;
mod platform;
mod raw;
pub mod reference;
mod secrets;
mod server;
mod sessions;
mod source;
mod step_up;
#[cfg(test)]
mod tests;
mod wallets;
mod weakness;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use posx_fireblocks::Region;
use posx_kernel::TokenAmount;
use posx_oidc::{ConfigError, IssuerConfig};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use reference::Secret;

pub use assistant::{
    AssistantSettings, ModelLimitSettings, ModelPriceSettings, ModelProtocol, ModelProviderSettings,
    PriceTierSettings,
};
pub use database::DatabaseSettings;
pub use documents::{DocumentsSettings, S3Settings};
pub use mail::MailSettings;
pub use platform::PlatformSettings;
pub use secrets::SecretsSettings;
pub use server::{RateLimits, ServerSettings};
pub use sessions::{SessionProviderSettings, SessionSettings};
pub use step_up::{StepUpIssuerSettings, StepUpSettings};
pub use wallets::{NodeSettings, SignInSettings, WalletSettings};

/// Where this process runs. It decides what is refused, never what a use case does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    Production,
    Development,
    /// The demo and the tests: sandbox providers, and a clock that may be moved.
    Sandbox,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub environment: Environment,
    pub database: DatabaseSettings,
    pub server: ServerSettings,
    /// At least one of these three: whose access tokens are taken.
    pub issuers: Vec<IssuerSettings>,
    pub auth0: Vec<Auth0Settings>,
    pub cognito: Vec<CognitoSettings>,
    pub payments: PaymentSettings,
    pub custody: CustodySettings,
    pub wallets: WalletSettings,
    pub secrets: SecretsSettings,
    /// Without it, no browser opens a session.
    pub sessions: Option<SessionSettings>,
    /// Without it, limits are counted in each process.
    pub redis: Option<RedisSettings>,
    /// Without it, nobody is invited.
    pub mail: Option<MailSettings>,
    /// Without it, no document is taken.
    pub documents: Option<DocumentsSettings>,
    /// Without it, the API has no platform plane.
    pub platform: Option<PlatformSettings>,
    pub step_up: StepUpSettings,
    pub assistant: AssistantSettings,
    pub log: LogSettings,
    pub worker: WorkerSettings,
}

/// Whose access tokens are taken. Compared exactly, a trailing slash included.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerSettings {
    /// Its name in tokens, compared exactly, a trailing slash included.
    pub issuer: String,
    /// What our API is called in its tokens.
    pub audience: String,
    /// The address of its key set.
    #[schemars(extend("x-default" = "by discovery"))]
    pub jwks_url: Option<String>,
}

/// A tenant of Auth0.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auth0Settings {
    /// The tenant's host name, or its custom domain's: no `https://`, no slash.
    pub domain: String,
    /// The identifier of our API there.
    pub audience: String,
    /// Only tokens that were given to these applications.
    #[serde(default)]
    #[schemars(extend("x-default" = "any"))]
    pub client_ids: Vec<String>,
    /// Only tokens of this organisation (`org_…`).
    #[schemars(extend("x-default" = "any"))]
    pub organization: Option<String>,
    /// Whether the API has the RFC 9068 token profile there.
    #[serde(default)]
    pub rfc9068: bool,
}

/// A user pool of Amazon Cognito.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CognitoSettings {
    /// As in `eu-west-1_Ab12Cd34E`.
    pub pool_id: String,
    /// The app clients whose tokens are taken, at least one.
    pub client_ids: Vec<String>,
    /// What a token that is bound to a resource must name; the others name none.
    pub audience: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentProvider {
    Sandbox,
    Stripe,
}

#[derive(Debug, Clone)]
pub struct PaymentSettings {
    pub provider: PaymentProvider,
    pub base_url: String,
    /// The sandbox's. Stripe has one for each site, in `accounts`.
    pub secret_key: Option<SecretString>,
    /// Of the endpoint that sites share: one, or two while it is being replaced. None if each account has its own.
    pub webhook_secrets: Vec<SecretString>,
    /// Of the endpoint for events of connected accounts.
    pub connect_webhook_secrets: Vec<SecretString>,
    /// For Stripe: which site is paid into which account.
    pub accounts: Vec<StripeAccountSettings>,
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StripeAccountSettings {
    /// The site's code.
    pub site: String,
    /// `sk_…` or `rk_…`, live in production and test elsewhere.
    #[schemars(with = "Secret", extend("x-refused" = "a key of test mode"))]
    pub secret_key: SecretString,
    /// Of the site's own endpoint `/webhooks/stripe/CODE`; without any, its events come to the shared one.
    #[serde(default)]
    #[schemars(with = "Vec<Secret>")]
    pub webhook_secrets: Vec<SecretString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustodyProvider {
    Sandbox,
    Fireblocks,
}

/// Whether the custodian's workspace moves real tokens. Together with [`CustodySettings::real_transfers`], never alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustodyMode {
    #[default]
    Sandbox,
    Live,
}

#[derive(Debug, Clone)]
pub struct CustodySettings {
    pub provider: CustodyProvider,
    /// Fireblocks' region, if no address of one's own is given.
    pub region: Option<Region>,
    pub base_url: String,
    pub api_key: SecretString,
    /// Fireblocks': RSA, in PEM.
    pub private_key: Option<SecretString>,
    pub mode: CustodyMode,
    /// The second lock before real tokens.
    pub real_transfers: bool,
    /// The keys that sign the custodian's webhooks.
    pub jwks_url: String,
    pub gas_floors: Vec<GasFloorSettings>,
}

/// What a vault must hold for a chain's fees before it sends a token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GasFloorSettings {
    /// The custodian's name of the token.
    pub token: String,
    /// The custodian's name of what pays the fees there.
    pub gas: String,
    /// How many digits of that are behind the point.
    pub gas_decimals: u8,
    /// How much of that is enough, in base units, as text.
    #[schemars(with = "String")]
    pub minimum: TokenAmount,
}

#[derive(Debug, Clone)]
pub struct RedisSettings {
    pub url: SecretString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Json,
    Pretty,
}

#[derive(Debug, Clone)]
pub struct LogSettings {
    pub format: LogFormat,
    /// Directives as `tracing-subscriber` reads them: `info,posx_orders=debug`.
    pub filter: String,
}

/// See `docs/configuration.md` for how the recovery settings add up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerSettings {
    /// Jobs at once that follow an event: webhooks, shares, allocations.
    pub events_concurrency: usize,
    /// Jobs at once that call a provider: transfers, refunds, open checkouts.
    pub providers_concurrency: usize,
    /// Ticks and sweeps at once.
    pub sweeps_concurrency: usize,
    /// Jobs fetched ahead into memory, in each of the three kinds.
    pub local_queue_size: usize,
    /// How soon a job is found whose time has come, and any job when a notification was lost.
    pub poll_interval_ms: u64,
    /// How long running jobs may go on after a stop; then they are given back and run elsewhere after 1 s.
    pub shutdown_grace_s: u16,
    /// How often a worker says that it is alive.
    pub heartbeat_s: u16,
    /// How often each worker looks for dead ones.
    pub sweep_s: u16,
    /// Silence after which a worker counts as dead and its jobs run elsewhere; at least two heartbeats.
    pub dead_after_s: u16,
    /// Whether this process adds the scheduled ticks; any number may, a tick is added once.
    pub schedule: bool,
    /// Where a worker process serves `/metrics`; keep it private.
    #[schemars(extend("x-refused" = "an address that is not private, unless `worker.metrics_public` says so"))]
    pub metrics_bind: SocketAddr,
    /// That others may read `worker.metrics_bind`, or that the network keeps them from it.
    pub metrics_public: bool,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            events_concurrency: 8,
            providers_concurrency: 8,
            sweeps_concurrency: 2,
            local_queue_size: 100,
            poll_interval_ms: 1_000,
            shutdown_grace_s: 20,
            heartbeat_s: 5,
            sweep_s: 10,
            dead_after_s: 30,
            schedule: true,
            metrics_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 9091)),
            metrics_public: false,
        }
    }
}

/// Why there are no settings. Names keys and files, never values.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the configuration file {path} cannot be read")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the configuration file {path} is not valid TOML (line {line})")]
    Syntax { path: String, line: usize },
    #[error("the configuration is not usable: {0}")]
    Shape(String),
    /// All of them at once, so that a start is not a guessing game.
    #[error("the configuration has {} problem(s): {}", .0.len(), .0.join("; "))]
    Problems(Vec<String>),
}

impl Settings {
    /// Every issuer whose tokens are taken, as the verifier takes them.
    pub fn token_issuers(&self) -> Result<Vec<IssuerConfig>, ConfigError> {
        let issuers = token_issuers(&self.issuers, &self.auth0, &self.cognito)?;
        let apply = |config| self.step_up.applied_to(config);
        Ok(issuers.into_iter().map(apply).collect())
    }

    /// `env` is the process environment as `main` reads it; a variable is `POSX__SECTION__KEY`.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, SettingsError> {
        let (tree, mut problems) = source::collect(file, env)?;
        let raw = raw::read(tree)?;
        check::check(raw, &mut problems).ok_or(SettingsError::Problems(problems))
    }
}

fn token_issuers(
    issuers: &[IssuerSettings],
    auth0: &[Auth0Settings],
    cognito: &[CognitoSettings],
) -> Result<Vec<IssuerConfig>, ConfigError> {
    let mut configs = Vec::new();
    for issuer in issuers {
        let config = IssuerConfig::new(&issuer.issuer, &issuer.audience);
        configs.push(match &issuer.jwks_url {
            Some(url) => config.jwks_url(url),
            None => config,
        });
    }
    for tenant in auth0 {
        let mut config = IssuerConfig::auth0(&tenant.domain, &tenant.audience)?;
        if tenant.rfc9068 {
            config = config.rfc9068();
        }
        if let Some(organization) = &tenant.organization {
            config = config.organization(organization);
        }
        if !tenant.client_ids.is_empty() {
            config = config.client_ids(&tenant.client_ids);
        }
        configs.push(config);
    }
    for pool in cognito {
        let both = IssuerConfig::cognito(&pool.pool_id, &pool.client_ids)?;
        configs.extend(both.map(|config| match &pool.audience {
            Some(audience) => config.audience(audience),
            None => config,
        }));
    }
    Ok(configs)
}
