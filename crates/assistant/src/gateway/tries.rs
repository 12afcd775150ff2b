//! Opening a call: at most three tries on each endpoint, and only before the first word.

use std::time::Duration;

use posx_kernel::Randomness;

use super::GatewayParts;
use super::route::Priced;
use crate::breaker::Breakers;
use crate::{ModelCall, ModelError, ModelStream};

const TRIES_MAX: u16 = 3;
/// Doubled with every try.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Who is told to wait longer goes to the fallback, or gives up.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// What was done for a call until its first word. Kept by who calls, because it may be left at any moment.
#[derive(Debug, Default)]
pub(super) struct Tried {
    pub(super) tries: u16,
    /// A try is under way: nobody knows what it cost.
    pub(super) in_flight: bool,
    /// Tries that ended without a word and without a refusal, on the main endpoint and on the fallback: each may have been billed.
    unheard: [u16; 2],
    /// The fallback is the one that is or was tried.
    pub(super) on_fallback: bool,
}

impl Tried {
    /// What is under way now is among them.
    pub(super) fn unheard(&self) -> [u16; 2] {
        let mut unheard = self.unheard;
        unheard[usize::from(self.on_fallback)] += u16::from(self.in_flight);
        unheard
    }
}

/// `Err(None)`: both endpoints rest, and nothing was called.
pub(super) async fn open(
    parts: &GatewayParts,
    breakers: &Breakers,
    (main, fallback): (&Priced, Option<&Priced>),
    call: &ModelCall,
    tried: &mut Tried,
) -> Result<ModelStream, Option<ModelError>> {
    let mut last = None;
    for (priced, is_fallback) in [(Some(main), false), (fallback, true)] {
        let Some(priced) = priced else { continue };
        if !breakers.admits(&priced.choice, parts.clock.now()) {
            continue;
        }
        tried.on_fallback = is_fallback;
        match try_endpoint(parts, breakers, priced, call, tried).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
        // What is wrong with the call itself is wrong everywhere.
        if matches!(last, Some(ModelError::TooLong)) {
            break;
        }
    }
    Err(last)
}

async fn try_endpoint(
    parts: &GatewayParts,
    breakers: &Breakers,
    priced: &Priced,
    call: &ModelCall,
    tried: &mut Tried,
) -> Result<ModelStream, ModelError> {
    let mut here = 0;
    loop {
        here += 1;
        tried.tries += 1;
        tried.in_flight = true;
        let opened = parts.model.open(&priced.endpoint, call).await;
        tried.in_flight = false;
        let error = match opened {
            // Whether it works is seen at the end of the answer.
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if matches!(error, ModelError::TimedOut | ModelError::Broken(_)) {
            tried.unheard[usize::from(tried.on_fallback)] += 1;
        }
        if is_failure(&error) {
            breakers.failed(&priced.choice, parts.clock.now());
        } else {
            breakers.succeeded(&priced.choice);
        }
        if here == TRIES_MAX || !error.may_pass() {
            return Err(error);
        }
        let Some(pause) = pause(&error, here, parts.randomness.as_ref()) else {
            return Err(error);
        };
        tokio::time::sleep(pause).await;
        if !breakers.admits(&priced.choice, parts.clock.now()) {
            return Err(error);
        }
    }
}

/// Of the endpoint. What it refuses because of the call or of the account, it has answered.
pub(super) const fn is_failure(error: &ModelError) -> bool {
    matches!(
        error,
        ModelError::Overloaded { .. }
            | ModelError::Unavailable(_)
            | ModelError::TimedOut
            | ModelError::Broken(_)
    )
}

/// As long as the provider asks for, and anywhere between nothing and the step beyond it, so that those who failed together do not
/// come back together. `None`: it asks for too long.
fn pause(error: &ModelError, tries: u16, randomness: &dyn Randomness) -> Option<Duration> {
    let asked = match error {
        ModelError::RateLimited {
            retry_after: Some(asked),
        }
        | ModelError::Overloaded { retry_after: asked } => asked.to_std().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    if asked > RETRY_AFTER_MAX {
        return None;
    }
    let step = FIRST_PAUSE
        .saturating_mul(1 << (tries - 1).min(8))
        .min(LONGEST_PAUSE);
    let mut bytes = [0; 4];
    randomness.fill(&mut bytes);
    let share = f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX);
    Some(asked + step.mul_f64(share))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use posx_kernel::SeededIds;
    use proptest::prelude::*;

    use super::*;

    fn limited(seconds: i64) -> ModelError {
        ModelError::RateLimited {
            retry_after: Some(TimeDelta::seconds(seconds)),
        }
    }

    #[test]
    fn a_wait_that_is_asked_for_too_long_is_not_waited_at_all() {
        let pause = |error| pause(&error, 1, &SeededIds::new(1));
        assert!(pause(limited(10)).is_some());
        assert_eq!(pause(limited(11)), None);
        assert!(pause(limited(-5)).unwrap() <= FIRST_PAUSE);
    }

    #[test]
    fn those_who_are_asked_to_wait_together_do_not_come_back_together() {
        let overloaded = ModelError::Overloaded {
            retry_after: TimeDelta::seconds(3),
        };
        for error in [limited(3), overloaded] {
            let pauses: Vec<_> = (0..50)
                .map(|seed| pause(&error, 1, &SeededIds::new(seed)).unwrap())
                .collect();
            let (asked, step) = (Duration::from_secs(3), FIRST_PAUSE);
            assert!(pauses.iter().all(|pause| (asked..=asked + step).contains(pause)));
            let (least, most) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
            let spread = most.abs_diff(*least);
            assert!(spread > step / 2, "{pauses:?}");
        }
    }

    #[test]
    fn pauses_grow_with_every_try_until_they_are_long_enough() {
        let longest = |tries| {
            let pauses = (0..500).map(|seed| pause(&limited(0), tries, &SeededIds::new(seed)).unwrap());
            pauses.max().unwrap().as_secs_f64()
        };
        for (tries, step) in [
            (1, 0.5),
            (2, 1.0),
            (3, 2.0),
            (4, 4.0),
            (5, 8.0),
            (6, 8.0),
            (40, 8.0),
        ] {
            let longest = longest(tries);
            assert!(
                (step * 0.95..=step).contains(&longest),
                "{tries}: {longest} of {step}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_pause_is_at_most_its_step(seed in any::<u64>(), tries in 1_u16..40) {
            let pause = pause(&ModelError::RateLimited { retry_after: None }, tries, &SeededIds::new(seed)).unwrap();
            let step = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(u32::from(tries) - 1)).min(LONGEST_PAUSE);
            prop_assert!(pause <= step, "{pause:?} of {step:?}");
        }
    }
}
