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
mod machine;
mod path;
mod platform;
mod query;
mod session;
mod site;
mod step_up;
mod storefront;

use std::future::Future;
use std::pin::Pin;

pub use allowed::{Allowed, AllowedMember, Policy, SiteCaller, can};
pub use body::{Provider, RawBody};
pub use caller::Caller;
pub use guarded::Guarded;
pub use idempotent::{Idempotent, IdempotentPath, Labelled, REPLAYED, ReviewedPath, created};
pub use if_match::{IfMatch, etag};
pub use json::{Json, instant};
pub use machine::{CurrentDevice, DeviceStaff, MemberAtDevice};
pub use path::{AccountCode, AgentParty, Id, JobNumber, PathId};
pub use platform::{AllowedStaff, PlatformCaller, StaffId, StaffPolicy, staff_can};
pub use query::Query;
pub use session::{SessionHolder, SessionPage, SessionSignIn};
pub use site::{PublicSite, SignedIn, SiteContext, Visitor, WalletSignIn};
pub use step_up::Myself;
pub use storefront::Storefront;

/// What an extractor returns. actix runs a connection on one thread, so it need not be `Send`.
pub type Extracting<T, E = crate::problem::ApiError> = Pin<Box<dyn Future<Output = Result<T, E>>>>;
