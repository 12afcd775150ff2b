//! Vesting and returns on the real store: the contract, and many workers at once.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use posx_allocations::testing::{Seller, VestingGiven, vesting_contract};
use posx_allocations::{
    AllocationsTx, CreatePolicy, Granularity, PeriodUnit, ReleaseName, ScheduleFilter, VestingQueries as _,
    calendar,
};
use posx_kernel::{Begin, OrderId, PageRequest, TierId, VestingPolicyId};
use posx_ledger::LedgerQueries as _;
use posx_tenancy::Member;
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::server::{by_hand, superuser};
use crate::world::{World, noon};

impl World {
    /// A quarter at the start, which is today; the rest in three months.
    pub async fn vesting_policy(&self) -> VestingPolicyId {
        let wish = CreatePolicy {
            name: "Seed".to_owned(),
            share_at_start: "0.25".parse().expect("a rate"),
            cliff_months: 0,
            periods: 3,
            unit: PeriodUnit::Month,
            revocable: true,
            starts_on: Some(noon().date_naive()),
        };
        let made = self.allocations.create_policy(&self.scope, wish, None).await;
        made.expect("a policy").id
    }

    pub async fn vested_tier(&self, supply: i64) -> TierId {
        let (tier, policy) = (
            self.tier_with(supply, 1000, Some(100)).await,
            self.vesting_policy().await,
        );
        let set = self
            .allocations
            .set_tier_vesting(&self.scope, tier, Some(policy), None)
            .await;
        set.expect("attached");
        tier
    }

    /// Four units, paid.
    pub async fn buys_four(&self, buyer: &Member, tier: TierId) -> OrderId {
        let order = self.place(buyer, tier, 4).await.expect("placed");
        self.pay(&order).await;
        order.id
    }

    /// So many hundredths of the order's total went back in all.
    pub async fn gives_back(&self, order: OrderId, hundredths: i64) {
        let sql = "update orders set returned = total * $2 / 100 where id = $1";
        let query = sqlx::query(sql).bind(order.as_uuid()).bind(hundredths);
        query.execute(&mut by_hand().await).await.expect("written");
    }

    /// Someone's tokens vest, and half of the money went back: the next tables have a row.
    pub async fn vests(&self, buyer: &Member) {
        let tier = self.vested_tier(10).await;
        let order = self.buys_four(buyer, tier).await;
        self.gives_back(order, 50).await;
        self.allocations
            .adjust(&self.scope, order)
            .await
            .expect("adjusted");
    }

    pub async fn sum(&self, sql: &'static str) -> String {
        let row = sqlx::query(sql).bind(self.site.id.as_uuid());
        row.fetch_one(&mut superuser().await).await.expect("a sum").get(0)
    }

    /// What the books say is what the parts say, and every unit sums to zero.
    pub async fn check_books(&self) {
        let parts = self
            .sum(
                "select (
                   (select coalesce(sum(cut), 0) from allocations where site_id = $1)
                   + (select coalesce(sum(case state when 'revoked' then amount else cut end), 0) from vesting_releases where site_id = $1)
                   - (select coalesce(sum(r.units * (t.tokens_per_unit + t.bonus_per_unit)), 0) from line_restocks r
                      join order_lines l on l.id = r.line_id join tiers t on t.id = l.tier_id where r.site_id = $1))::text",
            )
            .await;
        let books = self.sum("select coalesce(sum(amount), 0)::text from postings where site_id = $1 and account = 'tokens:returned'");
        assert_eq!(books.await, parts);
        let debts = self
            .sum("select coalesce(sum(greatest(owed - waived, 0)), 0)::text from allocations where site_id = $1")
            .await;
        let books = self.sum("select coalesce(sum(amount), 0)::text from postings where site_id = $1 and account like 'tokens:owed:%'");
        assert_eq!(books.await, debts);
        let unmoved = self.sum(
            "select count(*)::text from tier_stock s where s.site_id = $1 and s.sold is distinct from
               (select sum(m.sold_delta) from stock_movements m where m.tier_id = s.tier_id)",
        );
        assert_eq!(unmoved.await, "0", "p09");
        let mut units = std::collections::BTreeMap::<_, i128>::new();
        for row in self
            .database
            .trial_balance(&self.scope, None)
            .await
            .expect("a trial balance")
        {
            *units.entry(row.unit).or_default() += row.balance.parse::<i128>().expect("a number");
        }
        assert!(units.values().all(|sum| *sum == 0), "p31 {units:?}");
    }
}

/// Sells at the real counter.
struct Counter<'a> {
    world: &'a World,
    buyer: Member,
    tier: TierId,
}

#[async_trait]
impl Seller for Counter<'_> {
    async fn sell(&self) -> OrderId {
        self.world.clock.advance(Duration::seconds(1));
        self.world.buys_four(&self.buyer, self.tier).await
    }

    async fn give_back(&self, order: OrderId, hundredths: i64) {
        self.world.gives_back(order, hundredths).await;
    }

    async fn sold(&self) -> i64 {
        let row = sqlx::query("select sold from tier_stock where tier_id = $1").bind(self.tier.as_uuid());
        row.fetch_one(&mut superuser().await)
            .await
            .expect("the stock")
            .get(0)
    }
}

// One connection: a suite has one transaction open at a time, as the fakes do.
#[tokio::test]
async fn vesting_passes_its_contract() {
    let (world, elsewhere) = (World::with_pool(1).await, World::new().await);
    let tier = world.tier_with(100, 1000, Some(100)).await;
    let counter = Counter {
        world: &world,
        buyer: world.member(None).await,
        tier,
    };
    let given = VestingGiven {
        scope: world.scope.clone(),
        elsewhere: elsewhere.scope,
        tier,
        seller: &counter,
        // Behind the first sale, before the second.
        now: noon() + Duration::milliseconds(1500),
    };
    let db: Arc<dyn Begin<dyn AllocationsTx>> = Arc::new(world.database.clone());
    vesting_contract(db, &given).await;
    world.check_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p15_many_workers_at_once_cut_once_whatever_else_runs() {
    let world = Arc::new(World::with_pool(8).await);
    let buyer = world.member(None).await;
    let tier = world.tier_with(50, 1000, Some(100)).await;
    let order = world.buys_four(&buyer, tier).await;
    let mut workers = JoinSet::new();
    for worker in 0..24_i64 {
        let world = world.clone();
        workers.spawn(async move {
            if worker % 3 == 0 {
                world.gives_back(order, (worker * 7) % 101).await;
            }
            let run = posx_kernel::retry_busy(|| world.allocations.adjust(&world.scope, order));
            run.await.expect("adjusted");
            let allocate = posx_kernel::retry_busy(|| world.allocations.allocate(&world.scope, order));
            allocate.await.expect("allocated");
        });
    }
    while let Some(done) = workers.join_next().await {
        done.expect("no panic");
    }
    world.gives_back(order, 30).await;
    world
        .allocations
        .adjust(&world.scope, order)
        .await
        .expect("adjusted");
    world.check_books().await;
    let cut = world.sum(
        "select string_agg(cut::text || ' of ' || amount::text, ', ') from allocations where site_id = $1",
    );
    assert_eq!(cut.await, "1260 of 4200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_arrives_while_its_money_goes_back_is_owed_once() {
    let world = Arc::new(World::with_pool(8).await);
    let buyer = world.member(None).await;
    let tier = world.tier_with(50, 1000, Some(100)).await;
    for _ in 0..5 {
        let order = world.buys_four(&buyer, tier).await;
        let made = world
            .allocations
            .adjust(&world.scope, order)
            .await
            .expect("allocated")
            .made;
        let batch = world.approved(&made).await;
        world
            .allocations
            .submit_batch(&world.scope, batch)
            .await
            .expect("sent");
        let name = format!("{}-1", made[0]);
        let mut transfers = world.custody.transfers();
        transfers.retain(|transfer| transfer.external_id.as_ref().is_some_and(|id| id.0 == name));
        let mut transfer = transfers.remove(0);
        "COMPLETED".clone_into(&mut transfer.status);
        transfer.tx_hash = Some(format!("0x{name}"));
        world.gives_back(order, 100).await;
        let mut workers = JoinSet::new();
        for worker in 0..8 {
            let (world, transfer) = (world.clone(), transfer.clone());
            workers.spawn(async move {
                if worker % 2 == 0 {
                    world
                        .allocations
                        .apply_report(&world.scope, &transfer)
                        .await
                        .expect("applied");
                } else {
                    let run = posx_kernel::retry_busy(|| world.allocations.adjust(&world.scope, order));
                    run.await.expect("adjusted");
                }
            });
        }
        while let Some(done) = workers.join_next().await {
            done.expect("no panic");
        }
        // The job that its end asked for.
        world
            .allocations
            .adjust(&world.scope, order)
            .await
            .expect("adjusted");
        world.check_books().await;
    }
    let asked = world
        .sum("select count(*)::text from events where site_id = $1 and kind = 'order.allocations_unsettled'");
    assert_eq!(asked.await, "5");
    let page = PageRequest::new(Some(2), None);
    let debts = world
        .database
        .token_debts(&world.scope, Some(buyer.party), page)
        .await
        .expect("a list");
    assert_eq!((debts.items.len(), debts.next.is_some()), (2, true));
    assert_eq!(
        (debts.items[0].sent, debts.items[0].owed),
        (debts.items[0].owed, debts.items[0].sent)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p25_two_workers_at_once_unlock_each_release_once() {
    let world = Arc::new(World::with_pool(8).await);
    let (buyer, tier) = (world.member(None).await, world.vested_tier(50).await);
    let mut orders = Vec::new();
    for _ in 0..5 {
        let order = world.buys_four(&buyer, tier).await;
        world
            .allocations
            .allocate(&world.scope, order)
            .await
            .expect("allocated");
        orders.push(order);
    }
    world.clock.advance(Duration::days(31));
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let world = world.clone();
        workers.spawn(async move {
            world
                .allocations
                .unlock_due(&world.scope)
                .await
                .expect("a run")
                .held
        });
    }
    while let Some(held) = workers.join_next().await {
        assert_eq!(held.expect("no panic"), 0);
    }
    let made = world.sum("select count(*) || ' of ' || count(distinct (line_id, amount, part)) from allocations where site_id = $1");
    assert_eq!(made.await, "10 of 10");
    world.clock.advance(Duration::days(365));
    let run = world.allocations.unlock_due(&world.scope).await.expect("a run");
    assert_eq!(run.orders, 5, "all that was missed");
    let whole = world.sum("select count(*) || ': ' || sum(amount) from allocations where site_id = $1");
    assert_eq!(whole.await, "20: 21000");
}

#[tokio::test]
async fn p25_the_calendar_says_what_unlocks_when() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let (buyer, other, tier) = (
        world.member(None).await,
        world.member(None).await,
        world.vested_tier(50).await,
    );
    let order = world.buys_four(&buyer, tier).await;
    let allocated = world.allocations.allocate(&world.scope, order).await;
    allocated.expect("allocated");
    let queries = &world.database;
    let rows = async |scope, only| queries.unlocks(scope, only).await.expect("a look");
    let months = calendar(rows(&world.scope, None).await, Granularity::Month);
    let shown: Vec<_> = months
        .iter()
        .map(|row| {
            (
                row.from.map(|day| day.to_string()),
                row.tokens.base_units(),
                row.releases,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (Some("2026-07-01".to_owned()), 1050, 1),
            (Some("2026-08-01".to_owned()), 1050, 1),
            (Some("2026-09-01".to_owned()), 1050, 1)
        ]
    );
    assert!(rows(&world.scope, Some(other.party)).await.is_empty());
    assert!(rows(&elsewhere.scope, None).await.is_empty());
}

#[tokio::test]
async fn p25_a_buyers_schedule_says_what_unlocks_when() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let (buyer, tier) = (world.member(None).await, world.vested_tier(50).await);
    let order = world.buys_four(&buyer, tier).await;
    let allocated = world.allocations.allocate(&world.scope, order).await;
    allocated.expect("allocated");
    let queries = &world.database;
    let mine = ScheduleFilter {
        party: Some(buyer.party),
        order: Some(order),
        ..ScheduleFilter::default()
    };
    let page = PageRequest::new(None, None);
    let schedule = queries
        .schedules(&world.scope, &mine, page)
        .await
        .expect("a list")
        .items
        .remove(0);
    let releases: Vec<_> = schedule
        .releases
        .iter()
        .map(|release| (release.state, release.unlocks_on.map(|day| day.to_string())))
        .collect();
    assert_eq!(
        releases,
        [
            (ReleaseName::Allocated, Some("2026-06-01".to_owned())),
            (ReleaseName::Locked, Some("2026-07-01".to_owned())),
            (ReleaseName::Locked, Some("2026-08-01".to_owned())),
            (ReleaseName::Locked, Some("2026-09-01".to_owned())),
        ]
    );
    let foreign = queries
        .schedule(&elsewhere.scope, schedule.id)
        .await
        .expect("a look");
    assert!(foreign.is_none());
    let terms = queries
        .tier_vesting(&world.scope, tier)
        .await
        .expect("a look")
        .expect("the tier");
    assert_eq!(
        terms[0].policy.as_ref().map(|policy| policy.id),
        Some(schedule.policy.id)
    );
    assert!(
        queries
            .tier_vesting(&elsewhere.scope, tier)
            .await
            .expect("a look")
            .is_none()
    );
}

#[tokio::test]
async fn p25_a_version_of_a_policy_is_never_edited() {
    let world = World::new().await;
    let policy = world.vesting_policy().await;
    for change in [
        "periods = 4",
        "share_at_start = 0.5",
        "revocable = false",
        "name = 'Other'",
        "cliff_months = 1",
    ] {
        let sql = sqlx::AssertSqlSafe(format!("update vesting_policies set {change} where id = $1"));
        let edited = sqlx::query(sql)
            .bind(policy.as_uuid())
            .execute(&mut superuser().await)
            .await;
        let code = edited
            .expect_err("refused")
            .into_database_error()
            .and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("23001"), "{change}");
    }
}

#[tokio::test]
async fn an_order_keeps_what_held_for_its_tier_when_it_was_placed() {
    let world = World::new().await;
    let (buyer, tier) = (world.member(None).await, world.vested_tier(50).await);
    let vested = world.place(&buyer, tier, 4).await.expect("placed");
    world.clock.advance(Duration::seconds(1));
    world
        .allocations
        .set_tier_vesting(&world.scope, tier, None, None)
        .await
        .expect("ended");
    world.clock.advance(Duration::seconds(1));
    let plain = world.place(&buyer, tier, 4).await.expect("placed");
    for (order, schedules) in [(&vested, 1), (&plain, 0)] {
        world.pay(order).await;
        let adjusted = world
            .allocations
            .adjust(&world.scope, order.id)
            .await
            .expect("adjusted");
        assert_eq!((adjusted.schedules.len(), adjusted.made.len()), (schedules, 1));
    }
}
