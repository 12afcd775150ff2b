use chrono::TimeDelta;
use posx_kernel::{Begin, PartyId, Refusal as _};
use posx_tiers::ChainFamily;

use super::world::{ADDRESS, World, noon};
use crate::testing::wallet_contract;
use crate::{
    COOLING_OFF, NewWallet, Order, OrderError, OrdersTx, PlaceOrder, Placed, WalletAddress, WishedLine,
};

const OTHER: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

async fn try_to_place(world: &World, buyer: PartyId, wallet: Option<&str>) -> Result<Order, OrderError> {
    let wish = PlaceOrder {
        site: &world.site,
        buyer,
        lines: vec![WishedLine {
            tier: world.tier,
            quantity: 1,
        }],
        wallet_address: wallet.map(str::to_owned),
        referrer: None,
        promo: None,
        call: None,
    };
    let answer = |_: &Order, _: &crate::Quote| posx_kernel::StoredAnswer {
        status: 201,
        body: Vec::new(),
    };
    match world.orders.place(&world.scope, &wish, &answer).await? {
        Placed::New { order, .. } => Ok(*order),
        Placed::Replayed(_) => panic!("no key was given"),
    }
}

async fn place(world: &World, buyer: PartyId, wallet: Option<&str>) -> Order {
    try_to_place(world, buyer, wallet).await.expect("placed")
}

async fn bind(world: &World, buyer: PartyId, address: &str) {
    let bound = world
        .orders
        .bind_wallet(&world.scope, buyer, ChainFamily::Evm, address)
        .await;
    bound.expect("bound");
}

#[tokio::test]
async fn the_fake_keeps_what_a_store_of_wallets_promises() {
    let world = World::with("USD", 10_000, 10).await;
    let parties = [world.buyer(), world.buyer()];
    wallet_contract(&world.store, &world.scope, parties, noon()).await;
}

#[tokio::test]
async fn an_order_freezes_from_when_a_replaced_wallet_is_used() {
    let world = World::with("USD", 10_000, 10).await;
    let buyer = world.buyer();
    bind(&world, buyer, ADDRESS).await;
    assert_eq!(
        place(&world, buyer, None).await.wallet_usable_from,
        None,
        "a first wallet waits for nothing"
    );
    bind(&world, buyer, OTHER).await;
    let until = noon() + COOLING_OFF;
    let order = place(&world, buyer, None).await;
    assert_eq!(
        (order.wallet.as_str(), order.wallet_usable_from),
        (OTHER, Some(until))
    );
    // Naming the address does not get around it; an address that was never bound is the buyer's word for this order.
    assert_eq!(
        place(&world, buyer, Some(&OTHER.to_lowercase()))
            .await
            .wallet_usable_from,
        Some(until)
    );
    assert_eq!(place(&world, buyer, Some(ADDRESS)).await.wallet_usable_from, None);
    world.clock.advance(COOLING_OFF - TimeDelta::seconds(1));
    assert_eq!(place(&world, buyer, None).await.wallet_usable_from, Some(until));
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(
        place(&world, buyer, None).await.wallet_usable_from,
        None,
        "the time is over"
    );
    // What was frozen stays.
    let kept = world.order(order.id).await;
    assert_eq!(kept.wallet_usable_from, Some(until));
}

#[tokio::test]
async fn a_wallet_that_another_holds_is_refused() {
    let world = World::with("USD", 10_000, 10).await;
    bind(&world, world.buyer(), ADDRESS).await;
    let refused = world
        .orders
        .bind_wallet(&world.scope, world.buyer(), ChainFamily::Evm, ADDRESS)
        .await;
    assert_eq!(refused.expect_err("taken").code(), "wallet_taken");
}

/// The tier's token is on Polygon: at the same address of Ethereum may stand another's contract.
#[tokio::test]
async fn a_bound_contract_wallet_receives_orders_of_its_own_chain_only() {
    for (chain, outcome) in [(1, Err("wallet_missing")), (137, Ok(()))] {
        let world = World::with("USD", 10_000, 10).await;
        let buyer = world.buyer();
        let mut tx = Begin::<dyn OrdersTx>::begin(&world.store, &world.scope)
            .await
            .expect("a transaction");
        let contract = NewWallet {
            address: WalletAddress::parse(ADDRESS, ChainFamily::Evm).expect("an address"),
            at: noon(),
            proven: true,
            contract_chain: Some(chain),
            usable_from: noon(),
        };
        tx.wallets().bind(buyer, &contract).await.expect("bound");
        tx.commit().await.expect("committed");
        let placed = try_to_place(&world, buyer, None).await;
        assert_eq!(placed.map(|_| ()).map_err(|error| error.code()), outcome);
    }
}
