//! What the two servers and the command line share: typed settings, the wiring of adapters to contexts, telemetry.
//!
//! Invariants:
//! * [`Settings`] are read once, from a file and the environment that `main` hands in, and checked as a whole: a start
//!   without a required secret, or with a weak one, fails and names every one of them.
//! * No `Debug`, no `Display` and no log line shows a secret.
//! * Production takes no sandbox provider and no address that is not https.
//! * [`Services`] is the only place where an adapter meets a context.

mod assistant;
mod documents;
mod key_rotation;
mod mail;
mod metrics_server;
mod model_budgets;
mod platform;
mod provider_accounts;
mod providers;
mod secrets;
mod services;
mod sessions;
pub mod settings;
mod stop;
mod stripe_webhooks;
pub mod telemetry;
mod wallets;

pub use documents::{is_pdf_reader, read_pdf};
pub use key_rotation::{KeyRotation, Resealed, Unusable};
pub use metrics_server::serve_metrics;
pub use platform::PlatformPlane;
pub use provider_accounts::{ProviderAccountError, ProviderAccounts};
pub use providers::Providers;
pub use services::{Services, StartError};
pub use sessions::{CodeProvider, SessionGate};
pub use settings::{
    AssistantSettings, Auth0Settings, CognitoSettings, CustodyMode, CustodyProvider, CustodySettings,
    DatabaseSettings, DocumentsSettings, Environment, GasFloorSettings, IssuerSettings, LogFormat,
    LogSettings, MailSettings, ModelLimitSettings, ModelPriceSettings, ModelProtocol, ModelProviderSettings,
    NodeSettings, PaymentProvider, PaymentSettings, PlatformSettings, PriceTierSettings, RateLimits,
    RedisSettings, S3Settings, SecretsSettings, ServerSettings, SessionProviderSettings, SessionSettings,
    Settings, SettingsError, SignInSettings, StepUpIssuerSettings, StepUpSettings, StripeAccountSettings,
    WalletSettings, WorkerSettings,
};
pub use stop::stop_signal;
pub use stripe_webhooks::StripeWebhooks;
pub use telemetry::{MetricsHandle, TelemetryError};
