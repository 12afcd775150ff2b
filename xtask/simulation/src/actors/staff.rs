//! Staff: send what is pending, give money back, change the plan; and what happens at the provider without them.

use std::sync::Arc;

use posx_allocations::{AllocationState, Batch, BatchState, PauseReason, StateName};
use posx_kernel::{AllocationId, IdentityId, Money, OrderId, SiteId};
use posx_orders::gateway::IntentId;
use posx_orders::{RefundReason, RequestRefund, Restock};
use uuid::Uuid;

use super::{again, call};
use crate::faults::Fault;
use crate::sim::{SECOND, instant};
use crate::world::{SiteScene, World};

pub(super) async fn has_a_day(world: &Arc<World>) {
    changes_the_plan(world);
    if world.env.strikes(Fault::RefundStorms, 3) {
        refunds(world);
    }
    if world.env.strikes(Fault::Disputes, 2) {
        disputes(world);
    }
    super::vesting::changes(world).await;
    super::agents::change_terms(world).await;
    super::agents::withdraw(world);
    super::debts::end(world);
    super::agents::settle(world).await;
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
        agree(world, scene).await;
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
        let cap = world.db.read(scene.site.id, |rows| rows.month_cap);
        let plan = crate::world::plan(&world.db, scene.site.currency, cap);
        world.db.arrange(scene.site.id, |rows| rows.plan = Some(plan));
    }
}

/// The maker, and two others who agree.
fn people(scene: &SiteScene) -> [IdentityId; 3] {
    let site = scene.site.id.as_uuid().as_u128();
    [0, 3, 4].map(|number| IdentityId::from_uuid(Uuid::from_u128(site.rotate_left(number))))
}

async fn batch(world: &Arc<World>, scene: &SiteScene, pending: &[AllocationId]) {
    let call = call(&format!("batch-{}", world.env.sim.now()), scene.site.id.as_uuid());
    let [maker, ..] = people(scene);
    for _ in 0..3 {
        let made = world
            .allocations
            .create_batch(&scene.scope, maker, pending, Some(&call));
        let ended = world.env.sim.process(made).await;
        world.env.sim.note(|| format!("batch: {ended:?}"));
        match ended {
            Ok(Ok(_)) => return,
            Ok(Err(error)) if !again(&error) => return,
            _ => world.env.sim.sleep(5 * SECOND).await,
        }
    }
}

/// Two others agree to what each batch is to send now, and what is paused goes on; some are given up.
async fn agree(world: &Arc<World>, scene: &SiteScene) {
    let (sim, scope) = (&world.env.sim, &scene.scope);
    let open = world.db.read(scene.site.id, |rows| {
        let batches = rows.batches.values();
        let open = batches.filter(|batch| matches!(batch.state, BatchState::Draft | BatchState::Paused));
        open.cloned().collect::<Vec<Batch>>()
    });
    for batch in open {
        // What was lost on its way is not sent any more once its order changed: it is given up.
        let stuck = batch.paused_because == Some(PauseReason::Changed)
            && world.db.read(scene.site.id, |rows| {
                let mut lines = rows.batch_lines.iter().filter(|((id, _), _)| *id == batch.id);
                lines.any(|(_, line)| line.state == StateName::Unknown)
            });
        if stuck || sim.one_in(10) {
            let ended = sim
                .process(world.allocations.discard_batch(scope, batch.id))
                .await;
            sim.note(|| format!("{} is given up: {ended:?}", batch.id));
            continue;
        }
        let [_, first, second] = people(scene);
        for by in [first, second]
            .into_iter()
            .filter(|_| !batch.is_approved(instant(sim.now())))
        {
            let seen = world.db.read(scene.site.id, |rows| rows.batches[&batch.id].hash);
            let approving = world.allocations.approve_batch(scope, batch.id, &seen, by, None);
            let ended = sim.process(approving).await;
            sim.note(|| format!("{} is agreed to: {ended:?}", batch.id));
        }
        if batch.state == BatchState::Paused {
            let ended = sim
                .process(world.allocations.resume_batch(scope, batch.id, None))
                .await;
            sim.note(|| format!("{} goes on: {ended:?}", batch.id));
        }
    }
}
