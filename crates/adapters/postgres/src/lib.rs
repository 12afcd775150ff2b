//! Everything that POSX keeps, in PostgreSQL: the only crate that knows SQL.
//!
//! Invariants:
//! * A site's rows are reached only through a [`SiteTx`], whose first message sets the site; row-level security does the
//!   rest, so no statement here names a site.
//! * Business times are given by the caller; no statement asks the database what time it is.
//! * After a failed statement a transaction is only dropped. A "no" that a use case goes on after is a value, never an error.
//! * The app role cannot read the queue or the inbox; the runner's own role, [`JobsDatabase`], can.

mod agent_balances;
mod agents;
mod allocations;
mod api_keys;
mod approvals;
mod assistant_reads;
mod audit;
mod audit_trail;
mod commissions;
mod connection;
mod conversations;
mod customers;
pub mod database_url;
mod devices;
mod directory;
mod documents;
mod error;
mod idempotency;
mod inbox;
mod invariants;
mod invitations;
mod jobs;
mod ledger;
mod members;
mod migrate;
mod model_accounts;
mod model_budgets;
mod orders;
mod outbox;
mod payout_accounts;
mod payouts;
mod periods;
mod personal_data;
mod places;
mod platform;
mod posture;
mod probe;
mod promo_codes;
mod provider_accounts;
mod reconciliations;
mod reports;
mod second_factors;
mod secrets;
mod sessions;
mod settlements;
mod site_tx;
mod tenancy;
mod tiers;
mod token_debts;
mod vesting;
mod wallet_proofs;

pub use audit::{AuditReport, Finding, audit_connection, audit_isolation};
pub use audit_trail::{AuditActor, AuditEntry, AuditFilter, SealedEvent, SealedUpTo, TrailCheck};
pub use connection::{Database, DatabaseOptions, is_database_url};
pub use directory::PgDirectory;
pub use inbox::{InboxRow, JobsDatabase, NewWebhook, WebhookEndpoint, WebhookView};
pub use jobs::JobView;
pub use migrate::{MigrateError, Passwords, bootstrap, check_migrator, migrate, schema_fingerprint};
pub use model_budgets::{ModelUsageBy, ModelUsageRow, PgQuota, UsageCallRow, UsageRefusalRow};
pub use personal_data::PERSONAL_DATA_SECTIONS;
pub use platform::PlatformDatabase;
pub use posture::Posture;
pub use provider_accounts::{NewProviderAccount, ProviderAccountRow, SealedAccount};
pub use reports::{
    AnomalyKind, AnomalyPlace, AnomalyRow, CommissionRow, LeadersBy, LeadersOf, OverviewRow, Period,
    RankedRow, SalesRow,
};
pub use secrets::{KeyVersion, KeysOfSites, SEALED_COLUMNS, SealedColumn};
pub use site_tx::SiteTx;

/// The statement of a page of a tree, for the same.
pub const fn tree_statement() -> &'static str {
    agents::TREE
}

/// The statements of placing an order, for measuring how fast the database alone runs them.
pub fn placing_statements() -> [String; 3] {
    [
        orders::write::facts_sql(false),
        orders::write::INSERT_ORDER.to_owned(),
        tiers::MOVE_STOCK.to_owned(),
    ]
}
