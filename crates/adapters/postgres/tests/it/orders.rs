//! Orders, wallets and attempts as they are kept.

use posx_kernel::{PageRequest, PartyId};
use posx_orders::{Lifecycle, Order, OrderFilter, OrderQueries as _, PaymentApplied, PaymentStatus, Placed};
use posx_tiers::{ChainFamily, Promotion};
use tokio::task::JoinSet;

use crate::world::{ADDRESS, World, noon, terms, usd};

const OTHER: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

async fn stored(world: &World, order: &Order) -> Option<Order> {
    world
        .begin()
        .await
        .orders()
        .for_update(order.id)
        .await
        .expect("a read")
}

#[tokio::test]
async fn an_order_is_read_back_as_it_was_placed_and_as_it_was_saved() {
    let world = World::new().await;
    world.plan().await;
    let (tier, alice, bob) = (
        world.tier(9, 12_345).await,
        world.member(None).await,
        world.member(None).await,
    );
    let wish = posx_orders::PlaceOrder {
        referrer: Some(alice.party),
        ..world.wish(&bob, tier, 3)
    };
    let Placed::New { order, .. } = world.place_wish(&wish).await.expect("placed") else {
        panic!("no key was given")
    };
    assert!(order.plan_snapshot.is_some(), "the active plan is frozen on it");
    assert_eq!(stored(&world, &order).await.as_ref(), Some(order.as_ref()));

    let mut changed = *order;
    world.pay(&changed).await;
    changed.confirm(changed.total, noon()).expect("a placed order");
    changed.attention = Some("a person should look".to_owned());
    let mut tx = world.begin().await;
    tx.orders().save(&changed).await.expect("saved");
    tx.commit().await.expect("committed");
    assert_eq!(stored(&world, &changed).await.as_ref(), Some(&changed));

    let elsewhere = World::new().await;
    assert_eq!(stored(&elsewhere, &changed).await, None);
}

#[tokio::test]
async fn an_order_of_nothing_to_pay_is_confirmed_when_it_is_placed() {
    let world = World::new().await;
    let (tier, buyer) = (world.tier(9, 100).await, world.member(None).await);
    let promotion = Promotion {
        price: usd(0),
        from: noon(),
        until: noon() + chrono::Duration::hours(1),
    };
    let terms = posx_tiers::EditTier {
        promotion: Some(promotion),
        ..terms(100, None)
    };
    world
        .tiers
        .edit(&world.scope, world.site.currency, tier, 1, terms)
        .await
        .expect("edited");
    let order = world.place(&buyer, tier, 2).await.expect("placed");
    let stored = stored(&world, &order).await.expect("the order");
    assert_eq!(
        (stored.lifecycle, stored.paid_at, stored.total),
        (Lifecycle::Confirmed, Some(noon()), usd(0))
    );
    let jobs = world
        .database
        .jobs(&world.scope, false, None, 10)
        .await
        .expect("a list");
    assert_eq!(jobs.len(), 2, "its followers run as after a payment");
}

async fn bind(world: &World, party: PartyId, address: &str) -> Result<(), &'static str> {
    let bound = world
        .orders
        .bind_wallet(&world.scope, party, ChainFamily::Evm, address)
        .await;
    bound
        .map(|_| ())
        .map_err(|error| posx_kernel::Refusal::code(&error))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_belongs_to_one_party_of_the_site_also_when_two_bind_it_at_once() {
    let world = std::sync::Arc::new(World::with_pool(8).await);
    let (a, b) = (world.member(None).await.party, world.member(None).await.party);
    bind(&world, a, ADDRESS).await.expect("free");
    bind(&world, a, OTHER).await.expect("in the place of the first");
    let wallets = world.begin().await.wallets().of_party(a).await.expect("a read");
    assert_eq!(
        wallets
            .iter()
            .map(|wallet| wallet.address.as_str())
            .collect::<Vec<_>>(),
        [OTHER]
    );
    assert_eq!(bind(&world, b, OTHER).await, Err("wallet_taken"));
    bind(&world, b, ADDRESS).await.expect("it is free again");

    let free = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB";
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let world = world.clone();
        racing.spawn(async move {
            let party = world.member(None).await.party;
            bind(&world, party, free).await
        });
    }
    let outcomes = racing.join_all().await;
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        1,
        "{outcomes:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_that_check_out_at_once_pay_one_intent() {
    let world = std::sync::Arc::new(World::with_pool(8).await);
    let (tier, buyer) = (world.tier(9, 100).await, world.member(None).await);
    let order = world.place(&buyer, tier, 1).await.expect("placed");
    let mut tabs = JoinSet::new();
    for tab in 0..8 {
        let world = world.clone();
        let (id, buyer) = (order.id, order.buyer);
        tabs.spawn(async move {
            world
                .orders
                .checkout(&world.scope, buyer, id, &World::call(&format!("tab {tab}"), tab))
                .await
        });
    }
    let mut intents: Vec<_> = tabs
        .join_all()
        .await
        .into_iter()
        .map(|outcome| outcome.expect("a checkout").intent.0)
        .collect();
    intents.sort_unstable();
    intents.dedup();
    assert_eq!(intents.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn s18_the_browsers_return_and_its_webhooks_at_once_pay_the_order_once() {
    let world = std::sync::Arc::new(World::with_pool(8).await);
    let (tier, buyer) = (world.tier(9, 100).await, world.member(None).await);
    let order = world.place(&buyer, tier, 1).await.expect("placed");
    let call = World::call("pay", 1);
    let checkout = world
        .orders
        .checkout(&world.scope, order.buyer, order.id, &call)
        .await
        .expect("a checkout");
    assert!(world.gateway.pays(&checkout.intent, order.total));
    let mut tellers = JoinSet::new();
    for _ in 0..8 {
        let (world, intent) = (world.clone(), checkout.intent.clone());
        tellers.spawn(async move { world.orders.apply_intent(&world.scope, &intent).await });
    }
    let outcomes = tellers.join_all().await;
    let paid = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(PaymentApplied::Paid)));
    assert_eq!(paid.count(), 1, "{outcomes:?}");
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Ok(PaymentApplied::Paid | PaymentApplied::AlreadyApplied))),
        "{outcomes:?}"
    );
}

/// The story of this test world holds an order that was paid by two intents.
#[tokio::test]
async fn s16_of_two_intents_that_succeed_the_second_is_owed_back_once() {
    let world = World::lived_in().await;
    let page = PageRequest::new(Some(10), None);
    let filter = OrderFilter {
        attention: true,
        ..OrderFilter::default()
    };
    let flagged = world
        .database
        .list(&world.scope, filter, page)
        .await
        .expect("a list");
    assert_eq!(flagged.items[0].attention.as_deref(), Some("paid_twice"));
    let view = world
        .database
        .get(&world.scope, flagged.items[0].id, None)
        .await
        .expect("a look")
        .expect("the order");
    let asked = view
        .history
        .iter()
        .filter(|event| event.kind == "refund.requested" && event.payload["reason"] == "paid_twice");
    assert_eq!(asked.count(), 1);
    assert!(view.captured.minor() == 2 * view.total.minor(), "both came in");
}

#[tokio::test]
async fn a_paid_order_shows_its_money_its_lines_and_its_history_to_its_buyer_only() {
    let world = World::with(4, "KWD").await;
    let (tier, buyer) = (world.tier(9, 12_500).await, world.member(None).await);
    let order = world.place(&buyer, tier, 2).await.expect("placed");
    assert_eq!(world.pay(&order).await, PaymentApplied::Paid);
    let look = |party| world.database.get(&world.scope, order.id, Some(party));
    let view = look(buyer.party).await.expect("a look").expect("the buyer's own");
    assert_eq!(
        (view.lifecycle, view.payment),
        (Lifecycle::Confirmed, PaymentStatus::Paid)
    );
    assert_eq!(
        (view.total.to_string(), view.captured),
        ("25.000 KWD".to_owned(), view.total)
    );
    assert_eq!(view.lines[0].tokens, order.lines[0].tokens);
    let history: Vec<_> = view.history.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(history, ["order.placed", "checkout.opened", "order.paid"]);
    let stranger = world.member(None).await;
    assert!(look(stranger.party).await.expect("a look").is_none());
}

async fn count(world: &World, filter: OrderFilter) -> usize {
    let page = world
        .database
        .list(&world.scope, filter, PageRequest::new(None, None))
        .await;
    page.expect("a page").items.len()
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended_and_filters_hold() {
    let world = World::new().await;
    let (tier, buyer) = (world.tier(100, 100).await, world.member(None).await);
    for _ in 0..7 {
        world.place(&buyer, tier, 1).await.expect("placed");
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest::new(Some(3), after);
        let page = world
            .database
            .list(&world.scope, OrderFilter::default(), page)
            .await
            .expect("a page");
        seen.extend(page.items.iter().map(|order| order.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(
        seen.windows(2).all(|pair| pair[0] > pair[1]),
        "newest first, each once"
    );
    let count = |filter| count(&world, filter);
    let placed = OrderFilter {
        lifecycle: Some(Lifecycle::Placed),
        payment: Some(PaymentStatus::Unpaid),
        ..OrderFilter::default()
    };
    assert_eq!(count(placed).await, 7);
    assert_eq!(
        count(OrderFilter {
            buyer: Some(buyer.party),
            ..placed
        })
        .await,
        7
    );
    assert_eq!(
        count(OrderFilter {
            attention: true,
            ..placed
        })
        .await,
        0
    );
    assert_eq!(
        count(OrderFilter {
            lifecycle: Some(Lifecycle::Confirmed),
            ..OrderFilter::default()
        })
        .await,
        0
    );
    let stranger = world.member(None).await;
    assert_eq!(
        count(OrderFilter {
            buyer: Some(stranger.party),
            ..placed
        })
        .await,
        0
    );
}
