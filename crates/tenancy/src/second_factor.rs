//! A second factor of our own, for whom the identity provider vouches for none: a time-based code (RFC 6238), and recovery
//! codes for the day that the phone is gone.
//!
//! Invariants:
//! * A step's code is taken once, a recovery code once.
//! * Wrong codes make the person wait, longer each time, and tries at the same moment are counted one after another.
//! * A proof is of one sign-in, for [`PROOF_LIFE`]: another token of the same person has proven nothing.

mod codes;
mod error;
mod ports;
mod service;
#[cfg(test)]
mod tests;

use chrono::TimeDelta;
use posx_kernel::{FactorId, IdentityId, Sealed, Timestamp};

pub use codes::{RECOVERY_CODES, RecoveryCode};
pub use error::SecondFactorError;
pub use ports::{SecondFactorRepository, SecondFactorsTx};
pub use service::{Enrolment, FactorStanding, SecondFactors, SignInKey};

/// How long a sign-in counts as proven.
pub const PROOF_LIFE: TimeDelta = TimeDelta::minutes(10);

/// Wrong codes in a row before one waits.
const FAILURES_FREE: u32 = 5;
/// Three codes of a million are good at any time. At one try an hour, which is what it comes to, someone who guesses for a
/// whole day is right in 1 of 10,000 cases.
const WAIT_S_FIRST: i64 = 30;
const WAIT_S_MAX: i64 = 60 * 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    pub id: FactorId,
    pub identity: IdentityId,
    pub state: FactorState,
    /// Of the last code that was taken.
    pub last_step: Option<i64>,
    /// In a row.
    pub failures: u32,
    pub locked_until: Option<Timestamp>,
    pub created_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactorState {
    /// Shown, and no code of it seen yet.
    Pending {
        secret: Sealed,
    },
    Active {
        secret: Sealed,
        confirmed_at: Timestamp,
    },
    Removed {
        at: Timestamp,
        confirmed_at: Option<Timestamp>,
    },
}

/// What a try at a code came to. Whatever it is, it is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    Right,
    Wrong,
    /// Not looked at.
    Locked {
        until: Timestamp,
    },
}

impl SecondFactor {
    pub const fn secret(&self) -> Option<&Sealed> {
        match &self.state {
            FactorState::Pending { secret } | FactorState::Active { secret, .. } => Some(secret),
            FactorState::Removed { .. } => None,
        }
    }

    pub const fn is_active(&self) -> bool {
        matches!(self.state, FactorState::Active { .. })
    }

    pub const fn is_pending(&self) -> bool {
        matches!(self.state, FactorState::Pending { .. })
    }

    /// `step` is that of the code, if it is one of this factor's.
    pub fn try_step(&mut self, step: Option<i64>, now: Timestamp) -> Tried {
        let fresh = step.filter(|step| self.last_step.is_none_or(|last| *step > last));
        let tried = self.try_code(fresh.is_some(), now);
        if tried == Tried::Right {
            self.last_step = fresh;
        }
        tried
    }

    pub fn try_code(&mut self, right: bool, now: Timestamp) -> Tried {
        if let Some(until) = self.locked_until.filter(|until| now < *until) {
            return Tried::Locked { until };
        }
        if right {
            self.failures = 0;
            self.locked_until = None;
            return Tried::Right;
        }
        self.failures = self.failures.saturating_add(1);
        self.locked_until = wait_s(self.failures).map(|wait_s| now + TimeDelta::seconds(wait_s));
        Tried::Wrong
    }

    /// Whether one must wait before the next try.
    pub fn locked(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| now < *until)
    }

    pub(crate) fn confirm(&mut self, now: Timestamp) {
        if let FactorState::Pending { secret } = &self.state {
            self.state = FactorState::Active {
                secret: secret.clone(),
                confirmed_at: now,
            };
        }
    }

    pub(crate) fn remove(&mut self, now: Timestamp) {
        let confirmed_at = match self.state {
            FactorState::Pending { .. } => None,
            FactorState::Active { confirmed_at, .. } => Some(confirmed_at),
            FactorState::Removed { .. } => return,
        };
        self.state = FactorState::Removed {
            at: now,
            confirmed_at,
        };
    }
}

/// After so many failures in a row.
fn wait_s(failures: u32) -> Option<i64> {
    let beyond = failures.checked_sub(FAILURES_FREE)?;
    let doubled = 1_i64.checked_shl(beyond).filter(|doubled| *doubled > 0);
    Some(
        doubled
            .and_then(|doubled| WAIT_S_FIRST.checked_mul(doubled))
            .map_or(WAIT_S_MAX, |wait_s| wait_s.min(WAIT_S_MAX)),
    )
}
