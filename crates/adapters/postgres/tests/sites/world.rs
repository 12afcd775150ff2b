use std::sync::Arc;

use chrono::{DateTime, Utc};
use posx_kernel::{
    Begin, Clock, IdentityId, Ids, ManualClock, Money, PartyId, SiteScope, SystemClock, SystemIds,
    SystemRandomness, TokenAmount,
};
use posx_orders::testing::ScriptedGateway;
use posx_orders::{Order, Orders, OrdersTx, PlaceOrder, Placed, WishedLine};
use posx_postgres::{Database, DatabaseOptions, PgDirectory};
use posx_tenancy::{Directory, Join, Member, Site, Tenancy, TenancyTx};
use posx_tiers::{Chain, CreateAsset, CreateTier, EditTier, Tier, Tiers, TiersTx};

/// One fresh site with its people and use cases.
pub struct World {
    pub database: Database,
    pub site: Site,
    pub scope: SiteScope,
    pub tenancy: Tenancy,
    pub tiers: Tiers,
    pub orders: Orders,
    pub gateway: Arc<ScriptedGateway>,
    pub directory: PgDirectory,
    pub clock: Arc<ManualClock>,
}

pub async fn database(pool_size: u32) -> Database {
    let options = DatabaseOptions {
        pool_size,
        ..DatabaseOptions::default()
    };
    Database::connect(&posx_testkit::database().app_url, options)
        .await
        .expect("the app role connects")
}

impl World {
    pub async fn new(currency: &str) -> Self {
        Self::on(database(8).await, currency).await
    }

    pub async fn on(database: Database, currency: &str) -> Self {
        let site = posx_testkit::fresh_site(currency).await;
        let (clock, ids, randomness) = (
            Arc::new(ManualClock::default()),
            Arc::new(SystemIds),
            Arc::new(SystemRandomness),
        );
        let db = Arc::new(database.clone());
        let gateway = Arc::new(ScriptedGateway::default());
        Self {
            scope: SiteScope::of_verified_request(site.id),
            tenancy: Tenancy::new(
                db.clone() as Arc<dyn Begin<dyn TenancyTx>>,
                clock.clone(),
                ids.clone(),
                randomness.clone(),
            ),
            tiers: Tiers::new(
                db.clone() as Arc<dyn Begin<dyn TiersTx>>,
                clock.clone(),
                ids.clone(),
            ),
            orders: Orders::new(
                db.clone() as Arc<dyn Begin<dyn OrdersTx>>,
                db,
                gateway.clone(),
                clock.clone(),
                ids.clone(),
                randomness,
            ),
            directory: PgDirectory::new(database.clone(), clock.clone(), ids),
            gateway,
            database,
            site,
            clock,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub async fn join(&self, referral_code: Option<&str>) -> Member {
        let subject = SystemIds.uuid(SystemClock.now()).to_string();
        let identity = self
            .directory
            .identity("https://issuer.test/", &subject)
            .await
            .expect("an identity");
        let join = Join {
            site: &self.site,
            identity,
            referral_code,
        };
        self.tenancy.join(&self.scope, join).await.expect("joined").member
    }

    pub async fn tier(&self, price: i64, supply: i64) -> Tier {
        let symbol = format!(
            "T{}",
            &SystemIds.uuid(self.now()).simple().to_string().to_uppercase()[20..32]
        );
        let asset = CreateAsset {
            chain: Chain::Polygon,
            symbol,
            decimals: 18,
            provider_asset: "PSX_POLYGON".to_owned(),
            vault: "0".to_owned(),
        };
        let asset = self
            .tiers
            .create_asset(&self.scope, asset)
            .await
            .expect("an asset");
        let terms = EditTier {
            name: "Seed".to_owned(),
            description: String::new(),
            list_price: Money::from_minor(price, self.site.currency),
            promotion: None,
            max_per_order: 1000,
            max_per_buyer: None,
            position: 0,
            active: true,
        };
        let wish = CreateTier {
            terms,
            asset: asset.id,
            tokens_per_unit: TokenAmount::from_base_units(1_000_000),
            bonus_per_unit: TokenAmount::from_base_units(1),
            supply,
        };
        let actor = IdentityId::from_uuid(SystemIds.uuid(self.now()));
        self.tiers
            .create(&self.scope, self.site.currency, actor, wish)
            .await
            .expect("a tier")
    }

    pub fn wish(&self, buyer: PartyId, tier: &Tier, quantity: u32) -> PlaceOrder<'_> {
        PlaceOrder {
            site: &self.site,
            buyer,
            lines: vec![WishedLine {
                tier: tier.id,
                quantity,
            }],
            wallet_address: Some("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned()),
            referrer: None,
            call: None,
        }
    }

    pub async fn place(&self, wish: &PlaceOrder<'_>) -> Result<Placed, posx_orders::OrderError> {
        let answer = |order: &Order| posx_kernel::StoredAnswer {
            status: 201,
            body: order.id.to_string().into_bytes(),
        };
        self.orders.place(&self.scope, wish, &answer).await
    }

    pub async fn placed(&self, buyer: PartyId, tier: &Tier, quantity: u32) -> Order {
        match self
            .place(&self.wish(buyer, tier, quantity))
            .await
            .expect("placed")
        {
            Placed::New { order, .. } => *order,
            Placed::Replayed(_) => panic!("no key was given"),
        }
    }
}
