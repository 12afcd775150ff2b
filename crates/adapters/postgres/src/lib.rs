//! Everything that POSX keeps, in PostgreSQL: the only crate that knows SQL.
//!
//! Invariants:
//! * A site's rows are reached only through a [`SiteTx`], whose first message sets the site; row-level security does the
//!   rest, so no statement here names a site.
//! * Business times are given by the caller; no statement asks the database what time it is.
//! * After a failed statement a transaction is only dropped. A "no" that a use case goes on after is a value, never an error.
//! * The app role cannot read the queue or the inbox; the runner's own role, [`JobsDatabase`], can.

mod allocations;
mod audit;
mod commissions;
mod connection;
pub mod database_url;
mod directory;
mod error;
mod idempotency;
mod inbox;
mod jobs;
mod ledger;
mod migrate;
mod orders;
mod outbox;
mod platform;
mod posture;
mod probe;
mod site_tx;
mod tenancy;
mod tiers;
mod wallet_proofs;

pub use audit::{AuditReport, Finding, audit_connection, audit_isolation};
pub use connection::{Database, DatabaseOptions, is_database_url};
pub use directory::PgDirectory;
pub use inbox::{InboxRow, JobsDatabase, NewWebhook, WebhookEndpoint, WebhookView};
pub use jobs::JobView;
pub use migrate::{MigrateError, Passwords, bootstrap, migrate, schema_fingerprint};
pub use platform::PlatformDatabase;
pub use posture::Posture;
pub use site_tx::SiteTx;

/// The statements of placing an order, for measuring how fast the database alone runs them.
pub fn placing_statements() -> [String; 3] {
    [
        orders::write::facts_sql(),
        orders::write::INSERT_ORDER.to_owned(),
        tiers::MOVE_STOCK.to_owned(),
    ]
}
