//! Deterministic simulation: the real services of orders, commissions and allocations over a store in memory, with the
//! payment provider, the custodian, the job queue and the clock in the hand of one seed.
//!
//! Invariants:
//! * One seed and one build give one run, to the step: nothing here asks the machine for time, chance or order.
//! * The services are those of the product, unchanged. What is planted to see whether it is found stands around them.
//! * A run ends calm: the faults stop, what is left is worked off, and then everything must add up.

mod actors;
mod bugs;
mod check;
mod custodian;
mod env;
mod faults;
mod jobs;
mod payments;
mod queue;
mod reactions;
mod sim;
mod store;
#[cfg(test)]
mod tests;
mod transfers;
mod webhooks;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use bugs::Bug;
pub use faults::Fault;

use env::Env;
use sim::{DAY, Executor, MINUTE, SECOND, Sim};
use world::World;

/// What a run is asked for, beside its seed.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these faults; `None`: the seed draws them.
    pub faults: Option<Vec<Fault>>,
    /// What is planted.
    pub bug: Option<Bug>,
    /// Whether the run is written down.
    pub traced: bool,
}

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Run {
    pub seed: u64,
    pub faults: Vec<Fault>,
    /// What is wrong at its end; nothing, if all is well.
    pub broken: Vec<String>,
    /// Of all that happened, in its order.
    pub fingerprint: u64,
    pub steps: u64,
    pub trace: Vec<String>,
}

/// No run needs as many: one that goes on for longer goes round in circles.
const STEPS_MAX: u64 = 400_000;

/// One run, from its seed to its verdict.
pub fn run(seed: u64, options: &Options) -> Run {
    let sim = Sim::new(seed, options.traced);
    let drawn: BTreeSet<_> = match &options.faults {
        Some(faults) => faults.iter().copied().collect(),
        None => Fault::ALL.iter().copied().filter(|_| sim.one_in(2)).collect(),
    };
    let faults = drawn.iter().copied().collect();
    let played = catch_unwind(AssertUnwindSafe(|| play(&sim, drawn, options.bug, seed)));
    let broken = played.unwrap_or_else(|panic| vec![format!("panicked: {}", text_of(panic.as_ref()))]);
    let (fingerprint, steps) = sim.fingerprint();
    Run {
        seed,
        faults,
        broken,
        fingerprint,
        steps,
        trace: sim.take_trace(),
    }
}

fn text_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

fn play(sim: &Arc<Sim>, faults: BTreeSet<Fault>, bug: Option<Bug>, seed: u64) -> Vec<String> {
    let env = Env::new(Arc::clone(sim), faults, bug);
    let world = World::new(&env, seed);
    if env.has(Fault::Crashes) {
        sim.crash_one_in(*sim.pick(&[30, 80, 200]));
    }
    if sim.one_in(2) {
        sim.beat(*sim.pick(&[10 * SECOND, 2 * MINUTE, 5 * MINUTE]));
    }
    let mut executor = Executor::new(sim);
    for number in 0..sim.between(2, 4) {
        sim.spawn(format!("worker {number}"), jobs::worker(Arc::clone(&world)));
    }
    actors::enter(&world);
    let mut ends = executor.run(actors::DOORS_CLOSE, STEPS_MAX);
    env.calm();
    sim.note(|| "calm".to_owned());
    sim.spawn("settling", jobs::settle(Arc::clone(&world)));
    ends = ends && executor.run(200 * DAY, STEPS_MAX);
    if !ends {
        return vec!["the run does not end".to_owned()];
    }
    check::all(&world)
}
