//! Somebody gives tokens back, the tier sells them again, and then they are the first buyer's after all: a person adds to the
//! supply, and has the job run again that found too few.

use std::sync::Arc;

use posx_kernel::{IdentityId, OrderId, SiteId, TierId};
use posx_tiers::CorrectSupply;

use super::call;
use crate::check::is_sold_again;
use crate::queue::{JobState, QueuedJob};
use crate::world::World;

pub(crate) async fn restore(world: &Arc<World>) {
    let sim = &world.env.sim;
    for (site, order) in sold_again(world) {
        let Some(scene) = world.sites.iter().find(|scene| scene.site.id == site) else {
            continue;
        };
        let wanted: Vec<(TierId, i64)> = world.db.read(site, |rows| {
            let lines = rows.orders.get(&order).map(|order| order.lines.clone());
            let lines = lines.unwrap_or_default();
            lines
                .iter()
                .map(|line| (line.tier, i64::from(line.quantity)))
                .collect()
        });
        for (tier, quantity) in wanted {
            let wish = CorrectSupply {
                tier,
                quantity,
                reason: "sold again before it was restored".to_owned(),
            };
            let mut call = call(&format!("supply-{order}-{tier}-{}", sim.now()), site.as_uuid());
            call.operation = "POST /tiers/{id}/supply-corrections";
            let by = IdentityId::from_uuid(site.as_uuid());
            let corrected = sim.process(world.tiers.correct_supply(&scene.scope, by, wish, Some(&call)));
            let corrected = corrected.await;
            sim.note(|| format!("{quantity} more of {tier}: {corrected:?}"));
        }
    }
    let refused = |job: &QueuedJob| job.state == JobState::Refused && is_sold_again(job);
    if world.db.state().queue.replay(sim.now(), refused) > 0 {
        sim.job_added();
    }
}

/// Orders whose tokens were to be restored and are not there.
fn sold_again(world: &World) -> Vec<(SiteId, OrderId)> {
    let state = world.db.state();
    let refused = state
        .queue
        .all()
        .filter(|job| job.state == JobState::Refused && is_sold_again(job));
    let order = |job: &QueuedJob| {
        let order = job.payload["order"].as_str()?;
        Some((job.site, OrderId::from_uuid(uuid::Uuid::try_parse(order).ok()?)))
    };
    refused.filter_map(order).collect()
}
