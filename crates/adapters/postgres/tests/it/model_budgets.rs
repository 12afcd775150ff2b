//! Budgets of calls of models, on the real store.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::future::join_all;
use posx_assistant::testing::{QuotaWorld, quota_contract, reservation, spent};
use posx_assistant::{
    AddCredit, Asker, BudgetKey, BudgetQueries as _, BudgetScope, Counter, CreditKind, Limit, Limits, Micros,
    ModelBudgets, Period, Purpose, Quota, QuotaError, SiteLimits,
};
use posx_kernel::{CreditId, IdentityId, ModelCallId, SiteScope, SystemIds, Timestamp, VisitorId};
use posx_postgres::PgQuota;
use posx_redis::{LocalRefusals, QuotaMemory, RedisRefusals};
use sqlx::Row as _;
use uuid::Uuid;

use crate::server::superuser;
use crate::world::{World, new_id, noon};

mod limits;
mod storms;

#[path = "../../../redis/tests/it/server.rs"]
#[expect(dead_code, clippy::unwrap_used, reason = "another crate's helper")]
mod redis_server;

pub fn micros(value: u64) -> Micros {
    Micros::new(value).expect("small")
}

pub fn limit(scope: BudgetScope, period: Period, value: u64) -> Limit {
    Limit {
        scope,
        purpose: (scope == BudgetScope::Purpose).then_some(Purpose::StaffChat),
        period,
        limit_micros: micros(value),
    }
}

pub fn call() -> ModelCallId {
    ModelCallId::from_uuid(new_id())
}

impl World {
    pub fn quota(&self) -> PgQuota {
        PgQuota::new(self.database.clone(), Limits::default())
    }

    fn model_budgets(&self) -> ModelBudgets {
        let db = Arc::new(self.database.clone());
        ModelBudgets::new(
            db,
            Arc::new(self.quota()),
            self.clock.clone(),
            Arc::new(SystemIds),
        )
    }

    pub async fn limits(&self, limits: Vec<Limit>) -> SiteLimits {
        let seen = self
            .quota()
            .site_limits(&self.scope)
            .await
            .expect("a read")
            .version;
        self.model_budgets()
            .set_limits(&self.scope, seen, limits)
            .await
            .expect("set")
    }

    async fn credit(&self, amount: u64, expires_at: Option<Timestamp>) -> CreditId {
        let wish = AddCredit {
            kind: CreditKind::TopUp,
            amount: micros(amount),
            note: None,
            expires_at,
        };
        self.model_budgets()
            .add_credit(&self.scope, wish, None)
            .await
            .expect("added")
            .id
    }

    /// A call that was paid from a credit, one under way, and one that was refused.
    pub async fn asks_models(&self, member: IdentityId) {
        self.limits(vec![limit(BudgetScope::Site, Period::Month, 10)])
            .await;
        self.credit(20, None).await;
        let (asker, quota) = (Asker::Member(member), self.quota());
        let wish = |call, cost| reservation(call, asker, Purpose::StaffChat, cost, noon());
        let first = call();
        quota.reserve(&self.scope, &wish(first, 15)).await.expect("held");
        quota
            .settle(&self.scope, first, &spent(15, noon()))
            .await
            .expect("settled");
        quota.reserve(&self.scope, &wish(call(), 15)).await.expect("held");
        let refused = quota.reserve(&self.scope, &wish(call(), 15)).await;
        assert!(matches!(refused, Err(QuotaError::UsedUp { .. })));
    }
}

/// One number out of the store, past every policy.
pub async fn number(sql: &'static str, world: &World) -> i64 {
    let row = sqlx::query(sql)
        .bind(world.site.id.as_uuid())
        .fetch_one(&mut superuser().await)
        .await;
    row.expect("a row").get(0)
}

async fn counter(world: &World, key: &BudgetKey) -> Counter {
    let row = sqlx::query(
        "select reserved, spent from model_counters
         where site_id = $1 and scope = $2 and subject = $3 and period = $4 and starts_on = $5",
    )
    .bind(world.site.id.as_uuid())
    .bind(key.scope.as_str())
    .bind(key.subject.to_string())
    .bind(key.period.as_str())
    .bind(key.starts_on)
    .fetch_optional(&mut superuser().await)
    .await
    .expect("a read");
    let read = |column| {
        row.as_ref()
            .map_or(0, |row| row.get::<i64, _>(column).unsigned_abs())
    };
    Counter {
        reserved: micros(read("reserved")),
        spent: micros(read("spent")),
    }
}

struct Real {
    world: World,
    member: IdentityId,
    quota: Arc<dyn Quota>,
}

impl Real {
    /// With what stands before the truth.
    async fn behind(before: impl FnOnce(Arc<dyn Quota>) -> Arc<dyn Quota>) -> Self {
        let world = World::with_pool(8).await;
        let member = world.member(None).await.identity;
        let quota = before(Arc::new(world.quota()));
        Self { world, member, quota }
    }
}

#[async_trait]
impl QuotaWorld for Real {
    fn quota(&self) -> Arc<dyn Quota> {
        self.quota.clone()
    }
    fn scope(&self) -> SiteScope {
        self.world.scope.clone()
    }
    fn member(&self) -> IdentityId {
        self.member
    }
    async fn set_limits(&self, limits: Vec<Limit>) {
        self.world.limits(limits).await;
        self.quota.forget_refusals(&self.world.scope).await;
    }
    async fn add_credit(&self, amount: u64, expires_at: Option<Timestamp>) -> CreditId {
        let added = self.world.credit(amount, expires_at).await;
        self.quota.forget_refusals(&self.world.scope).await;
        added
    }
    async fn counter(&self, key: &BudgetKey) -> Counter {
        counter(&self.world, key).await
    }
    async fn credit(&self, id: CreditId) -> Counter {
        let row = sqlx::query("select reserved, spent from model_credits where id = $1")
            .bind(id.as_uuid())
            .fetch_one(&mut superuser().await)
            .await
            .expect("a row");
        let read = |column| micros(row.get::<i64, _>(column).unsigned_abs());
        Counter {
            reserved: read("reserved"),
            spent: read("spent"),
        }
    }
    async fn events(&self, kind: &str) -> usize {
        let row = sqlx::query("select count(*) from events where site_id = $1 and kind = $2")
            .bind(self.world.site.id.as_uuid())
            .bind(kind)
            .fetch_one(&mut superuser().await)
            .await;
        usize::try_from(row.expect("a row").get::<i64, _>(0)).expect("a count")
    }
    fn now(&self) -> Timestamp {
        noon()
    }
}

#[tokio::test]
async fn quotas_keep_their_contract_on_the_real_store() {
    quota_contract(async || Real::behind(|truth| truth).await).await;
}

#[tokio::test]
async fn quotas_keep_their_contract_behind_a_memory_of_this_process() {
    let behind =
        |truth| Arc::new(QuotaMemory::new(truth, Arc::new(LocalRefusals::default()))) as Arc<dyn Quota>;
    quota_contract(async || Real::behind(behind).await).await;
}

#[tokio::test]
async fn quotas_keep_their_contract_behind_redis() {
    let Some(server) = redis_server::RedisServer::start() else {
        return;
    };
    let url = server.url();
    let behind = |truth| {
        let refusals = RedisRefusals::new(&url).expect("an address");
        Arc::new(QuotaMemory::new(truth, Arc::new(refusals))) as Arc<dyn Quota>
    };
    quota_contract(async || Real::behind(behind).await).await;
}

/// How the calls of the test end: one in three is settled, one released, one lost with its process.
async fn storm(world: &World, asker: impl Fn(u128) -> Asker, calls: u128) -> usize {
    let quota = world.quota();
    let one = |number: u128| {
        let (quota, asker) = (quota.clone(), asker(number));
        async move {
            let id = call();
            let wish = reservation(id, asker, Purpose::StaffChat, 10, noon());
            match quota.reserve(&world.scope, &wish).await {
                Err(QuotaError::UsedUp { .. }) => return 0,
                other => other.expect("held"),
            }
            match number % 3 {
                0 => quota
                    .settle(&world.scope, id, &spent(7, noon()))
                    .await
                    .expect("settled"),
                1 => quota
                    .release(&world.scope, id, &spent(0, noon()))
                    .await
                    .expect("released"),
                _ => {}
            }
            1
        }
    };
    join_all((0..calls).map(one)).await.into_iter().sum()
}

/// P34: of 1,000 calls at once on one budget, of each scope, what is settled and held is never more than the limit, and what a
/// crash left behind is free again at its expiry. The member, or the visitor, was never seen before.
#[tokio::test]
async fn p34_a_thousand_calls_at_once_never_pass_a_budget_and_what_crashed_is_freed() {
    for scope in BudgetScope::ALL {
        let world = World::with_pool(8).await;
        let member = world.member(None).await.identity;
        let asker = |number: u128| match scope {
            BudgetScope::Visitors => Asker::Visitor(VisitorId::from_uuid(Uuid::from_u128(number + 1))),
            BudgetScope::Visitor => Asker::Visitor(VisitorId::from_uuid(Uuid::from_u128(1))),
            _ => Asker::Member(member),
        };
        world.limits(vec![limit(scope, Period::Month, 1_004)]).await;
        let watch = async {
            let mut connection = superuser().await;
            loop {
                let seen = month_of(&mut connection, &world, scope).await;
                assert!(seen <= 1_004, "{scope:?}: {seen}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        let held = tokio::select! {
            held = storm(&world, asker, 1_000) => held,
            () = watch => unreachable!("it watches for ever"),
        };
        assert!(held >= 100, "{scope:?}: only {held} of them were let through");
        let total = over(&world, scope).await;
        assert!(total <= 1_004);
        assert_eq!(
            total % 10,
            number(
                "select count(*) * 7 % 10 from model_calls where site_id = $1 and state = 'spent'",
                &world
            )
            .await
        );
        let left = world
            .quota()
            .expire(&world.scope, noon() + TimeDelta::hours(1))
            .await
            .expect("expired");
        assert!(left > 0, "none was lost");
        let spent = number(
            "select coalesce(sum(cost), 0)::bigint from model_calls where site_id = $1",
            &world,
        )
        .await;
        assert_eq!(
            over(&world, scope).await,
            spent,
            "{scope:?}: only what was settled is left"
        );
        assert_eq!(
            number(
                "select coalesce(sum(reserved), 0)::bigint from model_counters where site_id = $1",
                &world
            )
            .await,
            0
        );
    }
}

async fn over(world: &World, scope: BudgetScope) -> i64 {
    month_of(&mut superuser().await, world, scope).await
}

/// Reserved and spent of the scope's month.
async fn month_of(connection: &mut sqlx::PgConnection, world: &World, scope: BudgetScope) -> i64 {
    let sql = "select coalesce(sum(reserved + spent), 0)::bigint from model_counters
         where site_id = $1 and scope = $2 and period = 'month'";
    let row = sqlx::query(sql)
        .bind(world.site.id.as_uuid())
        .bind(scope.as_str())
        .fetch_one(connection)
        .await;
    row.expect("a row").get(0)
}

/// P34 with credits beyond the month: nothing is burnt twice, nothing is overdrawn.
#[tokio::test]
async fn p34_a_thousand_calls_at_once_burn_the_month_and_its_credits_exactly() {
    let world = World::with_pool(8).await;
    let member = world.member(None).await.identity;
    world
        .limits(vec![limit(BudgetScope::Site, Period::Month, 205)])
        .await;
    for (amount, days) in [(33, Some(3)), (40, None), (50, Some(9))] {
        world
            .credit(amount, days.map(|days| noon() + TimeDelta::days(days)))
            .await;
    }
    let quota = world.quota();
    let one = |_| async {
        let id = call();
        let wish = reservation(id, Asker::Member(member), Purpose::StaffChat, 10, noon());
        match quota.reserve(&world.scope, &wish).await {
            Ok(()) => {
                quota
                    .settle(&world.scope, id, &spent(9, noon()))
                    .await
                    .expect("settled");
                9
            }
            Err(QuotaError::UsedUp { .. }) => 0,
            Err(error) => panic!("{error:?}"),
        }
    };
    let burnt: i64 = join_all((0..1_000).map(one)).await.into_iter().sum();
    let of_month = over(&world, BudgetScope::Site).await;
    let of_credits = number(
        "select sum(spent)::bigint from model_credits where site_id = $1",
        &world,
    )
    .await;
    assert_eq!(of_month + of_credits, burnt);
    // At least the 32 calls that fit into both at their worst case.
    assert!(
        of_month <= 205 && (32 * 9..=328).contains(&burnt),
        "{of_month} and {of_credits}"
    );
    let held = "select (select sum(reserved) from model_credits where site_id = $1)::bigint
         + (select sum(reserved) from model_counters where site_id = $1)::bigint";
    assert_eq!(number(held, &world).await, 0);
    let holds = "select coalesce(sum(paid), 0)::bigint from model_credit_holds where site_id = $1";
    assert_eq!(number(holds, &world).await, of_credits);
}
