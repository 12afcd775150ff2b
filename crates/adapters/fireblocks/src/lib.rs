//! The Fireblocks adapter. For now the half that listens: [`webhook`] proves that a delivery is Fireblocks', [`event`]
//! reads it. The half that calls Fireblocks comes with its own issue.
//!
//! Invariants:
//! * Nothing of a delivery is parsed before its signature over the raw bytes holds: [`Delivery`] has one maker.
//! * The signature is RS512 with a key from the configured key set. The header chooses among those keys and nothing
//!   else. The first scheme (`Fireblocks-Signature`), which ended in June 2026, is not known here.
//! * "Not Fireblocks'" (400, never sent again) and "nobody can tell now" (503, sent again) are two errors.
//! * A status or an event type that we do not know is kept as it came; it is neither an error nor a failure.

pub mod event;
mod http;
pub mod status;
pub mod webhook;

pub use event::{EventError, FireblocksEvent, TransactionView};
pub use http::{AddressError, HttpKeys};
pub use posx_keyset::{FetchKeys, KeySetHealth};
pub use status::{SubStatus, TransactionStatus};
pub use webhook::{Delivery, Reason, SIGNATURE_HEADER, WebhookError, WebhookVerifier};
