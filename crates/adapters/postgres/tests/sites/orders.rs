use posx_kernel::{Money, PageRequest};
use posx_ledger::LedgerQueries;
use posx_orders::{Lifecycle, OrderFilter, OrderQueries, PaymentApplied, PaymentStatus};

use crate::world::World;

#[tokio::test]
async fn an_order_is_placed_paid_and_read_back_as_it_was() {
    let world = World::new("KWD").await;
    let tier = world.tier(12_500, 10).await;
    let buyer = world.join(None).await;
    let placed = world.placed(buyer.party, &tier, 2).await;
    let call = posx_kernel::IdempotentCall {
        actor: buyer.identity.to_string(),
        operation: "POST /api/v1/orders/{id}/checkout",
        key: "k".to_owned(),
        fingerprint: [1; 32],
        at: world.now(),
    };
    let checkout = world
        .orders
        .checkout(&world.scope, buyer.party, placed.id, &call)
        .await
        .expect("a checkout");
    let again = world
        .orders
        .checkout(&world.scope, buyer.party, placed.id, &call)
        .await
        .expect("the same one");
    assert_eq!(checkout, again);
    assert!(world.gateway.pays(&checkout.intent, placed.total));
    for expected in [PaymentApplied::Paid, PaymentApplied::AlreadyApplied] {
        assert_eq!(
            world
                .orders
                .apply_intent(&world.scope, &checkout.intent)
                .await
                .expect("applied"),
            expected
        );
    }

    let view = world
        .database
        .get(&world.scope, placed.id, Some(buyer.party))
        .await
        .expect("read")
        .expect("there");
    assert_eq!(
        (view.lifecycle, view.payment),
        (Lifecycle::Confirmed, PaymentStatus::Paid)
    );
    assert_eq!(view.total, Money::from_minor(25_000, world.site.currency));
    assert_eq!(view.lines[0].tokens, placed.lines[0].tokens);
    let kinds: Vec<_> = view.history.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["order.placed", "checkout.opened", "order.paid"]);

    let stranger = world.join(None).await;
    let foreign = world
        .database
        .get(&world.scope, placed.id, Some(stranger.party))
        .await
        .expect("read");
    assert!(foreign.is_none(), "another buyer's order is not there");
    let filter = OrderFilter {
        lifecycle: Some(Lifecycle::Confirmed),
        ..OrderFilter::default()
    };
    let page = world
        .database
        .list(&world.scope, filter, PageRequest::new(None, None))
        .await
        .expect("a page");
    assert_eq!(page.items.len(), 1);

    let jobs = world
        .database
        .jobs(&world.scope, false, None, 50)
        .await
        .expect("jobs");
    let mut tasks: Vec<_> = jobs.iter().map(|job| job.task.as_str()).collect();
    tasks.sort_unstable();
    assert_eq!(
        tasks,
        ["accrue_commissions", "allocate_order", "resolve_checkout"],
        "each added once"
    );

    for row in world
        .database
        .trial_balance(&world.scope)
        .await
        .expect("the books")
    {
        if row.account == "sales" {
            assert_eq!(row.balance, "-25000");
        }
    }
}

#[tokio::test]
async fn pages_go_on_where_the_last_one_ended() {
    let world = World::new("USD").await;
    let tier = world.tier(10_000, 100).await;
    let buyer = world.join(None).await;
    for _ in 0..7 {
        world.placed(buyer.party, &tier, 1).await;
    }
    let mut seen = Vec::new();
    let mut after = None;
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
}
