use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter as Bucket};
use moka::future::Cache;
use posx_tenancy::{RateLimiter, RateVerdict};

/// Under a flood of new keys the coldest make room: they start again with a full bucket.
const KEYS_MAX: u64 = 100_000;
/// A bucket is full again after a minute, so one that nobody asked for since may be forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(61);

type Counted = Bucket<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// Counts in this process: GCRA with one bucket per class, key and limit.
#[derive(Debug, Clone)]
pub struct LocalLimiter {
    buckets: Cache<(&'static str, String, NonZeroU32), Arc<Counted>>,
}

impl Default for LocalLimiter {
    fn default() -> Self {
        Self {
            buckets: Cache::builder()
                .max_capacity(KEYS_MAX)
                .time_to_idle(FORGET_AFTER)
                .build(),
        }
    }
}

#[async_trait]
impl RateLimiter for LocalLimiter {
    async fn check(&self, class: &'static str, key: &str, per_minute: u32) -> RateVerdict {
        let Some(limit) = NonZeroU32::new(per_minute) else {
            return RateVerdict::Refused { retry_after_s: 60 };
        };
        let full =
            async { Arc::new(DefaultDirectRateLimiter::direct(Quota::per_minute(limit)).with_middleware()) };
        let bucket = self.buckets.get_with((class, key.to_owned(), limit), full).await;
        match bucket.check() {
            Ok(state) => RateVerdict::Allowed {
                remaining: state.remaining_burst_capacity(),
            },
            Err(not_until) => {
                let wait = not_until.wait_time_from(bucket.clock().now());
                let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(60);
                RateVerdict::Refused {
                    retry_after_s: seconds.max(1),
                }
            }
        }
    }
}
