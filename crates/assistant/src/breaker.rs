//! Endpoints that fail are left alone for a while: whoever asks is told at once, and the provider is not called by everybody while
//! it comes back.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use posx_kernel::Timestamp;

use crate::ModelChoice;

/// Failures in a row after which an endpoint is left alone.
const FAILURES_MAX: u32 = 5;
/// For so long; then one call tries, and another after as long again if nothing is heard of it.
const REST: TimeDelta = TimeDelta::seconds(30);

/// Of one process. As many as there are models with a price.
#[derive(Debug, Default)]
pub(crate) struct Breakers(Mutex<HashMap<ModelChoice, Breaker>>);

#[derive(Debug, Clone, Copy, Default)]
struct Breaker {
    failures: u32,
    /// Open until then.
    rests_until: Option<Timestamp>,
}

impl Breakers {
    /// Whether to call it now. Who is let in after a rest is the one who tries.
    pub(crate) fn admits(&self, endpoint: &ModelChoice, now: Timestamp) -> bool {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = breakers.get_mut(endpoint) else {
            return true;
        };
        match breaker.rests_until {
            None => true,
            Some(until) if now < until => false,
            Some(_) => {
                breaker.rests_until = Some(now + REST);
                true
            }
        }
    }

    /// An answer that came to its end, or a refusal.
    pub(crate) fn succeeded(&self, endpoint: &ModelChoice) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(endpoint);
    }

    /// No answer, or one that broke off.
    pub(crate) fn failed(&self, endpoint: &ModelChoice, now: Timestamp) {
        let mut breakers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers.entry(endpoint.clone()).or_default();
        breaker.failures = breaker.failures.saturating_add(1);
        if breaker.failures >= FAILURES_MAX {
            breaker.rests_until = Some(now + REST);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn endpoint(model: &str) -> ModelChoice {
        ModelChoice {
            provider: "sandbox".to_owned(),
            model: model.to_owned(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn an_endpoint_that_fails_five_times_in_a_row_rests_and_another_does_not() {
        let (breakers, failing) = (Breakers::default(), endpoint("failing"));
        for _ in 0..4 {
            breakers.failed(&failing, at(0));
        }
        assert!(breakers.admits(&failing, at(0)));
        breakers.failed(&failing, at(0));
        assert!(!breakers.admits(&failing, at(29)));
        assert!(breakers.admits(&endpoint("other"), at(0)));
    }

    #[test]
    fn after_its_rest_one_call_tries_and_decides() {
        let (breakers, failing) = (Breakers::default(), endpoint("failing"));
        for _ in 0..5 {
            breakers.failed(&failing, at(0));
        }
        assert!(breakers.admits(&failing, at(30)));
        assert!(!breakers.admits(&failing, at(31)), "one tries, not all");
        breakers.failed(&failing, at(32));
        assert!(!breakers.admits(&failing, at(61)));
        assert!(breakers.admits(&failing, at(62)));
        breakers.succeeded(&failing);
        assert!(breakers.admits(&failing, at(62)) && breakers.admits(&failing, at(62)));
        breakers.failed(&failing, at(62));
        assert!(breakers.admits(&failing, at(62)), "it counts from zero again");
    }

    #[test]
    fn one_that_tries_and_is_never_heard_of_does_not_close_the_way_for_ever() {
        let (breakers, failing) = (Breakers::default(), endpoint("failing"));
        for _ in 0..5 {
            breakers.failed(&failing, at(0));
        }
        assert!(breakers.admits(&failing, at(30)));
        assert!(breakers.admits(&failing, at(60)));
    }
}
