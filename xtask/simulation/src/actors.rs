//! Who acts in a run: buyers, staff, the schedule, and the one who sets the machines' clock.

mod agents;
mod buyer;
mod debts;
mod staff;
mod supply;
mod vesting;

use std::sync::Arc;

use posx_kernel::{IdempotentCall, Kind, Refusal, Review};
use uuid::Uuid;

pub(crate) use self::agents::finish as finish_payouts;
use self::buyer::Buyer;
pub(crate) use self::staff::works;
pub(crate) use self::supply::restore as restore_supply;
use crate::faults::Fault;
use crate::queue::NewJob;
use crate::sim::{HOUR, MINUTE, Millis, SECOND, instant};
use crate::world::World;

/// When buyers have stopped coming.
pub(crate) const DOORS_CLOSE: Millis = 40 * MINUTE;

pub(crate) fn enter(world: &Arc<World>) {
    let sim = &world.env.sim;
    for (at, scene) in world.sites.iter().enumerate() {
        for number in 0..scene.parties.len() {
            for visit in 0..sim.between(1, 2) {
                let buyer = Buyer::new(world, at, number, format!("{number}-{visit}"));
                sim.spawn(format!("buyer {at}.{number}.{visit}"), async move {
                    buyer.visits().await;
                });
            }
        }
    }
    let schedule = Arc::clone(world);
    sim.spawn("schedule", async move {
        while schedule.env.sim.now() < DOORS_CLOSE {
            tick(&schedule);
            schedule.env.sim.lag(2 * MINUTE, 6 * MINUTE).await;
        }
    });
    let office = Arc::clone(world);
    sim.spawn("staff", async move {
        while office.env.sim.now() < DOORS_CLOSE {
            office.env.sim.lag(2 * MINUTE, 8 * MINUTE).await;
            staff::has_a_day(&office).await;
        }
    });
    if world.env.has(Fault::ClockJumps) {
        let time = Arc::clone(world);
        sim.spawn("time", async move {
            while time.env.has(Fault::ClockJumps) {
                let sim = &time.env.sim;
                sim.lag(MINUTE, 10 * MINUTE).await;
                let by = if sim.one_in(3) {
                    sim.between(MINUTE, 2 * HOUR)
                } else {
                    sim.between(-20 * SECOND, 20 * SECOND)
                };
                sim.note(|| format!("the clock jumps by {by} ms"));
                sim.shift_clock(by);
            }
        });
    }
}

/// The schedule's jobs, once, for every site.
pub(crate) fn tick(world: &World) {
    let now = world.env.sim.now();
    for scene in &world.sites {
        for task in [
            "expire_orders",
            "reconcile_payments",
            "reconcile_allocations",
            "mature_commissions",
            "watch_disputes",
            "unlock_vesting",
            "reconcile_payouts",
        ] {
            let job = NewJob {
                task,
                payload: serde_json::json!({}),
                key: task.to_owned(),
                delay: 0,
                tries: 5,
            };
            world.db.state().queue.add(scene.site.id, job, now);
        }
    }
    world.env.sim.job_added();
}

fn call(key: &str, actor: Uuid) -> IdempotentCall {
    IdempotentCall {
        actor: actor.to_string(),
        operation: "POST /orders",
        key: key.to_owned(),
        fingerprint: [7; 32],
        review: Review::NotNeeded,
        at: instant(0),
    }
}

/// Whether a client tries again after this: nothing is known, or it was only not possible now.
fn again(error: &impl Refusal) -> bool {
    error.kind() == Kind::Unavailable || error.code() == "idempotency_key_in_progress"
}
