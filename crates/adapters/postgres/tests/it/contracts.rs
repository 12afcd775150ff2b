//! The contract suites of tiers and orders on the real store.

use std::sync::Arc;

use posx_kernel::{Begin, PartyId};
use posx_orders::{OrderQueries, OrdersTx};
use posx_tiers::TiersTx;

use crate::world::{World, noon};

async fn party(world: &World) -> PartyId {
    world.member(None).await.party
}

// One connection: a suite has one transaction open at a time, as the fakes do.
#[tokio::test]
async fn tiers_pass_their_contract() {
    let (world, elsewhere) = (World::with_pool(1).await, World::new().await);
    let given = posx_tiers::testing::Given {
        scope: world.scope.clone(),
        elsewhere: elsewhere.scope,
        buyers: [party(&world).await, party(&world).await],
        now: noon(),
    };
    let db: Arc<dyn Begin<dyn TiersTx>> = Arc::new(world.database);
    posx_tiers::testing::contract(db, &given).await;
}

#[tokio::test]
async fn orders_pass_their_contract() {
    let (world, elsewhere) = (World::with_pool(1).await, World::new().await);
    world.plan().await;
    let referrer = world.member(None).await;
    let mut parties = [referrer.party; 5];
    for other in &mut parties[1..] {
        *other = party(&world).await;
    }
    let code = Some(referrer.referral_code.as_str());
    let claimants = [world.member(code).await.party, world.member(code).await.party];
    let mut tx: Box<dyn posx_commissions::CommissionsTx> =
        world.database.begin(&world.scope).await.expect("a transaction");
    let plan = tx
        .plans()
        .in_force(crate::world::noon())
        .await
        .expect("a read")
        .expect("a plan");
    drop(tx);
    let given = posx_orders::testing::Given {
        scope: world.scope.clone(),
        stranger: party(&elsewhere).await,
        elsewhere: elsewhere.scope,
        parties,
        claimants,
        plan: serde_json::to_value(plan.snapshot()).expect("JSON"),
        now: noon(),
    };
    let database = Arc::new(world.database);
    let db: Arc<dyn Begin<dyn OrdersTx>> = database.clone();
    let queries: Arc<dyn OrderQueries> = database;
    posx_orders::testing::contract(db, queries, &given).await;
}
