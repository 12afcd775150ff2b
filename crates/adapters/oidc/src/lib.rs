//! The OIDC adapter: decides whether a bearer token is a valid access token for our API, as a resource server does
//! (RFC 6750, RFC 9068), for any issuer with a key set. What one vendor does differently is configuration of an issuer.
//!
//! Invariants:
//! * The order is fixed: size, header, issuer by exact match, key by kid, signature, claims. Before the signature holds,
//!   one claim is looked at, `iss`, and only to choose among configured issuers.
//! * The algorithm is one that the issuer's configuration allows; the token only says which of them.
//! * Keys come from the issuer's configured place. `jku`, `x5u`, `jwk` and `x5c` in a token are not even read.
//! * A token that lacks something is refused: no claim has a default that grants.
//! * "Not valid" (401) and "nobody can tell now" (503) are two errors. Neither repeats the token or a claim.
//! * Who may do what at which site is not decided here: a subject is unique only together with its issuer.

mod claims;
mod config;
mod error;
mod http;
mod token;
mod verifier;

pub use config::{ConfigError, IssuerConfig};
pub use error::{AuthError, Reason};
pub use http::HttpKeys;
pub use posx_keyset::{Algorithm, FetchKeys, KeySetHealth};
pub use verifier::{VerifiedToken, Verifier};
