//! What goes back of a sale: by job, by the provider's events in any order, by the sweep.

use chrono::TimeDelta;
use posx_kernel::Money;
use posx_orders::gateway::{IntentId, ProviderDisputeState};
use posx_orders::{Order, OrderView, PaymentStatus, RefundReason, RefundState, RequestRefund, Restock};
use posx_worker::{Tick, drain_site, tick_site};
use serde_json::{Value, json};

use crate::world::World;

impl World {
    async fn sold(&self) -> (Order, IntentId) {
        let (tier, buyer) = (self.tier().await, self.joins("carol", None).await);
        let order = self.order(&buyer, tier).await;
        let checkout = self.checkout(&order).await;
        self.gateway.pays(&checkout.intent, order.total);
        let orders = &self.services.orders;
        orders.apply_intent(&self.scope, &checkout.intent).await.unwrap();
        self.work().await;
        (order, checkout.intent)
    }

    async fn work(&self) {
        let drained = drain_site(&self.services, self.site.id).await.unwrap();
        assert!(drained.failures.is_empty(), "{drained:?}");
    }

    async fn tells(&self, kind: &str, object: &str, id: &str, intent: Option<&IntentId>) {
        let event = json!({
            "id": "evt_1", "object": "event", "type": kind, "created": 1_767_225_600, "livemode": false,
            "data": { "object": { "id": id, "object": object, "payment_intent": intent } },
        });
        let external_id = intent.map_or(id, |intent| &intent.0);
        self.delivered("stripe", external_id, &event).await;
    }

    async fn shows(&self, order: &Order) -> OrderView {
        let found = self.services.order_queries.get(&self.scope, order.id, None).await;
        found.unwrap().unwrap()
    }
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, posx_kernel::Currency::from_code("USD").unwrap())
}

#[tokio::test]
async fn s32_a_refund_is_sent_by_a_job_and_undone_when_it_bounces_later() {
    let world = World::shared().await;
    let (order, intent) = world.sold().await;
    let wish = RequestRefund {
        order: order.id,
        amount: None,
        at_most: order.total,
        reason: RefundReason::RequestedByCustomer,
        note: None,
        restock: Restock::Undelivered,
    };
    let orders = &world.services.orders;
    orders.request_refund(&world.scope, &wish, None).await.unwrap();
    world.work().await;
    let view = world.shows(&order).await;
    assert_eq!(
        (view.payment, view.refunded),
        (PaymentStatus::Refunded, order.total)
    );
    assert_eq!(view.refunds[0].state, RefundState::Succeeded);

    world.owns("stripe", &intent.0).await;
    let id = view.refunds[0].provider_refund_id.clone().unwrap();
    world.gateway.refund_becomes(&id, RefundState::Failed);
    for kind in ["refund.failed", "charge.refund.updated", "refund.updated"] {
        world.tells(kind, "refund", &id, Some(&intent)).await;
    }
    world
        .tells("charge.refunded", "charge", "ch_1", Some(&intent))
        .await;
    world.work().await;
    let view = world.shows(&order).await;
    assert_eq!(
        (view.payment, view.refunded, view.returned),
        (PaymentStatus::Paid, usd(0), usd(0))
    );
    assert_eq!(view.attention.as_deref(), Some("refund_failed"));
}

#[tokio::test]
async fn s26_s30_events_of_a_dispute_in_any_order_and_without_their_payment_end_in_the_same_place() {
    let world = World::shared().await;
    let (order, intent) = world.sold().await;
    world.owns("stripe", &intent.0).await;
    let id = world
        .gateway
        .disputes(&intent, order.total, ProviderDisputeState::Lost);
    world
        .gateway
        .moves_disputed_money(&id, usd(-order.total.minor()), usd(1_500));
    for kind in ["closed", "funds_withdrawn", "created", "updated", "created"] {
        let kind = format!("charge.dispute.{kind}");
        world.tells(&kind, "dispute", &id, Some(&intent)).await;
    }
    world.work().await;
    let view = world.shows(&order).await;
    assert_eq!(
        (view.payment, view.returned, view.disputed, view.disputes.len()),
        (PaymentStatus::Refunded, order.total, false, 1)
    );
    // A thin event names the dispute alone, which is ours since it was seen.
    world.gateway.decides(&id, ProviderDisputeState::Won);
    world.owns("stripe", &id).await;
    world.tells("charge.dispute.closed", "dispute", &id, None).await;
    world.work().await;
    let view = world.shows(&order).await;
    assert_eq!((view.payment, view.returned), (PaymentStatus::Paid, usd(0)));
}

#[tokio::test]
async fn s27_s41_what_no_event_told_is_found_by_the_clock_and_due_evidence_alarms() {
    let world = World::shared().await;
    let (order, intent) = world.sold().await;
    let id = world
        .gateway
        .disputes(&intent, order.total, ProviderDisputeState::NeedsResponse);
    let orders = &world.services.orders;
    orders.apply_dispute(&world.scope, &id).await.unwrap();
    let due_by = world.services.clock.now() + TimeDelta::hours(60);
    world
        .gateway
        .changes_dispute(&id, |dispute| dispute.evidence_due_by = Some(due_by));
    let wait = async |hours| {
        world.clock.advance(TimeDelta::hours(hours));
        tick_site(&world.services, world.site.id, Tick::Reconcile)
            .await
            .unwrap();
        world.work().await;
        world.shows(&order).await
    };
    let alarms = |view: &OrderView| {
        let kinds = view.history.iter().map(|event| event.kind.as_str());
        kinds.filter(|kind| *kind == "dispute.evidence_due").count()
    };
    let view = wait(7).await;
    assert_eq!(
        view.disputes[0].evidence_due_by,
        Some(due_by),
        "asked about again"
    );
    assert_eq!(
        (view.attention.as_deref(), alarms(&view)),
        (Some("evidence_due"), 1)
    );
    assert_eq!(alarms(&wait(1).await), 1, "once");
    assert_eq!(alarms(&wait(30).await), 2, "and once more a day before");
    world.gateway.decides(&id, ProviderDisputeState::Won);
    let view = wait(7).await;
    assert_eq!((view.disputed, view.attention), (false, None));
}

#[tokio::test]
async fn a_refund_that_is_pending_for_long_is_asked_about_by_the_clock() {
    let world = World::shared().await;
    let (order, _) = world.sold().await;
    world.gateway.refunds_become(Some(RefundState::Pending));
    let wish = RequestRefund {
        order: order.id,
        amount: Some(usd(100)),
        at_most: usd(100),
        reason: RefundReason::Other,
        note: Some("as agreed".to_owned()),
        restock: Restock::None,
    };
    let orders = &world.services.orders;
    orders.request_refund(&world.scope, &wish, None).await.unwrap();
    world.work().await;
    let id = world.shows(&order).await.refunds[0]
        .provider_refund_id
        .clone()
        .unwrap();
    world.gateway.refund_becomes(&id, RefundState::Succeeded);
    world.clock.advance(TimeDelta::hours(2));
    tick_site(&world.services, world.site.id, Tick::Reconcile)
        .await
        .unwrap();
    world.work().await;
    let view = world.shows(&order).await;
    assert_eq!(
        (view.payment, view.refunds[0].state, view.refunded),
        (PaymentStatus::PartlyRefunded, RefundState::Succeeded, usd(100))
    );
    let events: Vec<Value> = view.history.iter().map(|event| event.payload.clone()).collect();
    assert!(
        !json!(events).to_string().contains("as agreed"),
        "staff's words stay in the refund"
    );
}
