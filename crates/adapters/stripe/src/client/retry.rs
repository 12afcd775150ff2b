use std::time::Duration;

use posx_kernel::Randomness;

use super::answer::Answer;

/// When the same request is sent again, with its key. Only for answers that say so: rate limits, locks, and whatever
/// carries `stripe-should-retry: true`. A 500 is stored with its key, so trying again would only read it again (S02).
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
    /// At most about 1.5 seconds of waiting unless Stripe asks for more: a buyer waits for it.
    fn default() -> Self {
        Self {
            tries_max: 3,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(5),
        }
    }
}

impl RetryPolicy {
    /// How long to wait before the next try; `None` to stay with this answer.
    pub(super) fn pause(&self, answer: &Answer, tries: u32, randomness: &dyn Randomness) -> Option<Duration> {
        if tries >= self.tries_max || !answer.may_be_tried_again() {
            return None;
        }
        let asked = answer.retry_after().unwrap_or_default();
        if asked > self.longest_pause {
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
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        });
        Answer::new(
            StatusCode::from_u16(status).unwrap(),
            &headers.collect::<HeaderMap>(),
            Vec::new(),
        )
    }

    fn pause(answer: &Answer, tries: u32) -> Option<Duration> {
        RetryPolicy::default().pause(answer, tries, &SeededIds::new(1))
    }

    #[test]
    fn s08_only_what_may_be_tried_again_is() {
        for (status, hint, again) in [
            (429, None, true),
            (409, None, true),
            (429, Some("false"), false),
            (409, Some("false"), false),
            (500, None, false),
            (500, Some("true"), true),
            (503, None, false),
            (400, None, false),
            (402, Some("true"), true),
            (401, None, false),
            (200, Some("true"), false),
        ] {
            let headers: Vec<_> = hint
                .map(|hint| ("stripe-should-retry", hint))
                .into_iter()
                .collect();
            assert_eq!(
                pause(&answer(status, &headers), 1).is_some(),
                again,
                "{status} {hint:?}"
            );
        }
    }

    #[test]
    fn s08_trying_again_ends() {
        let busy = answer(429, &[]);
        assert!(pause(&busy, 1).is_some() && pause(&busy, 2).is_some());
        assert_eq!(pause(&busy, 3), None);
    }

    #[test]
    fn s08_the_wait_that_stripe_asks_for_is_kept_or_not_waited_at_all() {
        assert_eq!(
            pause(&answer(429, &[("retry-after", "3")]), 1),
            Some(Duration::from_secs(3))
        );
        assert_eq!(pause(&answer(429, &[("retry-after", "60")]), 1), None);
        for nonsense in ["-1", "soon", "1e9", "99999999999999999999"] {
            let pause = pause(&answer(429, &[("retry-after", nonsense)]), 1).unwrap();
            assert!(pause <= Duration::from_millis(500), "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn s08_a_pause_is_between_half_and_all_of_its_step(seed in any::<u64>(), tries in 1_u32..40) {
            let policy = RetryPolicy { tries_max: 100, ..RetryPolicy::default() };
            let step = policy.first_pause.saturating_mul(2_u32.saturating_pow(tries - 1)).min(policy.longest_pause);
            let pause = policy.pause(&answer(429, &[]), tries, &SeededIds::new(seed)).unwrap();
            prop_assert!(pause >= step / 2 && pause <= step, "{pause:?} of {step:?}");
        }
    }
}
