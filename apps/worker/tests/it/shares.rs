//! An agent's share of a sale that is disputed, refunded in parts, and not refunded after all: by jobs, from the provider's word
//! to the books.

use chrono::TimeDelta;
use posx_commissions::{AdjustmentKind, CommissionFilter, CommissionState, CommissionView, NewPlan};
use posx_kernel::{Money, PageRequest};
use posx_orders::gateway::{IntentId, ProviderDisputeState};
use posx_orders::{Order, RefundReason, RefundState, RequestRefund, Restock};
use posx_tenancy::Member;
use posx_worker::{Tick, drain_site, tick_site};
use serde_json::json;

use crate::world::World;

struct Sale {
    world: World,
    agent: Member,
    order: Order,
    intent: IntentId,
}

/// 200.00, of which the agent earns 12 %.
async fn sale() -> Sale {
    let world = World::shared().await;
    let zero = json!({ "amount": "0.00", "currency": "USD" });
    let levels = json!([{ "level": 1, "rate": "0.12", "minimum_sales": zero }]);
    let wish = NewPlan {
        name: "Standard".to_owned(),
        levels: serde_json::from_value(levels).unwrap(),
        difference: None,
        hold_days: 7,
    };
    let (commissions, scope) = (&world.services.commissions, &world.scope);
    let plan = commissions
        .create_plan(scope, world.site.currency, wish, None)
        .await
        .unwrap();
    commissions.activate_plan(scope, plan.id, None).await.unwrap();
    let agent = world.joins("alice", None).await;
    let buyer = world.joins("carol", Some(agent.referral_code.as_str())).await;
    let order = world.order(&buyer, world.tier().await).await;
    let intent = world.checkout(&order).await.intent;
    world.gateway.pays(&intent, order.total);
    world.services.orders.apply_intent(scope, &intent).await.unwrap();
    let sale = Sale {
        world,
        agent,
        order,
        intent,
    };
    sale.jobs().await;
    sale
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, posx_kernel::Currency::from_code("USD").unwrap())
}

impl Sale {
    async fn jobs(&self) {
        let drained = drain_site(&self.world.services, self.world.site.id)
            .await
            .unwrap();
        assert!(drained.failures.is_empty(), "{drained:?}");
    }

    async fn disputed(&self, id: &str) {
        let orders = &self.world.services.orders;
        orders.apply_dispute(&self.world.scope, id).await.unwrap();
        self.jobs().await;
    }

    async fn refund(&self, minor: i64) {
        let wish = RequestRefund {
            order: self.order.id,
            amount: Some(usd(minor)),
            at_most: self.order.total,
            reason: RefundReason::RequestedByCustomer,
            note: None,
            restock: Restock::None,
        };
        let orders = &self.world.services.orders;
        orders
            .request_refund(&self.world.scope, &wish, None)
            .await
            .unwrap();
        self.jobs().await;
    }

    async fn a_week_passes(&self) {
        self.world.clock.advance(TimeDelta::days(7));
        tick_site(&self.world.services, self.world.site.id, Tick::Mature)
            .await
            .unwrap();
        self.jobs().await;
    }

    async fn share(&self) -> CommissionView {
        let filter = CommissionFilter {
            agent: Some(self.agent.party),
            ..CommissionFilter::default()
        };
        let page = PageRequest::new(Some(10), None);
        let queries = &self.world.services.commission_queries;
        let found = queries
            .commissions(&self.world.scope, &filter, page)
            .await
            .unwrap();
        assert_eq!(found.items.len(), 1);
        found.items[0].clone()
    }

    /// Where the share stands and what is left of it, which is what the books say that the agent is owed.
    async fn stands(&self) -> (CommissionState, Money) {
        let share = self.share().await;
        let sql =
            "select coalesce(-sum(amount), 0)::bigint from postings where site_id = $1 and account = $2";
        let owed: i64 = sqlx::query_scalar(sql)
            .bind(self.world.site.id.as_uuid())
            .bind(format!("commission:payable:{}", self.agent.party))
            .fetch_one(&self.world.superuser)
            .await
            .unwrap();
        assert_eq!(share.left, usd(owed));
        (share.state, share.left)
    }
}

#[tokio::test]
async fn p22_s38_an_inquiry_freezes_a_share_and_its_end_lets_it_go_where_it_stood() {
    let sale = Box::pin(sale()).await;
    assert_eq!(sale.stands().await, (CommissionState::Held, usd(2400)));
    let gateway = &sale.world.gateway;
    let id = gateway.disputes(
        &sale.intent,
        sale.order.total,
        ProviderDisputeState::WarningNeedsResponse,
    );
    sale.disputed(&id).await;
    assert_eq!(sale.stands().await, (CommissionState::Frozen, usd(2400)));
    sale.a_week_passes().await;
    assert_eq!(
        sale.stands().await,
        (CommissionState::Frozen, usd(2400)),
        "its time is over, the dispute is not"
    );
    gateway.decides(&id, ProviderDisputeState::WarningClosed);
    sale.disputed(&id).await;
    assert_eq!(sale.stands().await, (CommissionState::Held, usd(2400)));
    sale.a_week_passes().await;
    assert_eq!(sale.stands().await, (CommissionState::Ready, usd(2400)));
}

#[tokio::test]
async fn p22_s40_a_lost_dispute_nets_a_share_to_zero_and_a_late_win_restores_it() {
    let sale = Box::pin(sale()).await;
    sale.a_week_passes().await;
    let gateway = &sale.world.gateway;
    let id = gateway.disputes(&sale.intent, sale.order.total, ProviderDisputeState::Lost);
    gateway.moves_disputed_money(&id, usd(-sale.order.total.minor()), usd(1500));
    sale.disputed(&id).await;
    assert_eq!(sale.stands().await, (CommissionState::Void, usd(0)));
    gateway.decides(&id, ProviderDisputeState::Won);
    sale.disputed(&id).await;
    assert_eq!(sale.stands().await, (CommissionState::Ready, usd(2400)));
}

#[tokio::test]
async fn s32_refunds_in_parts_take_a_share_to_exactly_nothing_and_one_that_fails_later_gives_its_part_back() {
    let sale = Box::pin(sale()).await;
    for (part, left) in [(6667, 1600), (6667, 800), (6666, 0)] {
        sale.refund(part).await;
        assert_eq!(sale.stands().await.1, usd(left));
    }
    assert_eq!(sale.stands().await.0, CommissionState::Void);
    let view = sale
        .world
        .services
        .order_queries
        .get(&sale.world.scope, sale.order.id, None)
        .await;
    let refunds = view.unwrap().unwrap().refunds;
    let last = refunds.iter().find(|refund| refund.amount == usd(6666)).unwrap();
    let id = last.provider_refund_id.as_ref().unwrap();
    sale.world.gateway.refund_becomes(id, RefundState::Failed);
    sale.world
        .services
        .orders
        .apply_refunds(&sale.world.scope, &sale.intent)
        .await
        .unwrap();
    sale.jobs().await;
    assert_eq!(sale.stands().await, (CommissionState::Held, usd(800)));

    let (queries, page) = (
        &sale.world.services.commission_queries,
        PageRequest::new(Some(10), None),
    );
    let share = sale.share().await;
    let steps = queries
        .adjustments(&sale.world.scope, share.id, Some(sale.agent.party), page)
        .await;
    let steps = steps.unwrap().unwrap().items;
    let steps: Vec<_> = steps
        .iter()
        .map(|step| (step.number, step.kind, step.amount.minor()))
        .collect();
    let (reversal, restoration) = (AdjustmentKind::Reversal, AdjustmentKind::Restoration);
    assert_eq!(
        steps,
        [
            (4, restoration, 800),
            (3, reversal, 800),
            (2, reversal, 800),
            (1, reversal, 800)
        ]
    );
    let explained = queries
        .explain(&sale.world.scope, share.id, None)
        .await
        .unwrap()
        .unwrap();
    assert!(explained.agrees);
}
