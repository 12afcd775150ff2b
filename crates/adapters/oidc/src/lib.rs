//! The OIDC adapter: decides whether a bearer token is a valid access token for our API, as a resource server does
//! (RFC 6750, RFC 9068), for any issuer with a key set. What one vendor does differently is configuration of an issuer:
//! Auth0 and Cognito have theirs ready. [`TokenClient`] is the other side: it gets tokens from an issuer, renews and
//! revokes them.
//!
//! Invariants:
//! * The order is fixed: size, header, issuer by exact match, key by kid, signature, claims. Before the signature holds,
//!   one claim is looked at, `iss`, and only to choose among configured issuers.
//! * The algorithm is one that the issuer's configuration allows; the token only says which of them.
//! * Keys come from the issuer's configured place. `jku`, `x5u`, `jwk` and `x5c` in a token are not even read.
//! * A token that lacks something is refused: no claim has a default that grants.
//! * A machine's token has no subject here: whoever asks for people never meets a service.
//! * An issuer that goes by several names has one identity for each of its subjects; the same subject of two issuers is
//!   two.
//! * "Not valid" (401) and "nobody can tell now" (503) are two errors. Neither repeats the token or a claim.
//! * Who may do what at which site is not decided here: a subject is unique only together with its issuer.

mod claims;
mod config;
mod error;
mod http;
mod profile;
#[cfg(test)]
mod testing;
mod token;
mod token_client;
mod verifier;

pub use config::{ConfigError, IssuerConfig, SecondFactorClaims};
pub use error::{AuthError, Reason};
pub use http::HttpKeys;
pub use posx_keyset::{Algorithm, FetchKeys, KeySetHealth};
pub use token_client::{GrantedTokens, TokenClient, TokenError};
pub use verifier::{IdTokenWish, IdentifiedSignIn, ServiceToken, Verified, VerifiedToken, Verifier};
