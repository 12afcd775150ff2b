//! The job runner: what happens after a commit, and by the clock.
//!
//! Invariants:
//! * A job belongs to the site that the database stamped on it. [`scope`] turns that stamp into a
//!   [`SiteScope`](posx_kernel::SiteScope), in one place, and only for an active site: a suspended site's jobs wait, and
//!   waiting costs them no try. Retention alone goes on.
//! * Every job is idempotent: it may run again after a crash, or at the same time elsewhere.
//! * A refusal that no repetition would change ends its job; anything else is tried again with back-off, and after its
//!   last try the job is dead: counted, logged as an error, listed, and replayed by a person.
//! * A job that kills its worker uses up its tries as well: it does not take one worker after the other.
//! * A failure is logged once, with its whole chain, here.
//!
//! A job's `run_at` is by the database's clock; business times inside a job are by `services.clock`.

mod drain;
mod error;
mod jobs;
mod queue;
mod registry;
mod runner;
mod scope;
mod task;
mod tick;
mod worker;

pub use drain::{Drained, Failure, drain, drain_site};
pub use jobs::{check_books, check_trail, reconcile_day};
pub use tick::{Tick, tick, tick_site};
pub use worker::{RunError, run};
