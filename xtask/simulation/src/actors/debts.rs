//! Staff end what buyers owe of tokens: some send them back, some are let off, in parts and twice at once.

use std::sync::Arc;

use posx_allocations::{SettleDebt, Settling};
use posx_kernel::{AllocationId, IdentityId, TokenAmount};

use super::call;
use crate::world::{SiteScene, World};

pub(super) fn end(world: &Arc<World>) {
    let sim = &world.env.sim;
    for (at, scene) in world.sites.iter().enumerate() {
        let debts = world.db.read(scene.site.id, |rows| {
            let owing = rows.allocations.values().filter(|one| !one.debt().is_zero());
            owing.map(|one| (one.id, one.debt())).collect::<Vec<_>>()
        });
        for (allocation, debt) in debts {
            for number in 0..sim.between(0, 2) {
                let whole = sim.one_in(2);
                let part = u128::try_from(sim.between(1, 5)).unwrap_or(1);
                let amount = debt.base_units() / if whole { 1 } else { part };
                let key = format!("debt-{allocation}-{}-{number}", sim.now());
                let wish = wish(scene, allocation, *sim.pick(Settling::ALL), amount, &key);
                let world = Arc::clone(world);
                sim.spawn(format!("debt {at}"), async move {
                    settle(&world, at, &wish, &key).await;
                });
            }
        }
    }
}

/// What comes back, comes by a transaction of this name.
fn wish(
    scene: &SiteScene,
    allocation: AllocationId,
    how: Settling,
    amount: u128,
    transaction: &str,
) -> SettleDebt {
    SettleDebt {
        allocation,
        how,
        amount: TokenAmount::from_base_units(amount),
        reason: "as agreed".to_owned(),
        tx_hash: (how == Settling::Received).then(|| transaction.to_owned()),
        by: IdentityId::from_uuid(scene.site.id.as_uuid()),
    }
}

async fn settle(world: &World, at: usize, wish: &SettleDebt, key: &str) {
    let (sim, scope) = (&world.env.sim, &world.sites[at].scope);
    let mut call = call(key, scope.site().as_uuid());
    call.operation = "POST /token-debts/{id}/settlements";
    for _ in 0..2 {
        let settling = world.allocations.settle_debt(scope, wish, Some(&call));
        let ended = sim.process(settling).await;
        sim.note(|| format!("debt of {}, {}: {ended:?}", wish.allocation, wish.amount));
        if matches!(ended, Ok(Ok(_))) {
            return;
        }
    }
}
