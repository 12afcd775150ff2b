//! Agents take out what they earned, and staff settle it: two people, who are sometimes not told what came of it.

use std::sync::Arc;

use posx_commissions::{
    LevelRate, NewTerms, NewWithdrawal, Payout, PayoutMethod, PayoutState, Settlement, SettlementState, Terms,
};
use posx_kernel::{IdentityId, Money, PartyId, WithdrawalId};
use uuid::Uuid;

use super::{again, call};
use crate::sim::{MINUTE, SECOND};
use crate::world::{SiteScene, World, rate};

/// Who makes settlements, and who approves of them.
fn people(scene: &SiteScene) -> (IdentityId, IdentityId) {
    let site = scene.site.id.as_uuid().as_u128();
    let person = |number: u32| IdentityId::from_uuid(Uuid::from_u128(site.rotate_left(number)));
    (person(1), person(2))
}

/// From now on some have rates of their own.
pub(super) async fn change_terms(world: &Arc<World>) {
    let sim = &world.env.sim;
    for scene in &world.sites {
        if !sim.one_in(3) {
            continue;
        }
        let level = |level| LevelRate {
            level,
            rate: rate(sim.between(1, 400)),
        };
        let wish = NewTerms {
            terms: Terms {
                levels: (1..=2).map(level).collect(),
                ..Terms::default()
            },
            effective_from: None,
        };
        let agent = *sim.pick(&scene.parties);
        let mut call = call(&format!("terms-{}", sim.now()), scene.site.id.as_uuid());
        call.operation = "POST /agents/{id}/terms";
        let recording = world
            .commissions
            .record_terms(&scene.scope, agent, wish, Some(&call));
        let ended = sim.process(recording).await;
        sim.note(|| format!("terms of {agent}: {ended:?}"));
    }
}

/// Some ask for a part of what they have, some twice.
pub(super) fn withdraw(world: &Arc<World>) {
    let sim = &world.env.sim;
    for (at, scene) in world.sites.iter().enumerate() {
        for agent in scene.parties.iter().copied() {
            for number in 0..sim.between(0, 2) {
                if !sim.one_in(2) {
                    continue;
                }
                let (world, key) = (Arc::clone(world), format!("out-{agent}-{}-{number}", sim.now()));
                sim.spawn(format!("agent {agent}"), async move {
                    asks(&world, at, agent, &key).await;
                });
            }
        }
    }
}

async fn asks(world: &World, at: usize, agent: PartyId, key: &str) {
    let (sim, scene) = (&world.env.sim, &world.sites[at]);
    sim.lag(1, 2 * MINUTE).await;
    let step = scene.site.currency.charge_step();
    let had: i64 = world.db.read(scene.site.id, |rows| {
        let own = rows.commissions.values().filter(|one| one.agent == agent);
        own.map(|one| one.left().minor()).sum()
    });
    let minor = had / sim.between(1, 3) / step * step;
    let wish = NewWithdrawal {
        agent,
        amount: Money::from_minor(minor.max(step), scene.site.currency),
        method: PayoutMethod::Connect,
    };
    let mut call = call(key, agent.as_uuid());
    call.operation = "POST /me/withdrawals";
    for _ in 0..3 {
        let asking = world.payouts.request_withdrawal(&scene.scope, wish, Some(&call));
        let ended = sim.process(asking).await;
        sim.note(|| format!("{agent} takes out {}: {ended:?}", wish.amount));
        match ended {
            Ok(Ok(_)) => return,
            Ok(Err(error)) if !again(&error) => return,
            _ => sim.lag(SECOND, 10 * SECOND).await,
        }
    }
}

/// One makes a preview, another approves of it or throws it away; and whatever waits for a person is decided on.
pub(super) async fn settle(world: &Arc<World>) {
    let sim = &world.env.sim;
    for scene in &world.sites {
        if sim.one_in(2) {
            preview(world, scene).await;
        }
        sim.lag(1, 10 * SECOND).await;
        let drop_it = sim.one_in(5);
        decide(world, scene, drop_it).await;
        if sim.one_in(2) {
            attend(world, scene, false).await;
        }
    }
}

async fn preview(world: &World, scene: &SiteScene) {
    let sim = &world.env.sim;
    let (maker, _) = people(scene);
    let method = *sim.pick(&[PayoutMethod::Connect, PayoutMethod::Connect, PayoutMethod::Manual]);
    let mut call = call(&format!("settle-{}", sim.now()), scene.site.id.as_uuid());
    call.operation = "POST /settlements";
    let previewing = world.payouts.preview(&scene.scope, method, maker, Some(&call));
    let ended = sim.process(previewing).await;
    sim.note(|| format!("settlement: {ended:?}"));
}

async fn decide(world: &World, scene: &SiteScene, drop_it: bool) {
    let sim = &world.env.sim;
    let (maker, checker) = people(scene);
    let drafts = world.db.read(scene.site.id, |rows| {
        let drafts = rows
            .settlements
            .values()
            .filter(|one| one.state == SettlementState::Draft);
        drafts.cloned().collect::<Vec<Settlement>>()
    });
    for draft in drafts {
        if drop_it {
            let ended = sim.process(world.payouts.discard(&scene.scope, draft.id)).await;
            sim.note(|| format!("{} is thrown away: {ended:?}", draft.id));
            continue;
        }
        let by = if sim.one_in(8) { maker } else { checker };
        let mut call = call(
            &format!("approve-{}-{}", draft.id, draft.revision),
            scene.site.id.as_uuid(),
        );
        call.operation = "POST /settlements/{id}/approve";
        let approving =
            world
                .payouts
                .approve_settlement(&scene.scope, draft.id, &draft.hash, by, Some(&call));
        let ended = sim.process(approving).await;
        sim.note(|| format!("{} is approved of: {ended:?}", draft.id));
    }
}

/// Decides on withdrawals, pays by hand, and tries again or gives up what failed. `last`: nothing is tried any more.
async fn attend(world: &World, scene: &SiteScene, last: bool) {
    let waiting = world.db.read(scene.site.id, |rows| {
        rows.payouts.values().cloned().collect::<Vec<Payout>>()
    });
    let (sim, scope, (_, checker)) = (&world.env.sim, &scene.scope, people(scene));
    for payout in waiting {
        let (id, withdrawal) = (payout.id, WithdrawalId::from_uuid(payout.id.as_uuid()));
        let ended = match (payout.state, payout.method) {
            (PayoutState::Requested, _) if sim.one_in(4) => {
                let rejecting = world
                    .payouts
                    .reject_withdrawal(scope, withdrawal, "no", checker, None);
                sim.process(rejecting).await
            }
            (PayoutState::Requested, _) if sim.one_in(6) => {
                let cancelling = world
                    .payouts
                    .cancel_withdrawal(scope, withdrawal, payout.agent, None);
                sim.process(cancelling).await
            }
            (PayoutState::Requested, _) => {
                let approving = world.payouts.approve_withdrawal(scope, withdrawal, checker, None);
                sim.process(approving).await
            }
            (PayoutState::Approved, PayoutMethod::Manual) if !last && sim.one_in(6) => {
                let giving = world.payouts.give_back(scope, id, "not now", checker, None);
                sim.process(giving).await
            }
            (PayoutState::Approved, PayoutMethod::Manual) => {
                sim.process(world.payouts.mark_paid(scope, id, "by hand", None))
                    .await
            }
            (PayoutState::Failed, _) if last || sim.one_in(2) => {
                let giving = world.payouts.give_back(scope, id, "it failed", checker, None);
                sim.process(giving).await
            }
            (PayoutState::Failed, _) => sim.process(world.payouts.retry(scope, id, None)).await,
            _ => continue,
        };
        sim.note(|| format!("{id}, {:?}: {ended:?}", payout.state));
    }
}

/// What is open when the doors are closed comes to its end.
pub(crate) async fn finish(world: &Arc<World>) {
    for scene in &world.sites {
        decide(world, scene, world.env.sim.one_in(3)).await;
        attend(world, scene, true).await;
    }
}
