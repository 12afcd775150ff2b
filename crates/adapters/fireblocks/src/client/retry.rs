use std::time::Duration;

use posx_kernel::Randomness;

use super::answer::Answer;

/// When a request that the rate limit turned away is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first one included.
    pub tries_max: u32,
    /// Doubled with every try.
    pub first_pause: Duration,
    /// Also for `retry-after`: who is told to wait longer gives up, and comes back as a job.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    /// The limit is per minute: what has not passed after some 15 seconds comes back as a job.
    fn default() -> Self {
        Self {
            tries_max: 5,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// How long to wait before the next try; `None` to give up.
    pub(super) fn pause(&self, answer: &Answer, tries: u32, randomness: &dyn Randomness) -> Option<Duration> {
        let asked = answer.retry_after().unwrap_or_default();
        if tries >= self.tries_max || asked > self.longest_pause {
            return None;
        }
        Some(self.step(tries, randomness).max(asked))
    }

    /// The pause after so many tries, if no other was asked for.
    pub(super) fn step(&self, tries: u32, randomness: &dyn Randomness) -> Duration {
        let doubled = self
            .first_pause
            .saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
        jittered(doubled.min(self.longest_pause), randomness)
    }
}

/// Between half of it and all of it, so that those who were turned away together do not come back together.
fn jittered(pause: Duration, randomness: &dyn Randomness) -> Duration {
    let mut byte = [0];
    randomness.fill(&mut byte);
    let half = pause / 2;
    half + half * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use posx_kernel::SeededIds;
    use proptest::prelude::*;
    use reqwest::StatusCode;
    use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;

    fn busy(retry_after: Option<&str>) -> Answer {
        let values = retry_after.map(|text| (RETRY_AFTER, HeaderValue::from_str(text).unwrap()));
        let headers = HeaderMap::from_iter(values);
        Answer::new(StatusCode::TOO_MANY_REQUESTS, &headers, Vec::new())
    }

    fn pause(retry_after: Option<&str>, tries: u32) -> Option<Duration> {
        RetryPolicy::default().pause(&busy(retry_after), tries, &SeededIds::new(1))
    }

    #[test]
    fn f03_the_wait_that_fireblocks_asks_for_is_kept_or_not_waited_at_all() {
        assert_eq!(pause(Some("7"), 1), Some(Duration::from_secs(7)));
        assert_eq!(pause(Some("11"), 1), None);
        for nonsense in ["-1", "soon", "1e9", "99999999999999999999"] {
            let pause = pause(Some(nonsense), 1).unwrap();
            assert!(pause <= Duration::from_secs(1), "{nonsense}");
        }
    }

    #[test]
    fn f03_trying_again_ends() {
        assert!(pause(None, 4).is_some());
        assert_eq!(pause(None, 5), None);
    }

    proptest! {
        #[test]
        fn f03_a_pause_is_between_half_and_all_of_its_step(seed in any::<u64>(), tries in 1_u32..40) {
            let policy = RetryPolicy { tries_max: 100, ..RetryPolicy::default() };
            let step = policy.first_pause.saturating_mul(2_u32.saturating_pow(tries - 1)).min(policy.longest_pause);
            let pause = policy.pause(&busy(None), tries, &SeededIds::new(seed)).unwrap();
            prop_assert!(pause >= step / 2 && pause <= step, "{pause:?} of {step:?}");
        }
    }
}
