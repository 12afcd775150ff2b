//! Staff: send what is pending, give money back, change the plan; and what happens at the provider without them.

use std::sync::Arc;

use posx_allocations::AllocationState;
use posx_kernel::{AllocationId, IdentityId, Money, OrderId, SiteId};
use posx_orders::gateway::IntentId;
use posx_orders::{RefundReason, RequestRefund, Restock};

use super::{again, call};
use crate::faults::Fault;
use crate::sim::SECOND;
use crate::world::{SiteScene, World};

pub(super) async fn has_a_day(world: &Arc<World>) {
    changes_the_plan(world);
    if world.env.strikes(Fault::RefundStorms, 3) {
        refunds(world);
    }
    if world.env.strikes(Fault::Disputes, 2) {
        disputes(world);
    }
    works(world).await;
}

/// Staff put what is pending in batches, and send again what failed and may be sent again.
pub(crate) async fn works(world: &Arc<World>) {
    for scene in &world.sites {
        let (mut pending, mut failed) = (Vec::new(), Vec::new());
        world.db.read(scene.site.id, |rows| {
            for allocation in rows.allocations.values() {
                match &allocation.state {
                    AllocationState::Pending if allocation.parked.is_none() => pending.push(allocation.id),
                    AllocationState::Failed {
                        needs_person: false,
                        tx_hash: None,
                        ..
                    } => failed.push(allocation.id),
                    _ => {}
                }
            }
        });
        if !pending.is_empty() {
            batch(world, scene, &pending).await;
        }
        for id in failed {
            let retried = world.allocations.retry(&scene.scope, id);
            let ended = world.env.sim.process(retried).await;
            world.env.sim.note(|| format!("retry of {id}: {ended:?}"));
        }
    }
}

/// Staff give money back, and so does somebody at the provider: in parts, twice, and at once.
fn refunds(world: &Arc<World>) {
    let sim = &world.env.sim;
    for (at, scene) in world.sites.iter().enumerate() {
        let paid = world.db.read(scene.site.id, |rows| {
            let paid = rows.orders.values().filter(|order| order.captured.is_positive());
            paid.map(|order| (order.id, order.total)).collect::<Vec<_>>()
        });
        for (order, total) in paid {
            let wishes = sim.between(0, 3);
            for number in 0..wishes {
                let step = total.currency().charge_step();
                let part = total.minor() / sim.between(1, 7) / step * step;
                let wish = RequestRefund {
                    order,
                    amount: (part > 0 && !sim.one_in(4)).then(|| Money::from_minor(part, total.currency())),
                    at_most: total,
                    reason: RefundReason::RequestedByCustomer,
                    note: None,
                    restock: *sim.pick(&[Restock::Undelivered, Restock::None]),
                };
                let (world, key) = (
                    Arc::clone(world),
                    format!("refund-{order}-{}-{number}", sim.now()),
                );
                sim.spawn(format!("staff {at}"), async move {
                    refund(&world, at, &wish, &key).await;
                });
            }
            if sim.one_in(4) {
                at_the_provider(world, scene.site.id, order, |intent| {
                    world.payments.refund_at_dashboard(intent);
                });
            }
        }
    }
}

async fn refund(world: &World, at: usize, wish: &RequestRefund, key: &str) {
    let scope = &world.sites[at].scope;
    let mut call = call(key, scope.site().as_uuid());
    call.operation = "POST /orders/{id}/refunds";
    for _ in 0..3 {
        let asked = world.orders.request_refund(scope, wish, Some(&call));
        let ended = world.env.sim.process(asked).await;
        world
            .env
            .sim
            .note(|| format!("refund of {}: {ended:?}", wish.order));
        match ended {
            Ok(Err(error)) if !again(&error) => return,
            Ok(Ok(_)) => return,
            _ => world.env.sim.lag(SECOND, 10 * SECOND).await,
        }
    }
}

/// Some buyers want their money back from their bank.
fn disputes(world: &Arc<World>) {
    for scene in &world.sites {
        let paid = world.db.read(scene.site.id, |rows| {
            let paid = rows.orders.values().filter(|order| order.captured.is_positive());
            paid.map(|order| order.id).collect::<Vec<_>>()
        });
        for order in paid {
            if world.env.sim.one_in(5) {
                at_the_provider(world, scene.site.id, order, |intent| {
                    world.payments.dispute_opens(intent);
                });
            }
        }
    }
}

/// With one of the order's intents.
fn at_the_provider(world: &World, site: SiteId, order: OrderId, act: impl Fn(&IntentId)) {
    let intents = world.db.read(site, |rows| {
        let of_order = rows.attempts.values().filter(|attempt| attempt.order == order);
        of_order
            .filter_map(|attempt| attempt.intent.clone())
            .collect::<Vec<_>>()
    });
    if !intents.is_empty() {
        act(world.env.sim.pick(&intents));
    }
}

/// From then on orders freeze another plan.
fn changes_the_plan(world: &World) {
    for scene in world.sites.iter().filter(|_| world.env.sim.one_in(4)) {
        let plan = crate::world::plan(&world.db, scene.site.currency);
        world.db.arrange(scene.site.id, |rows| rows.plan = Some(plan));
    }
}

async fn batch(world: &Arc<World>, scene: &SiteScene, pending: &[AllocationId]) {
    let call = call(&format!("batch-{}", world.env.sim.now()), scene.site.id.as_uuid());
    let actor = IdentityId::from_uuid(scene.site.id.as_uuid());
    for _ in 0..3 {
        let made = world
            .allocations
            .create_batch(&scene.scope, actor, pending, Some(&call));
        let ended = world.env.sim.process(made).await;
        world.env.sim.note(|| format!("batch: {ended:?}"));
        match ended {
            Ok(Ok(_)) => return,
            Ok(Err(error)) if !again(&error) => return,
            _ => world.env.sim.sleep(5 * SECOND).await,
        }
    }
}
