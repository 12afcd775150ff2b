//! Extractors are the policy of a route: what a handler takes says who may call it and what it reads.
//!
//! [`Caller`] (a verified token) → [`SiteContext`] (host name or X-Site-Code) → [`SiteCaller`] (an active membership) →
//! [`Allowed`] (a capability). [`Guarded`] puts any of them before the input: nothing of a body is read for one who is
//! not allowed.

mod allowed;
mod body;
mod caller;
mod guarded;
mod idempotent;
mod if_match;
mod json;
mod path;
mod query;
mod site;

use std::future::Future;
use std::pin::Pin;

pub use allowed::{Allowed, AllowedMember, Policy, SiteCaller, can};
pub use body::{Provider, RawBody};
pub use caller::Caller;
pub use guarded::Guarded;
pub use idempotent::{Idempotent, IdempotentPath, REPLAYED, created};
pub use if_match::{IfMatch, etag};
pub use json::{Json, instant};
pub use path::{Id, JobNumber, PathId};
pub use query::Query;
pub use site::{PublicSite, SignedIn, SiteContext, Visitor, WalletSignIn};

/// What an extractor returns. actix runs a connection on one thread, so it need not be `Send`.
pub type Extracting<T, E = crate::problem::ApiError> = Pin<Box<dyn Future<Output = Result<T, E>>>>;
