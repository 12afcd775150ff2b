use std::time::Duration;

use super::Notice;

/// How what happens from now on is delivered. The default is once, at once, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPlan {
    /// How many times each notice is sent, one after the other; 0 means 1.
    pub copies: u32,
    /// Real time between what happened and its first notice.
    pub delay: Duration,
    /// Kinds that are sent after the other notices of the same happening: `payment_intent.processing` after
    /// `payment_intent.succeeded`.
    pub last: Vec<String>,
    /// Kinds that are never sent, unless they are sent again by [`Webhooks::resend`](super::Webhooks::resend).
    pub dropped: Vec<String>,
}

impl Default for DeliveryPlan {
    fn default() -> Self {
        Self {
            copies: 1,
            delay: Duration::ZERO,
            last: Vec::new(),
            dropped: Vec::new(),
        }
    }
}

impl DeliveryPlan {
    pub(super) fn drops(&self, kind: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped == kind)
    }

    pub(super) fn in_order(&self, mut batch: Vec<Notice>) -> Vec<Notice> {
        batch.sort_by_key(|notice| self.last.contains(&notice.kind));
        batch
    }
}

/// How often a notice that was not accepted is sent again: days at the real providers, seconds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The first try included.
    pub attempts_max: u32,
    pub first_pause: Duration,
    /// Each pause is twice the one before, up to this.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 8,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
        }
    }
}

impl RetryPolicy {
    pub(super) fn pause_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        (self.first_pause.saturating_mul(2_u32.pow(doublings))).min(self.longest_pause)
    }
}
