//! Rate limits and short caches: across machines on Redis, or in this process without it, behind the same ports.
//!
//! Invariants:
//! * A limiter never fails and never waits long: on any fault of Redis it counts in the process and says so
//!   ([`RedisLimiter::is_healthy`], `posx_limiter_faults_total`).
//! * Who remembers refusals of budgets never lets a call through, and never refuses one by a budget that has grown since.
//! * Every cache is bounded, and nothing in it is older than its documented time.
//! * "Not a member" and "no such site" are never kept: who joins is a member with the next request.

mod directory;
mod limiter;
mod link;
mod local;
mod quota;
mod sessions;

pub use directory::{CachedDirectory, MEMBER_AGE_MAX, SITE_AGE_MAX};
pub use limiter::{RedisAddressError, RedisLimiter};
pub use local::LocalLimiter;
pub use quota::{LocalRefusals, QuotaMemory, REFUSAL_AGE_MAX, RedisRefusals, Refusals, Remembered, Seen};
pub use sessions::{CachedSessions, SESSION_AGE_MAX};
