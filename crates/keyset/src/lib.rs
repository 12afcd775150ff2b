//! A cache of one issuer's JSON Web Key Set (RFC 7517), used wherever a signature names its key by `kid`.
//!
//! What it owns: which keys an issuer has now, when they are fetched, and whether a key fits an algorithm. It does not
//! know HTTP: a vendor crate brings a [`FetchKeys`].
//!
//! Invariants:
//! * A key comes from the configured place only. Nothing here takes a key or an address from a token: `jku`, `x5u` and
//!   `jwk` headers have no way in.
//! * One fetch at a time for a set, and at most one for each [`Limits::cool_down`], however many unknown kids arrive.
//!   Sets are independent: a slow issuer blocks no other.
//! * A key that its issuer withdrew is gone after [`Limits::refresh_after`] if the issuer can be reached, and after
//!   [`Limits::stale_for`] at the latest. A kid that is unknown because the issuer cannot be reached is
//!   [`KeyError::Unavailable`], and one that the issuer was not asked about, because it was asked too recently, is
//!   [`KeyError::Unasked`]: never [`KeyError::Unknown`].
//! * Only public signature keys are kept; symmetric, private, weak and encryption keys are left out one by one.
//! * Time comes from the clock that is given.

mod algorithm;
mod cache;
mod fetch;
mod jwk;
mod key;
mod set;

pub use algorithm::Algorithm;
pub use cache::{KeyError, Limits};
pub use fetch::{FetchError, FetchKeys};
pub use jwk::{DocumentError, KEYS_MAX, SET_BYTES_MAX};
pub use key::{VerifyError, VerifyingKey};
pub use set::{KeySet, KeySetHealth};
