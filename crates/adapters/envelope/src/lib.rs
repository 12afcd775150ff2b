//! Envelope encryption of the secrets that are kept: each site has data keys of its own, which are kept wrapped by a master
//! key that the database never sees.
//!
//! Invariants:
//! * AES-256-GCM throughout, with a random nonce each time. A sealed secret is bound to its site, table, row and column, to its
//!   format and to the version of its data key; a wrapped key to its site, its version and its master key.
//! * What does not open says nothing of why.
//! * A data key stands unwrapped in memory for a bounded time, and is overwritten when it is let go.

mod cipher;
mod keeper;
mod local;
mod sealed;
#[cfg(test)]
mod tests;

pub use keeper::{CURRENT_KEY_LIFE, Envelope};
pub use local::{LocalMasterKeys, MASTER_KEYS_MAX, MasterKey, MasterKeyError};
