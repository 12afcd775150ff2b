use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use posx_kernel::{
    ChainAssetId, Currency, IdempotentCall, Ids, ManualClock, Money, OrderId, PartyId, SeededIds, SiteId,
    SiteScope, StoredAnswer, TierId, TokenAmount,
};
use posx_ledger::{Entry, Side};
use posx_tenancy::{Module, Site, SiteCode, SiteState};
use posx_tiers::{Chain, ChainAsset, Tier};

use crate::gateway::IntentId;
use crate::testing::{FakeStore, ScriptedGateway};
use crate::{Checkout, Order, OrderError, Orders, PlaceOrder, Placed, Quote, WishedLine};

pub const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

/// One site with one tier, its buyers, a provider and a clock that stands still.
pub struct World {
    pub orders: Orders,
    pub store: FakeStore,
    pub gateway: Arc<ScriptedGateway>,
    pub clock: Arc<ManualClock>,
    pub ids: Arc<SeededIds>,
    pub scope: SiteScope,
    pub site: Site,
    pub tier: TierId,
}

fn balance(entries: &[Entry], code: &str) -> i128 {
    let postings = entries.iter().flat_map(Entry::postings);
    let own = postings.filter(|posting| posting.account.code() == code);
    own.map(|posting| {
        let amount = i128::try_from(posting.amount).expect("a small amount");
        if posting.side == Side::Debit {
            amount
        } else {
            -amount
        }
    })
    .sum()
}

pub fn noon() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().expect("an instant")
}

impl World {
    pub async fn with(currency: &str, price: i64, supply: i64) -> Self {
        let currency = Currency::from_code(currency).expect("a currency");
        let (clock, ids) = (
            Arc::new(ManualClock::stopped_at(noon())),
            Arc::new(SeededIds::new(11)),
        );
        let (store, gateway) = (FakeStore::default(), Arc::new(ScriptedGateway::default()));
        let site = Site {
            id: SiteId::from_uuid(ids.uuid(noon())),
            code: SiteCode::new("NA").expect("a code"),
            name: "North America".to_owned(),
            host_names: Vec::new(),
            cors_origins: Vec::new(),
            currency,
            time_zone: chrono_tz::UTC,
            state: SiteState::Active,
            modules: vec![Module::TokenSale],
            order_expiry_minutes: 15,
            created_at: noon(),
        };
        let asset = ChainAsset {
            id: ChainAssetId::from_uuid(ids.uuid(noon())),
            chain: Chain::Polygon,
            symbol: "PSX".to_owned(),
            decimals: 18,
            provider_asset: "PSX_POLYGON".to_owned(),
            vault: "0".to_owned(),
            active: true,
            created_at: noon(),
        };
        let tier = Tier {
            id: TierId::from_uuid(ids.uuid(noon())),
            name: "Seed".to_owned(),
            description: String::new(),
            asset: asset.id,
            list_price: Money::from_minor(price, currency),
            promotion: None,
            tokens_per_unit: TokenAmount::from_base_units(1000),
            bonus_per_unit: TokenAmount::from_base_units(50),
            max_per_order: 100,
            max_per_buyer: None,
            active: true,
            position: 0,
            version: 1,
            created_at: noon(),
            updated_at: noon(),
        };
        let id = tier.id;
        store.add_tier(tier, asset, supply).await;
        let queries = Arc::new(store.clone());
        let orders = Orders::new(
            queries.clone(),
            queries,
            gateway.clone(),
            clock.clone(),
            ids.clone(),
            ids.clone(),
        );
        let scope = SiteScope::of_verified_request(site.id);
        Self {
            orders,
            store,
            gateway,
            clock,
            ids,
            scope,
            site,
            tier: id,
        }
    }

    pub fn buyer(&self) -> PartyId {
        PartyId::from_uuid(self.ids.uuid(noon()))
    }

    pub fn call(key: &str, body: u8) -> IdempotentCall {
        let fingerprint = [body; 32];
        IdempotentCall {
            actor: "idn_1".to_owned(),
            operation: "POST /orders",
            key: key.to_owned(),
            fingerprint,
            review: posx_kernel::Review::NotNeeded,
            at: noon(),
        }
    }

    pub async fn place_with(
        &self,
        buyer: PartyId,
        quantity: u32,
        call: Option<IdempotentCall>,
    ) -> Result<Placed, OrderError> {
        let wish = PlaceOrder {
            site: &self.site,
            buyer,
            lines: vec![WishedLine {
                tier: self.tier,
                quantity,
            }],
            wallet_address: Some(ADDRESS.to_owned()),
            referrer: None,
            promo: None,
            call,
        };
        let answer = |order: &Order, _: &Quote| StoredAnswer {
            status: 201,
            body: order.id.to_string().into_bytes(),
        };
        self.orders.place(&self.scope, &wish, &answer).await
    }

    pub async fn place(&self, buyer: PartyId, quantity: u32) -> Result<Order, OrderError> {
        match self.place_with(buyer, quantity, None).await? {
            Placed::New { order, .. } => Ok(*order),
            Placed::Replayed(_) => panic!("no key was given"),
        }
    }

    pub async fn checkout(&self, order: &Order) -> Result<Checkout, OrderError> {
        self.orders
            .checkout(
                &self.scope,
                order.buyer,
                order.id,
                &Self::call(&order.id.to_string(), 1),
            )
            .await
    }

    pub async fn order(&self, id: OrderId) -> Order {
        self.store.read(|state| state.orders[&id].clone()).await
    }

    pub fn let_expire(&self) {
        self.clock.advance(Duration::minutes(15));
    }

    pub async fn events(&self, kind: &str) -> usize {
        self.store
            .read(|state| state.events.iter().filter(|event| event.kind == kind).count())
            .await
    }

    pub fn clock_now(&self) -> DateTime<Utc> {
        use posx_kernel::Clock as _;
        self.clock.now() + Duration::seconds(1)
    }

    /// Of an account, debits positive.
    pub async fn balance(&self, code: &str) -> i128 {
        self.store.read(|state| balance(&state.entries, code)).await
    }

    /// The buyer's second try, after the first intent was given up here and not at the provider.
    pub async fn second_checkout(&self, order: &Order) -> IntentId {
        self.store
            .arrange(|state| {
                for attempt in state.attempts.values_mut() {
                    attempt.state = crate::AttemptState::Cancelled;
                }
            })
            .await;
        let call = Self::call("second", 2);
        let opened = self
            .orders
            .checkout(&self.scope, order.buyer, order.id, &call)
            .await;
        opened.expect("a checkout").intent
    }

    /// Stock and books agree, whatever happened: tokens reserved and sold as counted, money owed and kept as captured.
    pub async fn check_books(&self) {
        self.store
            .read(|state| {
                let balance = |code: &str| balance(&state.entries, code);
                let stock = state.stock[&self.tier];
                assert!(
                    stock.reserved >= 0 && stock.sold >= 0 && stock.available() >= 0,
                    "{stock:?}"
                );
                assert_eq!(balance("tokens:reserved"), i128::from(stock.reserved) * 1050);
                assert_eq!(balance("tokens:sold"), i128::from(stock.sold) * 1050);
                let captured: i64 = state.orders.values().map(|order| order.captured.minor()).sum();
                let refunded: i64 = state.orders.values().map(|order| order.refunded.minor()).sum();
                let disputed = balance("disputes:withdrawn") + balance("disputes:fees");
                let lost: i64 = state.disputes.values().map(|dispute| dispute.lost.minor()).sum();
                let gone = i128::from(refunded + lost) + disputed;
                assert_eq!(balance("provider:clearing"), i128::from(captured) - gone);
                for order in state.orders.values() {
                    assert!(
                        order.refunded.minor() <= order.captured.minor(),
                        "refunded within captured"
                    );
                }
            })
            .await;
    }
}
