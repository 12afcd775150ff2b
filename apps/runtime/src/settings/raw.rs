//! The configuration as it is written: defaults filled in, everything that is required still optional.

use std::net::{Ipv4Addr, SocketAddr};

use config::{Value, ValueKind};
use secrecy::SecretString;
use serde::Deserialize;

use super::source::{Tree, explain};
use super::{
    Auth0Settings, CognitoSettings, CustodyMode, CustodyProvider, Environment, GasFloorSettings,
    IssuerSettings, LogFormat, PaymentProvider, RateLimits, SettingsError, SignInSettings,
    StripeAccountSettings, WalletSettings, WorkerSettings,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub environment: Option<Environment>,
    #[serde(default)]
    pub database: RawDatabase,
    #[serde(default)]
    pub server: RawServer,
    #[serde(default)]
    pub issuers: Vec<IssuerSettings>,
    #[serde(default)]
    pub auth0: Vec<Auth0Settings>,
    #[serde(default)]
    pub cognito: Vec<CognitoSettings>,
    #[serde(default)]
    pub payments: RawPayments,
    #[serde(default)]
    pub custody: RawCustody,
    #[serde(default)]
    pub wallets: WalletSettings,
    pub sign_in: Option<SignInSettings>,
    #[serde(default)]
    pub redis: RawRedis,
    #[serde(default)]
    pub log: RawLog,
    #[serde(default)]
    pub worker: WorkerSettings,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub app_url: Option<SecretString>,
    pub jobs_url: Option<SecretString>,
    pub platform_url: Option<SecretString>,
    pub migrator_url: Option<SecretString>,
    pub pool_size: u32,
    pub jobs_pool_size: u32,
}

impl Default for RawDatabase {
    fn default() -> Self {
        Self {
            app_url: None,
            jobs_url: None,
            platform_url: None,
            migrator_url: None,
            pool_size: 8,
            jobs_pool_size: 8,
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawServer {
    pub bind: SocketAddr,
    pub metrics_bind: SocketAddr,
    pub body_limit_bytes: usize,
    pub workers: Option<usize>,
    pub trusted_proxies: u8,
    pub request_timeout_s: u16,
    pub shutdown_grace_s: u16,
    pub rate_limits: RateLimits,
}

impl Default for RawServer {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            metrics_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            body_limit_bytes: 64 * 1024,
            workers: None,
            trusted_proxies: 0,
            request_timeout_s: 30,
            shutdown_grace_s: 20,
            rate_limits: RateLimits::default(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPayments {
    pub provider: Option<PaymentProvider>,
    pub base_url: Option<String>,
    pub secret_key: Option<SecretString>,
    pub webhook_secrets: Vec<SecretString>,
    pub connect_webhook_secrets: Vec<SecretString>,
    pub accounts: Vec<StripeAccountSettings>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCustody {
    pub provider: Option<CustodyProvider>,
    pub region: Option<String>,
    pub base_url: Option<String>,
    pub api_key: Option<SecretString>,
    pub private_key: Option<SecretString>,
    pub mode: CustodyMode,
    pub real_transfers: bool,
    pub jwks_url: Option<String>,
    pub gas_floors: Vec<GasFloorSettings>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRedis {
    pub url: Option<SecretString>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    /// Absent: JSON in production, readable elsewhere.
    pub format: Option<LogFormat>,
    pub filter: Option<String>,
}

pub(super) fn read(tree: Tree) -> Result<Raw, SettingsError> {
    Value::new(None, ValueKind::Table(tree))
        .try_deserialize()
        .map_err(|error| explain(&error))
}
