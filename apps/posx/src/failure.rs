//! How a command ends.

use std::error::Error;

use posx_kernel::StoreError;
use posx_ledger::reconcile::ReconcileError;
use posx_postgres::MigrateError;
use posx_runtime::{SettingsError, StartError, TelemetryError};
use posx_tenancy::PlatformError;

use crate::demo::DemoError;
use crate::servers::ServersError;
use crate::token::TokenError;
use posx_postgres::database_url::UrlError;

/// What the exit status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// It ran, and what it looked at is not as it should be.
    Failed,
    /// A signal came before it was done.
    Interrupted,
}

impl Outcome {
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Interrupted => 130,
        }
    }

    pub const fn of(good: bool) -> Self {
        if good { Self::Done } else { Self::Failed }
    }
}

/// Why a command could not do its work. Names settings and systems, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{0} is not set: this command needs it (see docs/configuration.md)")]
    SettingMissing(&'static str),
    #[error("the file {path} cannot be read")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} has no TLS: in production no page may call from there")]
    InsecureOrigin(String),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("signals cannot be listened to")]
    Signals(#[source] std::io::Error),
    #[error("{address} cannot be listened on")]
    Listen {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Servers(#[from] ServersError),
    #[error("{setting} is not usable")]
    Url {
        setting: &'static str,
        #[source]
        source: UrlError,
    },
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("the database cannot be asked as {role}")]
    Database {
        role: &'static str,
        #[source]
        source: StoreError,
    },
    #[error("{site} cannot be compared")]
    Reconcile {
        site: String,
        #[source]
        source: ReconcileError,
    },
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Demo(#[from] Box<DemoError>),
}

/// The whole chain of causes in one line. A cause that says what its effect said already is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}
