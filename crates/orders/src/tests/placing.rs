use posx_kernel::{Currency, KeyRefusal, Money, Refusal, TierId, TokenAmount};
use proptest::prelude::*;

use super::world::{ADDRESS, World, noon};
use crate::pricing::quote;
use crate::{Lifecycle, OrderError, PaymentStatus, PlaceOrder, Placed, TierFacts, WishedLine};

#[tokio::test]
async fn p10_the_same_key_and_body_give_one_order_and_the_same_answer() {
    let world = World::with("USD", 10_000, 10).await;
    let buyer = world.buyer();
    let Placed::New { answer, .. } = world
        .place_with(buyer, 2, Some(World::call("k", 1)))
        .await
        .expect("placed")
    else {
        panic!("the first call is new");
    };
    match world
        .place_with(buyer, 2, Some(World::call("k", 1)))
        .await
        .expect("replayed")
    {
        Placed::Replayed(again) => assert_eq!(again, answer),
        Placed::New { .. } => panic!("a second order"),
    }
    let other_body = world.place_with(buyer, 3, Some(World::call("k", 2))).await;
    assert!(matches!(other_body, Err(OrderError::Key(KeyRefusal::Reused))));
    assert_eq!(world.store.read(|state| state.orders.len()).await, 1);
    world.check_books().await;
}

#[tokio::test]
async fn a_refused_order_leaves_nothing_behind() {
    let world = World::with("USD", 10_000, 3).await;
    let buyer = world.buyer();
    let before = world.store.read(|state| format!("{state:?}")).await;
    for quantity in [0, 4, 101] {
        assert!(
            world
                .place_with(buyer, quantity, Some(World::call("k", 1)))
                .await
                .is_err(),
            "{quantity}"
        );
    }
    assert_eq!(world.store.read(|state| format!("{state:?}")).await, before);
}

#[tokio::test]
async fn a_buyer_cannot_pass_the_limit_of_a_tier_by_ordering_twice() {
    let world = World::with("USD", 10_000, 100).await;
    world
        .store
        .arrange(|state| {
            state
                .tiers
                .values_mut()
                .for_each(|(tier, _)| tier.max_per_buyer = Some(5));
        })
        .await;
    let buyer = world.buyer();
    let first = world.place(buyer, 3).await.expect("three");
    let refused = world.place(buyer, 3).await.expect_err("six are too many");
    assert_eq!(
        (refused.code(), refused.field().as_deref()),
        ("buyer_limit_exceeded", Some("lines/0/quantity"))
    );
    world
        .orders
        .cancel(&world.scope, first.id, Some(buyer))
        .await
        .expect("cancelled");
    world
        .place(buyer, 5)
        .await
        .expect("the cancelled three count no more");
}

#[tokio::test]
async fn an_order_in_anothers_transaction_stands_with_its_commit_alone() {
    let world = World::with("USD", 10_000, 3).await;
    let wish = |quantity| PlaceOrder {
        site: &world.site,
        buyer: world.buyer(),
        lines: vec![WishedLine {
            tier: world.tier,
            quantity,
        }],
        wallet_address: Some(ADDRESS.to_owned()),
        referrer: None,
        promo: None,
        call: None,
    };
    let before = world.store.read(|state| format!("{state:?}")).await;
    for (quantity, reserves) in [(2, false), (2, true), (4, true)] {
        let mut tx = world.orders.begin(&world.scope).await.expect("begun");
        let Ok(order) = world.orders.place_in_tx(tx.as_mut(), &wish(quantity)).await else {
            assert_eq!(quantity, 4);
            continue;
        };
        if reserves {
            let reserved = world.orders.reserve_in_tx(tx.as_mut(), &order).await;
            reserved.expect("enough");
        }
        drop(tx);
    }
    assert_eq!(world.store.read(|state| format!("{state:?}")).await, before);

    let mut tx = world.orders.begin(&world.scope).await.expect("begun");
    let order = world
        .orders
        .place_in_tx(tx.as_mut(), &wish(2))
        .await
        .expect("placed");
    let reserved = world.orders.reserve_in_tx(tx.as_mut(), &order).await;
    reserved.expect("enough");
    tx.commit().await.expect("committed");
    assert_eq!(world.order(order.id).await, order);
    assert_eq!(world.events("order.placed").await, 1);
    world.check_books().await;
}

#[tokio::test]
async fn an_order_of_nothing_to_pay_is_confirmed_without_the_provider() {
    let world = World::with("USD", 10_000, 10).await;
    world
        .store
        .arrange(|state| {
            state.tiers.values_mut().for_each(|(tier, _)| {
                let price = Money::zero(tier.list_price.currency());
                let (from, until) = (noon(), noon() + chrono::Duration::hours(1));
                tier.promotion = Some(posx_tiers::Promotion { price, from, until });
            });
        })
        .await;
    let order = world.place(world.buyer(), 2).await.expect("placed");
    assert_eq!(
        (order.lifecycle, order.payment()),
        (Lifecycle::Confirmed, PaymentStatus::Paid)
    );
    assert_eq!(world.events("order.paid").await, 1);
    assert!(world.gateway.intents().is_empty());
    world.check_books().await;
}

#[tokio::test]
async fn the_wallet_is_checked_for_the_chain_of_the_tier() {
    let world = World::with("USD", 10_000, 10).await;
    let lines = vec![WishedLine {
        tier: world.tier,
        quantity: 1,
    }];
    let site = &world.site;
    let place = async |wallet_address: Option<&str>| {
        let wallet_address = wallet_address.map(str::to_owned);
        let wish = PlaceOrder {
            site,
            buyer: world.buyer(),
            lines: lines.clone(),
            wallet_address,
            referrer: None,
            promo: None,
            call: None,
        };
        let answer = |_: &crate::Order, _: &crate::Quote| posx_kernel::StoredAnswer {
            status: 201,
            body: Vec::new(),
        };
        world
            .orders
            .place(&world.scope, &wish, &answer)
            .await
            .map_err(|error| error.code())
    };
    assert_eq!(place(None).await.err(), Some("wallet_missing"));
    assert_eq!(
        place(Some("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t")).await.err(),
        Some("wallet_chain_mismatch")
    );
    assert_eq!(
        place(Some(&ADDRESS.replace("5aAe", "5aae"))).await.err(),
        Some("wallet_checksum_invalid")
    );
    assert!(place(Some(&ADDRESS.to_lowercase())).await.is_ok());
}

fn facts() -> impl Strategy<Value = (TierFacts, u32)> {
    let currencies = proptest::sample::select(Currency::all().collect::<Vec<_>>());
    (
        currencies,
        1_i64..1_000_000_000,
        1_u128..u128::MAX / 4000,
        1_u32..=1000,
        any::<u64>(),
    )
        .prop_map(|(currency, steps, tokens, quantity, seed)| {
            let ids = posx_kernel::SeededIds::new(seed);
            let id = || posx_kernel::Ids::uuid(&ids, noon());
            let asset = posx_tiers::ChainAsset {
                id: posx_kernel::ChainAssetId::from_uuid(id()),
                chain: posx_tiers::Chain::Eth,
                symbol: "T".to_owned(),
                decimals: 18,
                provider_asset: "T".to_owned(),
                vault: "0".to_owned(),
                active: true,
                created_at: noon(),
            };
            let tier = posx_tiers::Tier {
                id: TierId::from_uuid(id()),
                name: "T".to_owned(),
                description: String::new(),
                asset: asset.id,
                list_price: Money::from_minor(steps * currency.charge_step(), currency),
                promotion: None,
                tokens_per_unit: TokenAmount::from_base_units(tokens),
                bonus_per_unit: TokenAmount::ZERO,
                max_per_order: 1000,
                max_per_buyer: None,
                active: true,
                position: 0,
                version: 1,
                created_at: noon(),
                updated_at: noon(),
            };
            (
                TierFacts {
                    tier,
                    asset,
                    available: 1000,
                },
                quantity,
            )
        })
}

proptest! {
    #[test]
    fn p13_the_lines_less_discount_with_tax_and_shipping_are_the_total(
        parts in proptest::collection::vec(facts(), 1..8)
    ) {
        let currency = parts[0].0.tier.list_price.currency();
        let same: Vec<_> = parts.into_iter().filter(|(facts, _)| facts.tier.list_price.currency() == currency).collect();
        let wished: Vec<_> =
            same.iter().map(|(facts, quantity)| WishedLine { tier: facts.tier.id, quantity: *quantity }).collect();
        let tiers: Vec<_> = same.into_iter().map(|(facts, _)| facts).collect();
        match quote(&wished, &tiers, None, currency, noon()) {
            Ok(quote) => {
                let lines: i64 = quote.lines.iter().map(|line| line.amount.minor()).sum();
                let total = lines - quote.discount.minor() + quote.tax.minor() + quote.shipping.minor();
                prop_assert_eq!(total, quote.total.minor());
                prop_assert_eq!(quote.total.minor() % currency.charge_step(), 0);
            }
            Err(error) => {
                let expected = matches!(error, OrderError::BelowMinimumCharge(_) | OrderError::TierTwice { .. });
                prop_assert!(expected, "{:?}", error);
            }
        }
    }
}
