//! The use cases of orders on this gateway: what a buyer gets when Stripe fails, and what stands at Stripe afterwards.

use std::sync::Arc;

use axum::http::Method;
use chrono::TimeDelta;
use posx_kernel::{
    ChainAssetId, Clock as _, IdempotentCall, Ids as _, OrderId, PartyId, Refusal as _, SeededIds, SiteScope,
    StoredAnswer, TierId, TokenAmount,
};
use posx_orders::testing::FakeStore;
use posx_orders::{
    Checkout, Closed, Order, OrderError, Orders, PaymentApplied, PlaceOrder, Placed, WishedLine,
};
use posx_tenancy::{Module, Site, SiteCode, SiteState};
use posx_tiers::{Chain, ChainAsset, Tier};
use serde_json::Value;

use crate::server::{Reply, Server};
use crate::support::{gateway, money, site};

/// One site that sells at 12.500 KWD through Stripe, in memory but for Stripe.
struct Shop {
    server: Server,
    orders: Orders,
    scope: SiteScope,
    site: Site,
    tier: TierId,
    ids: Arc<SeededIds>,
}

impl Shop {
    async fn open() -> Self {
        let server = Server::start().await;
        let (store, ids) = (FakeStore::default(), Arc::new(SeededIds::new(11)));
        let now = server.clock.now();
        let (asset, tier) = (asset(&ids, now), TierId::from_uuid(ids.uuid(now)));
        store.add_tier(offer(tier, asset.id, now), asset, 100).await;
        let store = Arc::new(store);
        let gateway = Arc::new(gateway(&server));
        let orders = Orders::new(
            store.clone(),
            store,
            gateway,
            server.clock.clone(),
            ids.clone(),
            ids.clone(),
        );
        let site = Site {
            id: site(),
            code: SiteCode::new("NA").unwrap(),
            name: "North America".to_owned(),
            host_names: Vec::new(),
            cors_origins: Vec::new(),
            currency: money(0, "KWD").currency(),
            time_zone: chrono_tz::UTC,
            state: SiteState::Active,
            modules: vec![Module::TokenSale],
            order_expiry_minutes: 15,
            created_at: now,
        };
        Self {
            server,
            orders,
            scope: SiteScope::of_verified_request(site.id),
            site,
            tier,
            ids,
        }
    }

    async fn placed(&self) -> Order {
        let line = WishedLine {
            tier: self.tier,
            quantity: 1,
        };
        let wish = PlaceOrder {
            site: &self.site,
            buyer: PartyId::from_uuid(self.ids.uuid(self.server.clock.now())),
            lines: vec![line],
            wallet_address: Some("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned()),
            referrer: None,
            promo: None,
            call: None,
        };
        let render = |order: &Order, _: &posx_orders::Quote| StoredAnswer {
            status: 201,
            body: order.id.to_string().into_bytes(),
        };
        match self.orders.place(&self.scope, &wish, &render).await.unwrap() {
            Placed::New { order, .. } => *order,
            Placed::Replayed(_) => panic!("no key was given"),
        }
    }

    /// A click on "pay", with a key of its own.
    async fn checkout(&self, order: &Order) -> Result<Checkout, OrderError> {
        let now = self.server.clock.now();
        let call = IdempotentCall {
            actor: "idn_1".to_owned(),
            operation: "POST /orders/{id}/checkout",
            key: self.ids.uuid(now).to_string(),
            fingerprint: [1; 32],
            review: posx_kernel::Review::NotNeeded,
            at: now,
        };
        self.orders
            .checkout(&self.scope, order.buyer, order.id, &call)
            .await
    }

    async fn expire(&self, order: OrderId) -> Closed {
        self.server.clock.advance(TimeDelta::minutes(16));
        self.orders.expire(&self.scope, order).await.unwrap()
    }

    fn intents(&self) -> Vec<Value> {
        self.server.book(|book| book.intents.clone())
    }

    fn pays(&self, checkout: &Checkout) {
        self.server
            .book(|book| book.moves(&checkout.intent.0, "succeeded"));
    }

    async fn applied(&self, checkout: &Checkout) -> PaymentApplied {
        self.orders
            .apply_intent(&self.scope, &checkout.intent)
            .await
            .unwrap()
    }
}

fn asset(ids: &SeededIds, now: posx_kernel::Timestamp) -> ChainAsset {
    ChainAsset {
        id: ChainAssetId::from_uuid(ids.uuid(now)),
        chain: Chain::Polygon,
        symbol: "PSX".to_owned(),
        decimals: 18,
        provider_asset: "PSX_POLYGON".to_owned(),
        vault: "0".to_owned(),
        active: true,
        created_at: now,
    }
}

fn offer(id: TierId, asset: ChainAssetId, now: posx_kernel::Timestamp) -> Tier {
    Tier {
        id,
        name: "Seed".to_owned(),
        description: String::new(),
        asset,
        list_price: money(12_500, "KWD"),
        promotion: None,
        tokens_per_unit: TokenAmount::from_base_units(1000),
        bonus_per_unit: TokenAmount::from_base_units(50),
        max_per_order: 10,
        max_per_buyer: None,
        active: true,
        position: 0,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

#[tokio::test]
async fn s02_after_a_stored_500_the_buyer_pays_with_a_new_attempt() {
    let shop = Shop::open().await;
    let order = shop.placed().await;
    shop.server.reply(&Method::POST, Reply::Stored500);
    assert_eq!(
        shop.checkout(&order).await.unwrap_err().code(),
        "payment_unavailable"
    );
    assert_eq!(shop.checkout(&order).await.unwrap_err().code(), "payment_refused");
    let checkout = shop.checkout(&order).await.unwrap();
    let keys: Vec<_> = shop
        .server
        .posts()
        .iter()
        .map(|post| post.key().unwrap().to_owned())
        .collect();
    assert_eq!(keys[0], keys[1], "an unknown outcome keeps its key");
    assert_ne!(keys[1], keys[2], "one that can get no further has a new one");
    assert_eq!(shop.intents().len(), 1);
    shop.pays(&checkout);
    assert_eq!(shop.applied(&checkout).await, PaymentApplied::Paid);
}

#[tokio::test]
async fn s07_a_lost_answer_is_settled_within_the_same_click() {
    let shop = Shop::open().await;
    let order = shop.placed().await;
    shop.server.reply(&Method::POST, Reply::Lost);
    let checkout = shop.checkout(&order).await.unwrap();
    assert_eq!(shop.checkout(&order).await.unwrap(), checkout);
    assert_eq!((shop.intents().len(), shop.server.posts().len()), (1, 1));
}

#[tokio::test]
async fn s15_an_expired_orders_intent_is_cancelled_at_stripe_first() {
    let shop = Shop::open().await;
    let order = shop.placed().await;
    shop.checkout(&order).await.unwrap();
    assert_eq!(shop.expire(order.id).await, Closed::Now);
    assert_eq!(shop.intents()[0]["status"], "canceled");
}

#[tokio::test]
async fn s15_money_that_was_faster_than_expiry_pays_the_order() {
    let shop = Shop::open().await;
    let order = shop.placed().await;
    let checkout = shop.checkout(&order).await.unwrap();
    shop.pays(&checkout);
    assert_eq!(shop.expire(order.id).await, Closed::Paid);
    assert_eq!(shop.applied(&checkout).await, PaymentApplied::AlreadyApplied);
}

#[tokio::test]
async fn s15_an_order_does_not_expire_while_stripe_cannot_be_asked() {
    let shop = Shop::open().await;
    let order = shop.placed().await;
    shop.checkout(&order).await.unwrap();
    let unauthorized = serde_json::json!({ "error": { "type": "invalid_request_error" } });
    shop.server.reply(&Method::POST, Reply::Json(401, unauthorized));
    shop.server.clock.advance(TimeDelta::minutes(16));
    let outcome = shop.orders.expire(&shop.scope, order.id).await;
    assert_eq!(outcome.unwrap_err().code(), "payment_unavailable");
    assert_eq!(shop.intents()[0]["status"], "requires_payment_method");
    assert_eq!(
        shop.orders.expire(&shop.scope, order.id).await.unwrap(),
        Closed::Now
    );
}
