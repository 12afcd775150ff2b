//! Deliveries that follow the calendar, and what goes back, by jobs.

use chrono::TimeDelta;
use posx_allocations::{AllocationFilter, CreatePolicy, PeriodUnit, StateName};
use posx_kernel::{Money, PageRequest, TierId};
use posx_orders::gateway::IntentId;
use posx_orders::{Order, RefundReason, RefundState, RequestRefund, Restock};
use posx_worker::{Tick, drain_site, tick_site};
use serde_json::json;

use crate::world::World;

impl World {
    async fn paid_order(&self, tier: TierId) -> (Order, IntentId) {
        let buyer = self.joins("carol", None).await;
        let order = self.order(&buyer, tier).await;
        let checkout = self.checkout(&order).await;
        self.gateway.pays(&checkout.intent, order.total);
        let orders = &self.services.orders;
        orders.apply_intent(&self.scope, &checkout.intent).await.unwrap();
        self.run_jobs().await;
        (order, checkout.intent)
    }

    async fn run_jobs(&self) {
        let drained = drain_site(&self.services, self.site.id).await.unwrap();
        assert!(drained.failures.is_empty(), "{drained:?}");
    }

    /// State, amount and cut of each, in order of making.
    async fn deliveries(&self) -> Vec<(StateName, u128, u128)> {
        let (filter, page) = (AllocationFilter::default(), PageRequest::new(Some(10), None));
        let queries = &self.services.allocation_queries;
        let mut found = queries
            .allocations(&self.scope, &filter, page)
            .await
            .unwrap()
            .items;
        found.reverse();
        let row = |one: &posx_allocations::AllocationView| {
            (one.state, one.amount.base_units(), one.cut.base_units())
        };
        found.iter().map(row).collect()
    }

    async fn sold_units(&self, tier: TierId) -> i64 {
        let now = self.services.clock.now();
        let view = self
            .services
            .tier_queries
            .tier(&self.scope, tier, true, now)
            .await;
        view.unwrap().unwrap().stock.unwrap().sold
    }
}

const fn pending(amount: u128) -> (StateName, u128, u128) {
    (StateName::Pending, amount, 0)
}

#[tokio::test]
async fn p25_releases_are_allocated_by_the_daily_job_and_when_their_start_is_moved() {
    let world = World::shared().await;
    let (tier, allocations) = (world.tier().await, &world.services.allocations);
    let wish = CreatePolicy {
        name: "Seed".into(),
        share_at_start: "0.1".parse().unwrap(),
        cliff_months: 0,
        periods: 3,
        unit: PeriodUnit::Month,
        revocable: false,
        starts_on: None,
    };
    let policy = allocations
        .create_policy(&world.scope, wish, None)
        .await
        .unwrap()
        .id;
    allocations
        .set_tier_vesting(&world.scope, tier, Some(policy), None)
        .await
        .unwrap();
    world.clock.advance(TimeDelta::seconds(1));
    world.paid_order(tier).await;
    assert_eq!(world.deliveries().await, [], "nothing unlocks without a start");

    let today = world.services.clock.now().date_naive();
    allocations
        .move_start(&world.scope, policy, 1, Some(today))
        .await
        .unwrap();
    world.run_jobs().await;
    assert_eq!(world.deliveries().await, [pending(200)]);

    for _ in 0..2 {
        tick_site(&world.services, world.site.id, Tick::Unlock)
            .await
            .unwrap();
        world.run_jobs().await;
    }
    assert_eq!(world.deliveries().await, [pending(200)], "its day has not come");
    world.clock.advance(TimeDelta::days(62));
    tick_site(&world.services, world.site.id, Tick::Unlock)
        .await
        .unwrap();
    world.run_jobs().await;
    assert_eq!(
        world.deliveries().await,
        [pending(200), pending(600), pending(600)]
    );
    allocations.request_unlock(&world.scope).await.unwrap();
    world.run_jobs().await;
    assert_eq!(world.deliveries().await.len(), 3);
}

#[tokio::test]
async fn what_a_refund_takes_is_cut_by_a_job_and_restored_when_the_refund_bounces() {
    let world = World::shared().await;
    let tier = world.tier().await;
    let (order, intent) = world.paid_order(tier).await;
    assert_eq!(world.deliveries().await, [pending(2000)]);
    let wish = RequestRefund {
        order: order.id,
        amount: Some(Money::from_minor(order.total.minor() / 2, order.total.currency())),
        at_most: order.total,
        reason: RefundReason::RequestedByCustomer,
        note: None,
        restock: Restock::Undelivered,
    };
    let orders = &world.services.orders;
    orders.request_refund(&world.scope, &wish, None).await.unwrap();
    world.run_jobs().await;
    assert_eq!(world.deliveries().await, [(StateName::Pending, 2000, 1000)]);
    assert_eq!(
        world.sold_units(tier).await,
        1,
        "one of two units is for sale again"
    );

    let view = world
        .services
        .order_queries
        .get(&world.scope, order.id, None)
        .await;
    let id = view.unwrap().unwrap().refunds[0]
        .provider_refund_id
        .clone()
        .unwrap();
    world.owns("stripe", &intent.0).await;
    world.gateway.refund_becomes(&id, RefundState::Failed);
    let event = json!({
        "id": "evt_1", "object": "event", "type": "refund.failed", "created": 1_767_225_600, "livemode": false,
        "data": { "object": { "id": id, "object": "refund", "payment_intent": intent } },
    });
    world.delivered("stripe", &intent.0, &event).await;
    world.run_jobs().await;
    assert_eq!(world.deliveries().await, [pending(2000)]);
    assert_eq!(world.sold_units(tier).await, 2);

    let whole = RequestRefund {
        amount: None,
        restock: Restock::None,
        ..wish
    };
    orders.request_refund(&world.scope, &whole, None).await.unwrap();
    world.run_jobs().await;
    assert_eq!(world.deliveries().await, [(StateName::Cancelled, 2000, 2000)]);
    assert_eq!(world.sold_units(tier).await, 2, "none is for sale again");
}
