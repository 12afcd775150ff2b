//! Staff change how what tiers sell is vested, move starts, and take back what is locked.

use std::sync::Arc;

use chrono::Days;

use super::call;
use crate::world::World;

pub(super) async fn changes(world: &Arc<World>) {
    let sim = &world.env.sim;
    for scene in &world.sites {
        let (policies, schedules) = world.db.read(scene.site.id, |rows| {
            let policies: Vec<_> = rows.policies.values().cloned().collect();
            let schedules: Vec<_> = rows.schedules.keys().copied().collect();
            (policies, schedules)
        });
        if policies.is_empty() {
            continue;
        }
        let mut call = call(&format!("vesting-{}", sim.now()), scene.site.id.as_uuid());
        if sim.one_in(4) {
            let policy = sim.pick(&policies);
            let by = Days::new(u64::try_from(sim.between(0, 2)).unwrap_or(0));
            let moved = policy.starts_on.and_then(|day| day.checked_add_days(by));
            let moving = world
                .allocations
                .move_start(&scene.scope, policy.id, policy.revision, moved);
            let ended = sim.process(moving).await;
            sim.note(|| format!("start of {}: {ended:?}", policy.id));
        }
        if sim.one_in(4) {
            let (tier, policy) = (*sim.pick(&scene.tiers), sim.pick(&policies).id);
            let policy = (!sim.one_in(3)).then_some(policy);
            call.operation = "POST /tiers/{id}/vesting";
            let setting = world
                .allocations
                .set_tier_vesting(&scene.scope, tier, policy, Some(&call));
            let ended = sim.process(setting).await;
            sim.note(|| format!("vesting of {tier}: {ended:?}"));
        }
        if !schedules.is_empty() && sim.one_in(4) {
            let schedule = *sim.pick(&schedules);
            call.operation = "POST /vesting-schedules/{id}/revoke";
            let revoking = world
                .allocations
                .revoke_vesting(&scene.scope, schedule, "left", Some(&call));
            let ended = sim.process(revoking).await;
            sim.note(|| format!("revoking {schedule}: {ended:?}"));
        }
    }
}
