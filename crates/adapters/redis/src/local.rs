use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_tenancy::{Bucket, Failures, Penalty, RateLimiter, RateVerdict};
use tokio::time::Instant;

/// Under a flood of new keys, those that are nearest to being forgotten make room.
const KEYS_MAX: usize = 100_000;

/// Counts in this process, by the arithmetic of `gcra.lua`.
///
/// Not with the crate `governor`: it takes from one bucket at a time and cannot give back, so a call that the second bucket
/// refuses would be counted on the first.
#[derive(Debug)]
pub struct LocalLimiter {
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The theoretical arrival times, in microseconds.
    buckets: HashMap<String, u64>,
    failures: HashMap<String, Failed>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Failed {
    count: u32,
    wait_until_us: u64,
    forget_at_us: u64,
}

impl Default for LocalLimiter {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            state: Mutex::default(),
        }
    }
}

impl LocalLimiter {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Nothing under the lock can be left half done.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn check_at(&self, buckets: &[Bucket], now_us: u64) -> RateVerdict {
        let mut state = self.state();
        let mut following = Vec::with_capacity(buckets.len());
        let mut refusal = (0, 0);
        for (at, bucket) in buckets.iter().enumerate() {
            let id = bucket.id();
            let arrival = state.buckets.get(&id).copied().unwrap_or(0).max(now_us);
            let next = arrival + bucket.interval_us();
            let wait_us = next.saturating_sub(now_us + window_us(bucket));
            if wait_us > refusal.1 {
                refusal = (at, wait_us);
            }
            following.push((id, next));
        }
        if refusal.1 > 0 {
            return RateVerdict::Refused {
                bucket: refusal.0,
                retry_after_s: seconds(refusal.1),
            };
        }
        make_room(&mut state.buckets, now_us, |arrival| *arrival);
        let mut tightest = None;
        for (at, (bucket, (id, next))) in buckets.iter().zip(following).enumerate() {
            let left = (now_us + window_us(bucket) - next) / bucket.interval_us().max(1);
            let of = u64::from(bucket.burst);
            if tightest.is_none_or(|(_, least, least_of)| left * least_of < least * of) {
                tightest = Some((at, left, of));
            }
            state.buckets.insert(id, next);
        }
        let (bucket, left, _) = tightest.unwrap_or_default();
        RateVerdict::Allowed {
            bucket,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
        }
    }
}

fn window_us(bucket: &Bucket) -> u64 {
    bucket.interval_us() * u64::from(bucket.burst)
}

fn seconds(us: u64) -> u32 {
    u32::try_from(us.div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

fn make_room<V>(map: &mut HashMap<String, V>, now_us: u64, forget_at_us: impl Fn(&V) -> u64) {
    if map.len() < KEYS_MAX {
        return;
    }
    map.retain(|_, value| forget_at_us(value) > now_us);
    if map.len() > KEYS_MAX / 2 {
        let mut times: Vec<u64> = map.values().map(&forget_at_us).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        map.retain(|_, value| forget_at_us(value) > median);
    }
}

#[async_trait]
impl RateLimiter for LocalLimiter {
    async fn check(&self, buckets: &[Bucket]) -> RateVerdict {
        self.check_at(buckets, self.now_us())
    }

    async fn failures(&self, keys: &[&str]) -> Vec<Failures> {
        let (state, now_us) = (self.state(), self.now_us());
        let known = |key: &&str| {
            let failed = state
                .failures
                .get(*key)
                .filter(|failed| failed.forget_at_us > now_us);
            failed.map_or_else(Failures::default, |failed| Failures {
                count: failed.count,
                wait_s: seconds(failed.wait_until_us.saturating_sub(now_us)),
            })
        };
        keys.iter().map(known).collect()
    }

    async fn fail(&self, penalties: &[Penalty]) {
        let (mut state, now_us) = (self.state(), self.now_us());
        make_room(&mut state.failures, now_us, |failed| failed.forget_at_us);
        for penalty in penalties {
            let failed = state.failures.entry(penalty.key.clone()).or_default();
            let before = if failed.forget_at_us > now_us {
                failed.count
            } else {
                0
            };
            let count = before.saturating_add(1);
            *failed = Failed {
                count,
                wait_until_us: now_us + u64::from(penalty.wait_s(count)) * 1_000_000,
                forget_at_us: now_us + u64::from(penalty.forget_after_s) * 1_000_000,
            };
        }
    }

    async fn forget(&self, key: &str) {
        self.state().failures.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_new_keys_does_not_grow_without_end_and_keeps_who_owes_most() {
        let limiter = LocalLimiter::default();
        let greedy = [Bucket::per_minute("public", "greedy", 10)];
        while matches!(limiter.check_at(&greedy, 0), RateVerdict::Allowed { .. }) {}
        for number in 0..3 * KEYS_MAX {
            limiter.check_at(&[Bucket::per_minute("public", number.to_string(), 10)], 1);
        }
        assert!(limiter.state().buckets.len() <= KEYS_MAX);
        assert!(matches!(
            limiter.check_at(&greedy, 1),
            RateVerdict::Refused { .. }
        ));
    }
}
