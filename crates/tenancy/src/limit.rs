//! How often something may be asked, and how long one waits who signs in wrong: the port, and what counts on it.

mod sign_in;

use async_trait::async_trait;

pub use sign_in::SignInGuard;

/// One thing that a call is counted on: `per_minute` in the long run, and `burst` at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// What is limited, as `public`: shown to who is refused.
    pub class: &'static str,
    /// Whose calls these are within the class.
    pub key: String,
    /// None at all if it is 0.
    pub per_minute: u32,
    pub burst: u32,
}

impl Bucket {
    /// A burst as large as the limit.
    pub fn per_minute(class: &'static str, key: impl Into<String>, per_minute: u32) -> Self {
        Self {
            class,
            key: key.into(),
            per_minute,
            burst: per_minute,
        }
    }

    #[must_use]
    pub fn burst(self, burst: u32) -> Self {
        Self { burst, ..self }
    }

    /// Microseconds between two calls at the limit; every limiter counts in these.
    pub fn interval_us(&self) -> u64 {
        60_000_000 / u64::from(self.per_minute.max(1))
    }

    /// For the empty bucket of [`burst`](Self::burst) calls to be full again.
    pub fn window_s(&self) -> u64 {
        (u64::from(self.burst) * self.interval_us())
            .div_ceil(1_000_000)
            .max(1)
    }

    /// Under which limiters keep it: who changes a limit begins anew.
    pub fn id(&self) -> String {
        format!("{}:{}:{}:{}", self.class, self.per_minute, self.burst, self.key)
    }
}

/// What the limiter says of one call. `bucket` is the position among those that were asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateVerdict {
    /// The bucket that is nearest to its limit, and what is left of it.
    Allowed { bucket: usize, remaining: u32 },
    /// The bucket that makes one wait the longest. No bucket was counted on.
    Refused { bucket: usize, retry_after_s: u32 },
}

/// How failures under one key make the next try wait: not at all for the first `free`, then 1 s, 2 s, 4 s … up to `wait_s_max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Penalty {
    pub key: String,
    pub free: u32,
    pub wait_s_max: u32,
    /// So long after the last failure nothing is known any more.
    pub forget_after_s: u32,
}

impl Penalty {
    /// After so many failures.
    pub fn wait_s(&self, failures: u32) -> u32 {
        match failures.checked_sub(self.free) {
            None | Some(0) => 0,
            Some(beyond) => 2_u32.saturating_pow(beyond - 1).min(self.wait_s_max),
        }
    }
}

/// What is known of a key's failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    pub count: u32,
    /// Seconds, rounded up.
    pub wait_s: u32,
}

/// Counts by GCRA, and keeps failures. On any fault of a shared counter the limiter goes on in the process; it never fails
/// and never waits long.
#[async_trait]
pub trait RateLimiter: Send + Sync + std::fmt::Debug {
    /// Counts one call on all buckets or, if one of them is used up, on none. At least one bucket; one round trip at most.
    async fn check(&self, buckets: &[Bucket]) -> RateVerdict;
    /// One for each key.
    async fn failures(&self, keys: &[&str]) -> Vec<Failures>;
    /// One failure more under each.
    async fn fail(&self, penalties: &[Penalty]);
    async fn forget(&self, key: &str);
}
