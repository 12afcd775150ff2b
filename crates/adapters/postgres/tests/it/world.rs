//! A test is a site: fresh, in the database that all tests share.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use posx_allocations::testing::FakeCustody;
use posx_allocations::{Allocations, AllocationsTx};
use posx_commissions::testing::level;
use posx_commissions::{Commissions, NewPlan};
use posx_kernel::{
    Clock, Currency, IdempotentCall, IdentityId, Ids, ManualClock, Money, Randomness, SiteScope,
    StoredAnswer, SystemIds, SystemRandomness, TierId, TokenAmount,
};
use posx_orders::testing::ScriptedGateway;
use posx_orders::{Order, OrderError, Orders, PlaceOrder, Placed, Quote, WishedLine};
use posx_postgres::{Database, DatabaseOptions, PgDirectory, PlatformDatabase};
use posx_tenancy::{CreateSite, Directory as _, Join, Member, Platform, Site, Tenancy};
use posx_tiers::{Chain, CreateAsset, CreateTier, EditTier, Tiers};
use uuid::Uuid;

use crate::server::shared;

pub const ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

pub fn noon() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().expect("an instant")
}

pub fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::from_code("USD").expect("USD"))
}

/// One site, its use cases on real PostgreSQL, a scripted provider, and a clock that stands still.
pub struct World {
    pub database: Database,
    pub directory: PgDirectory,
    pub platform: Platform,
    pub tenancy: Tenancy,
    pub tiers: Tiers,
    pub orders: Orders,
    pub commissions: Commissions,
    pub allocations: Allocations,
    pub gateway: Arc<ScriptedGateway>,
    pub custody: Arc<FakeCustody>,
    pub clock: Arc<ManualClock>,
    pub site: Site,
    pub scope: SiteScope,
    pub actor: IdentityId,
}

pub fn unique(length: usize) -> String {
    let mut bytes = vec![0; length];
    SystemRandomness.fill(&mut bytes);
    bytes
        .into_iter()
        .map(|byte| char::from(b'A' + byte % 26))
        .collect()
}

pub fn new_id() -> Uuid {
    SystemIds.uuid(noon())
}

impl World {
    pub async fn new() -> Self {
        Self::with_pool(4).await
    }

    pub async fn with_pool(pool_size: u32) -> Self {
        Self::with(pool_size, "USD").await
    }

    pub async fn with(pool_size: u32, currency: &str) -> Self {
        let options = DatabaseOptions {
            pool_size,
            acquire_timeout: Duration::from_secs(30),
            ..DatabaseOptions::default()
        };
        let database = Database::connect(&shared().app_url, options)
            .await
            .expect("the app role's pool");
        let clock = Arc::new(ManualClock::stopped_at(noon()));
        let dyn_clock: Arc<dyn Clock> = clock.clone();
        let (ids, random): (Arc<dyn Ids>, Arc<dyn Randomness>) =
            (Arc::new(SystemIds), Arc::new(SystemRandomness));
        let planes = PlatformDatabase::connect(&shared().platform_url, dyn_clock.clone(), ids.clone()).await;
        let platform = Platform::new(
            Arc::new(planes.expect("the platform role's pool")),
            dyn_clock.clone(),
            ids.clone(),
            random.clone(),
        );
        let site = platform
            .create(wish(&unique(12), currency))
            .await
            .expect("a site");
        let vault = [site.id.to_string()];
        let given = platform.change_vaults(site.code.as_str(), &vault, &[]).await;
        given.expect("its vault");
        let db = Arc::new(database.clone());
        let (gateway, custody) = (
            Arc::new(ScriptedGateway::default()),
            Arc::new(FakeCustody::default()),
        );
        let directory = PgDirectory::new(database.clone(), dyn_clock.clone(), ids.clone());
        let actor = directory
            .identity("https://issuer.test", &unique(20))
            .await
            .expect("an identity");
        let allocations: Arc<dyn posx_kernel::Begin<dyn AllocationsTx>> = db.clone();
        Self {
            tenancy: Tenancy::new(db.clone(), dyn_clock.clone(), ids.clone(), random.clone()),
            tiers: Tiers::new(db.clone(), dyn_clock.clone(), ids.clone()),
            orders: Orders::new(
                db.clone(),
                db.clone(),
                gateway.clone(),
                dyn_clock.clone(),
                ids.clone(),
                random,
            ),
            commissions: Commissions::new(db, dyn_clock.clone(), ids.clone()),
            allocations: Allocations::new(allocations, custody.clone(), dyn_clock, ids),
            scope: SiteScope::of_verified_request(site.id),
            database,
            directory,
            platform,
            gateway,
            custody,
            clock,
            site,
            actor,
        }
    }

    /// A member who joined with this code, or with none.
    pub async fn member(&self, referral_code: Option<&str>) -> Member {
        let identity = self
            .directory
            .identity("https://issuer.test", &unique(20))
            .await
            .expect("an identity");
        let join = Join {
            site: &self.site,
            identity,
            referral_code,
        };
        self.tenancy.join(&self.scope, join).await.expect("joined").member
    }

    pub async fn tier(&self, supply: i64, price: i64) -> TierId {
        self.tier_with(supply, price, None).await
    }

    pub async fn tier_with(&self, supply: i64, price: i64, max_per_buyer: Option<u32>) -> TierId {
        let asset = CreateAsset {
            chain: Chain::Polygon,
            symbol: unique(8),
            decimals: 18,
            provider_asset: "PSX_POLYGON".to_owned(),
            vault: self.site.id.to_string(),
        };
        let asset = self
            .tiers
            .create_asset(&self.scope, asset, None)
            .await
            .expect("an asset");
        let wish = CreateTier {
            terms: EditTier {
                list_price: Money::from_minor(price, self.site.currency),
                ..terms(price, max_per_buyer)
            },
            asset: asset.id,
            tokens_per_unit: TokenAmount::from_base_units(1000),
            bonus_per_unit: TokenAmount::from_base_units(50),
            supply,
        };
        let tier = self
            .tiers
            .create(&self.scope, self.site.currency, wish, None)
            .await;
        tier.expect("a tier").id
    }

    /// 12 % and 4 %, held for seven days.
    pub async fn plan(&self) {
        let levels = vec![level(1, "0.12", 0), level(2, "0.04", 0)];
        let wish = NewPlan {
            name: "Standard".to_owned(),
            levels,
            difference: None,
            hold_days: 7,
        };
        let plan = self
            .commissions
            .create_plan(&self.scope, self.site.currency, wish, None)
            .await
            .expect("a plan");
        self.commissions
            .activate_plan(&self.scope, plan.id, None)
            .await
            .expect("active");
    }

    pub fn call(key: &str, body: u8) -> IdempotentCall {
        IdempotentCall {
            actor: "idn_1".to_owned(),
            operation: "POST /orders",
            key: key.to_owned(),
            fingerprint: [body; 32],
            review: posx_kernel::Review::NotNeeded,
            at: noon(),
        }
    }

    pub async fn place_with(
        &self,
        buyer: &Member,
        tier: TierId,
        quantity: u32,
        call: Option<IdempotentCall>,
    ) -> Result<Placed, OrderError> {
        let wish = PlaceOrder {
            call,
            ..self.wish(buyer, tier, quantity)
        };
        self.place_wish(&wish).await
    }

    pub fn wish(&self, buyer: &Member, tier: TierId, quantity: u32) -> PlaceOrder<'_> {
        PlaceOrder {
            site: &self.site,
            buyer: buyer.party,
            lines: vec![WishedLine { tier, quantity }],
            wallet_address: Some(ADDRESS.to_owned()),
            referrer: None,
            promo: None,
            call: None,
        }
    }

    pub async fn place_wish(&self, wish: &PlaceOrder<'_>) -> Result<Placed, OrderError> {
        let answer = |order: &Order, _: &Quote| StoredAnswer {
            status: 201,
            body: order.id.to_string().into_bytes(),
        };
        self.orders.place(&self.scope, wish, &answer).await
    }

    pub async fn place(&self, buyer: &Member, tier: TierId, quantity: u32) -> Result<Order, OrderError> {
        match self.place_with(buyer, tier, quantity, None).await? {
            Placed::New { order, .. } => Ok(*order),
            Placed::Replayed(_) => panic!("no key was given"),
        }
    }

    /// Opens a payment and pays it.
    pub async fn pay(&self, order: &Order) -> posx_orders::PaymentApplied {
        let call = Self::call(&order.id.to_string(), 1);
        let checkout = self
            .orders
            .checkout(&self.scope, order.buyer, order.id, &call)
            .await
            .expect("a checkout");
        assert!(
            self.gateway.pays(&checkout.intent, order.total),
            "the provider takes the money"
        );
        self.orders
            .apply_intent(&self.scope, &checkout.intent)
            .await
            .expect("applied")
    }
}

fn wish(code: &str, currency: &str) -> CreateSite {
    CreateSite {
        code: code.to_owned(),
        name: "A site of its own".to_owned(),
        host_names: vec![format!("{}.test", code.to_lowercase())],
        currency: Currency::from_code(currency).expect("a currency"),
        time_zone: chrono_tz::UTC,
    }
}

pub fn terms(price: i64, max_per_buyer: Option<u32>) -> EditTier {
    EditTier {
        name: "Seed".to_owned(),
        description: String::new(),
        list_price: usd(price),
        promotion: None,
        max_per_order: 100,
        max_per_buyer,
        position: 0,
        active: true,
    }
}
