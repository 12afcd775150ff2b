//! Time as a port.

use std::sync::Mutex;

use chrono::{DateTime, Duration, SubsecRound, Utc};

/// An instant in UTC. Stored as `timestamptz`, shown as RFC 3339. Microseconds are the finest step, because that is
/// what the database keeps: an instant read back equals the one that was written.
pub type Timestamp = DateTime<Utc>;

/// The only source of "now".
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        Utc::now().trunc_subsecs(6)
    }
}

/// A clock that runs with the machine's and can be moved ahead: the demo and the tests wait for nothing.
#[derive(Debug, Default)]
pub struct ManualClock {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Running { ahead: Duration },
    Stopped { at: Timestamp },
}

impl Default for State {
    fn default() -> Self {
        State::Running {
            ahead: Duration::zero(),
        }
    }
}

impl ManualClock {
    /// Stands still at `at` until it is moved.
    pub fn stopped_at(at: Timestamp) -> Self {
        Self {
            state: Mutex::new(State::Stopped {
                at: at.trunc_subsecs(6),
            }),
        }
    }

    /// Moves the clock ahead by `by`; a negative duration moves it back.
    pub fn advance(&self, by: Duration) {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match &mut *state {
            State::Running { ahead } => *ahead += by,
            State::Stopped { at } => *at += by,
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        match *self
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
        {
            State::Running { ahead } => SystemClock.now() + ahead,
            State::Stopped { at } => at,
        }
    }
}
