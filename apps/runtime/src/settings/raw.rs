//! The configuration as it is written: defaults filled in, everything that is required still optional. The comments are
//! what `docs/configuration.md` says.

use config::{Value, ValueKind};
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::database::RawDatabase;
use super::reference::Secret;
use super::source::{Tree, explain};
use super::{
    AssistantSettings, Auth0Settings, CognitoSettings, CustodyMode, CustodyProvider, DocumentsSettings,
    Environment, GasFloorSettings, IssuerSettings, LogFormat, MailSettings, PaymentProvider,
    PlatformSettings, SecretsSettings, ServerSettings, SessionSettings, SettingsError, SignInSettings,
    StepUpSettings, StripeAccountSettings, WalletSettings, WorkerSettings,
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    /// Where the process runs. In production, test events of providers are ignored; elsewhere, live ones are. The sandbox is
    /// the demo and the tests.
    #[schemars(extend("x-default" = "required"))]
    pub environment: Option<Environment>,
    /// One URL for each database role: `postgres://role:password@host:port/name`.
    #[serde(default)]
    pub database: RawDatabase,
    /// The API. Its `rate_limits` are calls per minute and key, 1 to 1000000, with bursts of the same size.
    #[serde(default)]
    pub server: ServerSettings,
    /// Whose access tokens are taken: at least one here, in `auth0` or in `cognito`.
    #[serde(default)]
    #[schemars(extend("x-refused" = "addresses without https"))]
    pub issuers: Vec<IssuerSettings>,
    /// Tenants of Auth0.
    #[serde(default)]
    pub auth0: Vec<Auth0Settings>,
    /// User pools of Amazon Cognito; a pool's both issuer names are taken.
    #[serde(default)]
    pub cognito: Vec<CognitoSettings>,
    /// The payment provider.
    #[serde(default)]
    pub payments: RawPayments,
    /// The custodian of tokens.
    #[serde(default)]
    pub custody: RawCustody,
    /// How wallets are proven.
    #[serde(default)]
    pub wallets: WalletSettings,
    /// Optional: without it, nobody signs in with a wallet.
    pub sign_in: Option<SignInSettings>,
    /// The keys under which the database keeps secrets ([operations](operations.md#keys-of-secrets)).
    #[serde(default)]
    pub secrets: SecretsSettings,
    /// Optional: without it, no browser opens a session. Needs `sign_in`, whose key signs the tokens.
    pub sessions: Option<SessionSettings>,
    /// Optional: without it, rate limits are counted in each process.
    #[serde(default)]
    pub redis: RawRedis,
    /// Optional: without it, nobody is invited (409 `mail_off`); API and worker need the same.
    pub mail: Option<MailSettings>,
    /// Optional: without it, no document is taken (503 `document_storage_off`); API and worker need the same.
    pub documents: Option<DocumentsSettings>,
    /// Optional: without it, the API has no platform plane. Needs `database.platform_url`.
    pub platform: Option<PlatformSettings>,
    /// Which sign-ins count as made with a second factor ([how it is asked for](api.md#second-factor)).
    #[serde(default)]
    pub step_up: StepUpSettings,
    /// Language models ([how they are metered](assistant.md)).
    #[serde(default)]
    pub assistant: AssistantSettings,
    /// To standard error.
    #[serde(default)]
    pub log: RawLog,
    /// The job runner.
    #[serde(default)]
    pub worker: WorkerSettings,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPayments {
    /// Who takes the payments.
    #[schemars(extend("x-default" = "required", "x-refused" = "`sandbox`"))]
    pub provider: Option<PaymentProvider>,
    /// Its address.
    #[schemars(extend("x-default" = "Stripe's own; required for the sandbox", "x-refused" = "an address without https"))]
    pub base_url: Option<String>,
    /// The sandbox's key, 16 characters at least. Not with Stripe, which has one for each site, in `payments.accounts`.
    #[schemars(with = "Option<Secret>", extend("x-default" = "required for the sandbox"))]
    pub secret_key: Option<SecretString>,
    /// What the endpoint `/webhooks/stripe` is signed with, which sites share: one, or two while it is being replaced.
    #[schemars(with = "Vec<Secret>", extend("x-default" = "required for the sandbox, and for accounts without their own"))]
    pub webhook_secrets: Vec<SecretString>,
    /// The same of `/webhooks/stripe-connect`, for events of connected accounts.
    #[schemars(with = "Vec<Secret>", extend("x-default" = "no such endpoint"))]
    pub connect_webhook_secrets: Vec<SecretString>,
    /// With Stripe, which site is paid into which account. An account that the site gave through the API wins.
    pub accounts: Vec<StripeAccountSettings>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCustody {
    /// Who keeps the tokens.
    #[schemars(extend("x-default" = "required", "x-refused" = "`sandbox`"))]
    pub provider: Option<CustodyProvider>,
    /// Of Fireblocks: `us`, `eu`, `eu2`, or `sandbox`, which moves no real tokens.
    pub region: Option<String>,
    /// Its address, in the place of a region.
    #[schemars(extend("x-default" = "the region's", "x-refused" = "an address without https"))]
    pub base_url: Option<String>,
    /// Our key there, 16 characters at least.
    #[schemars(with = "Option<Secret>", extend("x-default" = "required"))]
    pub api_key: Option<SecretString>,
    /// With Fireblocks, the API user's RSA key in PEM.
    #[schemars(with = "Option<Secret>", extend("x-default" = "required for Fireblocks"))]
    pub private_key: Option<SecretString>,
    /// `live` for a workspace that moves real tokens; only in production.
    pub mode: CustodyMode,
    /// The second lock: without both, a start with any workspace but the sandbox's fails.
    pub real_transfers: bool,
    /// The keys that sign its webhooks.
    #[schemars(extend("x-default" = "the region's", "x-refused" = "an address without https"))]
    pub jwks_url: Option<String>,
    /// What a vault must hold for fees before it sends a token; a token without one is sent whatever its gas.
    pub gas_floors: Vec<GasFloorSettings>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRedis {
    /// `redis://…` or `unix://…`
    #[schemars(with = "Option<Secret>", extend("x-refused" = "a weak password"))]
    pub url: Option<SecretString>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    /// For machines or for people.
    #[schemars(extend("x-default" = "`json` in production, else `pretty`"))]
    pub format: Option<LogFormat>,
    /// Directives as `tracing-subscriber` reads them: `info,posx_orders=debug`.
    #[schemars(extend("x-default" = "`info`"))]
    pub filter: Option<String>,
}

pub(super) fn read(tree: Tree) -> Result<Raw, SettingsError> {
    Value::new(None, ValueKind::Table(tree))
        .try_deserialize()
        .map_err(|error| explain(&error))
}
