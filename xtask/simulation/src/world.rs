//! The stage of a run: sites with what they sell, the real services, and the world around them.

pub(crate) mod furnish;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posx_allocations::Allocations;
use posx_commissions::testing::FakeKeeper;
use posx_commissions::{Commissions, HoldDays, Limits, Payouts, PlanLevel};
use posx_kernel::{
    ChainAssetId, Currency, EntryId, Ids as _, Money, OrderId, PartyId, Rate, SeededIds, SiteId, SiteScope,
    TierId, Timestamp, TokenAmount,
};
use posx_ledger::{Account, Entry, EntryKind};
use posx_orders::Orders;
use posx_tenancy::{Module, Site, SiteCode, SiteState};
use posx_tiers::{Chain, ChainAsset, Stock, Tier, Tiers};

use crate::custodian::Custodian;
use crate::env::Env;
use crate::payments::Payments;
use crate::sim::{SimClock, instant};
use crate::store::Db;
use crate::store::rows::Rows;
use crate::transfers::Transfers;
use crate::webhooks::{Inbox, Sender};

/// One site and those who do business with it.
pub(crate) struct SiteScene {
    pub(crate) site: Site,
    pub(crate) scope: SiteScope,
    pub(crate) tiers: Vec<TierId>,
    pub(crate) parties: Vec<PartyId>,
}

/// What clients asked for and were told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Site, buyer, key and the order that was answered.
    pub(crate) placed: Vec<(SiteId, PartyId, String, OrderId)>,
    /// Requests to place, by site and buyer: one for each key.
    pub(crate) asked: Vec<(SiteId, PartyId)>,
    /// Intents that a buyer can pay.
    pub(crate) handed: BTreeSet<String>,
}

pub(crate) struct World {
    pub(crate) env: Arc<Env>,
    pub(crate) db: Db,
    pub(crate) payments: Payments,
    pub(crate) custodian: Custodian,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) sender: Sender,
    pub(crate) tiers: Tiers,
    pub(crate) orders: Orders,
    pub(crate) commissions: Commissions,
    pub(crate) allocations: Allocations,
    pub(crate) payouts: Payouts,
    pub(crate) transfers: Transfers,
    pub(crate) sites: Vec<SiteScene>,
    told: Mutex<Told>,
}

impl World {
    pub(crate) fn new(env: &Arc<Env>, seed: u64) -> Arc<Self> {
        let (db, ids) = (Db::new(env), Arc::new(SeededIds::new(seed)));
        let many = 1 + usize::from(env.sim.one_in(3));
        let sites: Vec<_> = (0..many).map(|number| scene(&db, &ids, number)).collect();
        let inbox = Inbox::new(&db, sites[0].site.id);
        let sender = Sender::new(env, &inbox);
        let (payments, custodian, transfers) = (
            Payments::new(env, sender.clone()),
            Custodian::new(env, sender.clone()),
            Transfers::new(env, sender.clone()),
        );
        let (shared, clock) = (Arc::new(db.clone()), Arc::new(SimClock(Arc::clone(&env.sim))));
        Arc::new(Self {
            env: Arc::clone(env),
            tiers: Tiers::new(shared.clone(), clock.clone(), ids.clone()),
            orders: Orders::new(
                shared.clone(),
                shared.clone(),
                Arc::new(payments.clone()),
                clock.clone(),
                ids.clone(),
                ids.clone(),
            ),
            commissions: Commissions::new(shared.clone(), clock.clone(), ids.clone()),
            allocations: Allocations::new(
                shared.clone(),
                Arc::new(custodian.clone()),
                clock.clone(),
                ids.clone(),
            ),
            payouts: Payouts::new(
                shared,
                Arc::new(transfers.clone()),
                Arc::new(FakeKeeper),
                clock,
                ids,
            ),
            transfers,
            db,
            payments,
            custodian,
            inbox,
            sender,
            sites,
            told: Mutex::default(),
        })
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scene(db: &Db, ids: &SeededIds, number: usize) -> SiteScene {
    let (sim, now) = (&db.env.sim, instant(0));
    let currency =
        Currency::from_code(["USD", "KWD", "JPY", "EUR"][sim.index(4)]).expect("a listed currency");
    let site = Site {
        id: SiteId::from_uuid(ids.uuid(now)),
        code: SiteCode::new(["NA", "ASIA"][number]).expect("a code"),
        name: "A site".to_owned(),
        host_names: Vec::new(),
        cors_origins: Vec::new(),
        currency,
        time_zone: chrono_tz::UTC,
        state: SiteState::Active,
        modules: vec![Module::TokenSale],
        order_expiry_minutes: 15,
        created_at: now,
    };
    let parties: Vec<_> = (0..sim.between(3, 6))
        .map(|_| PartyId::from_uuid(ids.uuid(now)))
        .collect();
    let mut tiers = Vec::new();
    db.arrange(site.id, |rows| {
        for _ in 0..sim.between(1, 2) {
            tiers.push(offer(rows, db, ids, currency, now));
        }
        rows.month_cap = sim.one_in(2).then(|| {
            let minor = sim.between(50, 2_500) * currency.charge_step();
            Money::from_minor(minor, currency)
        });
        rows.plan = Some(plan(db, currency, rows.month_cap));
        furnish::codes(rows, db, ids, (currency, &tiers), now);
        for tier in &tiers {
            furnish::vesting(rows, db, ids, *tier, now);
        }
        for party in &parties {
            furnish::account(rows, *party, now);
        }
        // Whom they named when they joined: mostly one who was there before, sometimes anybody.
        for (at, party) in parties.iter().enumerate() {
            let named = if at > 0 && sim.one_in(2) {
                parties[at - 1]
            } else {
                *sim.pick(&parties)
            };
            rows.claimed.insert(*party, named);
            // Some have bought before, and are bound.
            if at > 0 && sim.one_in(2) {
                rows.referrals.insert(*party, (parties[at - 1], now));
            }
        }
    });
    SiteScene {
        scope: SiteScope::of_claimed_job(site.id),
        site,
        tiers,
        parties,
    }
}

/// A tier with little stock, and its tokens on the books.
fn offer(rows: &mut Rows, db: &Db, ids: &SeededIds, currency: Currency, now: Timestamp) -> TierId {
    let sim = &db.env.sim;
    let number = rows.assets.len();
    let asset = ChainAsset {
        id: ChainAssetId::from_uuid(ids.uuid(now)),
        chain: Chain::Polygon,
        symbol: format!("T{number}"),
        decimals: 6,
        provider_asset: format!("T{number}_POLYGON"),
        vault: "0".to_owned(),
        active: true,
        created_at: now,
    };
    // Above every currency's smallest charge, and a multiple of its step.
    let price = sim.between(20, 900) * 10 * currency.charge_step();
    let tier = Tier {
        id: TierId::from_uuid(ids.uuid(now)),
        name: "Seed".to_owned(),
        description: String::new(),
        asset: asset.id,
        list_price: Money::from_minor(price, currency),
        promotion: None,
        tokens_per_unit: TokenAmount::from_base_units(1_000_003),
        bonus_per_unit: TokenAmount::from_base_units(17),
        max_per_order: 10,
        max_per_buyer: sim.one_in(2).then_some(6),
        active: true,
        position: 0,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let supply = sim.between(4, 20);
    let issued = u32::try_from(supply)
        .ok()
        .and_then(|units| tier.tokens_for(units).ok());
    let entry = Entry::of_tokens(
        EntryId::from_uuid(ids.uuid(now)),
        EntryKind::TokensIssued,
        tier.id.as_uuid(),
        now,
        asset.id,
        issued.unwrap_or_default(),
        Account::TokensFree,
        Account::TokensIssued,
    );
    rows.entries
        .insert((entry.kind(), entry.cause(), String::new()), entry);
    let stock = Stock {
        supply,
        reserved: 0,
        sold: 0,
    };
    rows.stock.insert(tier.id, stock);
    rows.assets.insert(asset.id, asset);
    let id = tier.id;
    rows.tiers.insert(id, tier);
    id
}

/// Up to four levels, as orders freeze it.
pub(crate) fn plan(db: &Db, currency: Currency, month_cap: Option<Money>) -> serde_json::Value {
    let sim = &db.env.sim;
    let level = |level| PlanLevel {
        level,
        rate: rate(sim.between(1, 240)),
        minimum_sales: Money::zero(currency),
        limits: Limits {
            cap_per_month: month_cap,
            ..Limits::default()
        },
        tiers: Vec::new(),
    };
    let depth = u8::try_from(sim.between(1, 4)).unwrap_or(1);
    let levels = (1..=depth).map(level).collect();
    let mut snapshot = posx_commissions::testing::snapshot(levels);
    snapshot.hold_days = HoldDays::new(*sim.pick(&[0, 1, 7])).expect("a few days");
    serde_json::to_value(snapshot).expect("a plan is JSON")
}

/// Of a thousand.
pub(crate) fn rate(per_mille: i64) -> Rate {
    format!("0.{per_mille:03}").parse().expect("a rate")
}
