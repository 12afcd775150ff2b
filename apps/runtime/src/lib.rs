//! What the two servers and the command line share: typed settings, the wiring of adapters to contexts, telemetry.
//!
//! Invariants:
//! * [`Settings`] are read once, from a file and the environment that `main` hands in, and checked as a whole: a start
//!   without a required secret, or with a weak one, fails and names every one of them.
//! * No `Debug`, no `Display` and no log line shows a secret.
//! * Production takes no sandbox provider and no address that is not https.
//! * [`Services`] is the only place where an adapter meets a context.

mod metrics_server;
mod providers;
mod services;
pub mod settings;
mod stop;
pub mod telemetry;
mod wallets;

pub use metrics_server::serve_metrics;
pub use providers::Providers;
pub use services::{Services, StartError, StripeWebhooks};
pub use settings::{
    Auth0Settings, CognitoSettings, CustodyMode, CustodyProvider, CustodySettings, DatabaseSettings,
    Environment, GasFloorSettings, IssuerSettings, LogFormat, LogSettings, NodeSettings, PaymentProvider,
    PaymentSettings, RateLimits, RedisSettings, ServerSettings, Settings, SettingsError, SignInSettings,
    StripeAccountSettings, WalletSettings, WorkerSettings,
};
pub use stop::stop_signal;
pub use telemetry::{MetricsHandle, TelemetryError};
