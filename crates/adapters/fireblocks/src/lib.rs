//! The Fireblocks adapter. [`webhook`] proves that a delivery is Fireblocks', [`event`] reads it; [`custody`] signs
//! requests and implements the port of allocations.
//!
//! Invariants:
//! * Nothing of a delivery is parsed before its signature over the raw bytes holds: [`Delivery`] has one maker.
//! * The signature is RS512 with a key from the configured key set. The header chooses among those keys and nothing
//!   else. The first scheme (`Fireblocks-Signature`) is not known here.
//! * "Not Fireblocks'" (400, never sent again) and "nobody can tell now" (503, sent again) are two errors.
//! * A status or an event type that we do not know is kept as it came; it is neither an error nor a failure.
//! * A workspace that moves real tokens is reached only with both locks of the [`Interlock`] open.
//! * A transfer always carries its external id, which Fireblocks takes once and for ever. Only what the rate limit turned
//!   away is sent again here; any other answer that does not say what happened is an unknown outcome for the caller.
//! * What is signed is what is sent, byte for byte; each signature is for one use. Neither keys nor tokens print.

mod address;
mod client;
pub mod custody;
mod error;
pub mod event;
mod http;
mod lines;
mod region;
mod sign;
pub mod status;
mod vault;
pub mod webhook;
mod workspace;

pub use client::RetryPolicy;
pub use custody::{CancelOutcome, ConfigError, CustodyConfig, FireblocksCustody};
pub use error::FireblocksError;
pub use event::{EventError, FireblocksEvent, TransactionView};
pub use http::{AddressError, HttpKeys};
pub use posx_keyset::{FetchKeys, KeySetHealth};
pub use region::Region;
pub use sign::CredentialsError;
pub use status::{SubStatus, TransactionStatus};
pub use vault::{VaultAccount, VaultAsset};
pub use webhook::{Delivery, Reason, SIGNATURE_HEADER, WebhookError, WebhookVerifier};
pub use workspace::{Interlock, Mode, Workspace, WorkspaceError};
