//! The loop through the queue: paid, shared, allocated, delivered, expired.

use chrono::TimeDelta;
use posx_allocations::{AllocationFilter, StateName};
use posx_kernel::{AllocationId, IdempotentCall, Money, PageRequest, StoredAnswer, TierId, TokenAmount};
use posx_orders::{Checkout, Lifecycle, Order, OrderFilter, PaymentStatus, PlaceOrder, Placed, WishedLine};
use posx_tenancy::Member;
use posx_tiers::{Chain, CreateAsset, CreateTier, EditTier};
use posx_worker::{Tick, drain_site, tick_site};
use serde_json::json;

use crate::webhooks::stripe;
use crate::world::World;

const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

impl World {
    pub async fn tier(&self) -> TierId {
        let tiers = &self.services.tiers;
        let asset = CreateAsset {
            chain: Chain::Polygon,
            symbol: "PSX".into(),
            decimals: 18,
            provider_asset: "PSX_POLYGON".into(),
            vault: self.site.id.to_string(),
        };
        let asset = tiers.create_asset(&self.scope, asset, None).await.unwrap();
        let wish = CreateTier {
            terms: EditTier {
                name: "Seed".into(),
                description: String::new(),
                list_price: Money::from_minor(10_000, self.site.currency),
                promotion: None,
                max_per_order: 10,
                max_per_buyer: None,
                position: 0,
                active: true,
            },
            asset: asset.id,
            tokens_per_unit: TokenAmount::from_base_units(1_000),
            bonus_per_unit: TokenAmount::from_base_units(0),
            supply: 10,
        };
        tiers
            .create(&self.scope, self.site.currency, wish, None)
            .await
            .unwrap()
            .id
    }

    pub async fn order(&self, buyer: &Member, tier: TierId) -> Order {
        let wish = PlaceOrder {
            site: &self.site,
            buyer: buyer.party,
            lines: vec![WishedLine { tier, quantity: 2 }],
            wallet_address: Some(ADDRESS.into()),
            referrer: None,
            promo: None,
            call: None,
        };
        let answer = |_: &Order, _: &posx_orders::Quote| StoredAnswer {
            status: 201,
            body: Vec::new(),
        };
        match self
            .services
            .orders
            .place(&self.scope, &wish, &answer)
            .await
            .unwrap()
        {
            Placed::New { order, .. } => *order,
            Placed::Replayed(_) => panic!("no key was given"),
        }
    }

    pub async fn checkout(&self, order: &Order) -> Checkout {
        let call = IdempotentCall {
            actor: "buyer".into(),
            operation: "POST /checkout",
            key: order.id.to_string(),
            fingerprint: [1; 32],
            review: posx_kernel::Review::NotNeeded,
            at: self.services.clock.now(),
        };
        self.services
            .orders
            .checkout(&self.scope, order.buyer, order.id, &call)
            .await
            .unwrap()
    }

    /// A paid order's one allocation, pending.
    pub async fn allocation(&self) -> AllocationId {
        let (tier, buyer) = (self.tier().await, self.joins("carol", None).await);
        let order = self.order(&buyer, tier).await;
        let checkout = self.checkout(&order).await;
        self.gateway.pays(&checkout.intent, order.total);
        self.services
            .orders
            .apply_intent(&self.scope, &checkout.intent)
            .await
            .unwrap();
        self.all_done().await;
        let (filter, page) = (AllocationFilter::default(), PageRequest::new(Some(10), None));
        let found = self
            .services
            .allocation_queries
            .allocations(&self.scope, &filter, page)
            .await;
        found.unwrap().items[0].id
    }

    async fn all_done(&self) {
        let drained = drain_site(&self.services, self.site.id).await.unwrap();
        assert!(drained.run > 0 && drained.failures.is_empty(), "{drained:?}");
    }
}

#[tokio::test]
async fn a_paid_order_is_shared_allocated_and_delivered_by_jobs() {
    let world = World::shared().await;
    let (tier, buyer) = (world.tier().await, world.joins("carol", None).await);
    let order = world.order(&buyer, tier).await;
    let checkout = world.checkout(&order).await;
    world.gateway.pays(&checkout.intent, order.total);
    world.owns("stripe", &checkout.intent.0).await;
    for kind in [
        "payment_intent.succeeded",
        "payment_intent.processing",
        "payment_intent.succeeded",
    ] {
        world
            .delivered(
                "stripe",
                &checkout.intent.0,
                &stripe(kind, &checkout.intent.0, false),
            )
            .await;
    }
    world.all_done().await;
    let services = &world.services;
    let view = services
        .order_queries
        .get(&world.scope, order.id, None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (view.lifecycle, view.payment),
        (Lifecycle::Confirmed, PaymentStatus::Paid)
    );
    let allocations = || async {
        let (filter, page) = (AllocationFilter::default(), PageRequest::new(Some(10), None));
        let page = services
            .allocation_queries
            .allocations(&world.scope, &filter, page)
            .await;
        page.unwrap().items
    };
    let pending = allocations().await;
    assert_eq!(pending.len(), 1, "one for the line, whatever came how often");

    world.batch(&[pending[0].id]).await;
    world.all_done().await;
    let transfers = world.custody.transfers();
    assert_eq!(transfers.len(), 1);
    let external_id = transfers[0].external_id.clone().unwrap().0;
    world.owns("fireblocks", &external_id).await;
    for status in ["COMPLETED", "CONFIRMING"] {
        let event = json!({
            "id": status, "eventType": "transaction.status.updated", "createdAt": 1_767_225_600,
            "data": { "id": transfers[0].provider_id, "status": status, "externalTxId": external_id,
                      "txHash": "0xabc", "numOfConfirmations": 12 },
        });
        world.delivered("fireblocks", &external_id, &event).await;
    }
    world.all_done().await;
    assert_eq!(
        allocations().await[0].state,
        StateName::Done,
        "property 26: a late CONFIRMING moves nothing back"
    );
}

#[tokio::test]
async fn an_order_that_nobody_pays_expires_with_a_tick_after_its_time() {
    let world = World::shared().await;
    let (tier, buyer) = (world.tier().await, world.joins("dave", None).await);
    let order = world.order(&buyer, tier).await;
    let lifecycle = || async {
        let filter = OrderFilter::default();
        let page = world
            .services
            .order_queries
            .list(&world.scope, filter, PageRequest::new(Some(10), None))
            .await
            .unwrap();
        page.items
            .iter()
            .find(|found| found.id == order.id)
            .unwrap()
            .lifecycle
    };
    tick_site(&world.services, world.site.id, Tick::Expire)
        .await
        .unwrap();
    world.all_done().await;
    assert_eq!(lifecycle().await, Lifecycle::Placed);
    world.clock.advance(TimeDelta::minutes(16));
    tick_site(&world.services, world.site.id, Tick::Expire)
        .await
        .unwrap();
    world.all_done().await;
    assert_eq!(lifecycle().await, Lifecycle::Expired);
}
