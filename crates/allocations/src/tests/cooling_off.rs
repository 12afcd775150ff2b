//! What goes to a wallet that took another's place waits.

use super::*;
use crate::LeftOut;

#[tokio::test]
async fn an_allocation_to_a_replaced_wallet_is_sent_from_its_time_on_and_not_before() {
    let shop = shop();
    let until = at(0) + Duration::hours(24);
    let others = shop.allocated(1, 1).await;
    let order = shop.order(2, 1, |facts| facts.wallet_usable_from = Some(until));
    let Allocated::Applied(waiting) = shop
        .service
        .allocate(&shop.scope, order)
        .await
        .expect("allocated")
    else {
        panic!("the order is new")
    };
    let draft = async |ids: &[AllocationId]| shop.service.create_batch(&shop.scope, actor(), ids, None).await;
    shop.clock
        .advance(Duration::hours(24) - Duration::microseconds(1));
    let refused = draft(&waiting).await.expect_err("a microsecond too early");
    assert_eq!(refused.code(), "wallet_cooling_off");
    assert_eq!(refused.field().as_deref(), Some("allocations/0"));
    assert!(refused.to_string().contains("2026-01-02T00:00:00Z"), "{refused}");
    let both = draft(&[others[0], waiting[0]]).await.expect("the other one").id;
    let world = shop.world();
    let left_out: Vec<_> = world.batch_lines[&both]
        .iter()
        .map(|line| line.left_out)
        .collect();
    assert_eq!(left_out, [None, Some(LeftOut::WalletCoolingOff)]);
    assert_eq!(shop.read(waiting[0]).state, AllocationState::Pending);
    shop.clock.advance(Duration::microseconds(1));
    draft(&waiting).await.expect("its time has come");
    assert_eq!(shop.read(waiting[0]).state, AllocationState::Queued);
}

/// The order says what held when it was placed: what became of the wallet since is not asked.
#[tokio::test]
async fn an_allocation_waits_as_its_order_froze_it() {
    let shop = shop();
    let order = shop.order(1, 2, |facts| facts.wallet_usable_from = Some(at(3)));
    let Allocated::Applied(made) = shop
        .service
        .allocate(&shop.scope, order)
        .await
        .expect("allocated")
    else {
        panic!("the order is new")
    };
    shop.db.arrange(&shop.scope, |world: &mut World| {
        let order = world.orders.get_mut(&order).expect("the order");
        order.facts.wallet_usable_from = None;
    });
    assert_eq!(
        shop.service.allocate(&shop.scope, order).await.expect("again"),
        Allocated::AlreadyApplied
    );
    for id in made {
        assert_eq!(shop.read(id).wallet_usable_from, Some(at(3)));
    }
}
