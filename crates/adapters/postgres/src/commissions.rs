//! Commission plans, decisions and commissions.

mod queries;

use async_trait::async_trait;
use posx_commissions::{
    Commission, CommissionRepository, CommissionState, CommissionsTx, Decision, HoldDays, Levels, Outcome,
    PaidOrder, PaidOrders, Plan, PlanRepository, PlanSnapshot,
};
use posx_kernel::{
    Begin, CommissionId, Currency, Money, OrderId, Outbox, PartyId, PlanId, Rate, SiteScope, StoreError,
    Timestamp,
};
use posx_tenancy::ReferralTree;
use sqlx::Row;
use sqlx::postgres::PgRow;
use sqlx::types::Json;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn CommissionsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn CommissionsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl CommissionsTx for SiteTx {
    fn plans(&mut self) -> &mut dyn PlanRepository {
        self
    }
    fn paid_orders(&mut self) -> &mut dyn PaidOrders {
        self
    }
    fn referrals(&mut self) -> &mut dyn ReferralTree {
        self
    }
    fn commissions(&mut self) -> &mut dyn CommissionRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl PlanRepository for SiteTx {
    async fn find(&mut self, id: PlanId) -> Result<Option<Plan>, StoreError> {
        let sql = "select id, name, version, levels, hold_days, active, created_at from commission_plans where id = $1";
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(plan).transpose()
    }

    async fn active(&mut self) -> Result<Option<Plan>, StoreError> {
        let sql = "select id, name, version, levels, hold_days, active, created_at from commission_plans where active";
        let row = sqlx::query(sql).fetch_optional(self.connection()).await.store()?;
        row.as_ref().map(plan).transpose()
    }

    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError> {
        let sql = "select coalesce(max(version), 0) as version from commission_plans where name = $1";
        let row = sqlx::query(sql)
            .bind(name)
            .fetch_one(self.connection())
            .await
            .store()?;
        unsigned(&row, "version")
    }

    async fn insert(&mut self, plan: &Plan) -> Result<bool, StoreError> {
        let version =
            i32::try_from(plan.version).map_err(|_| StoreError::broken("a plan version beyond 32 bits"))?;
        let done = sqlx::query(
            "insert into commission_plans (id, name, version, levels, hold_days, active, created_at)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict on constraint commission_plans_version_key do nothing",
        )
        .bind(plan.id.as_uuid())
        .bind(&plan.name)
        .bind(version)
        .bind(Json(&plan.levels))
        .bind(i32::from(plan.hold_days.days()))
        .bind(plan.active)
        .bind(plan.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn make_only_active(&mut self, id: PlanId) -> Result<(), StoreError> {
        // The unique index allows one active plan at every moment, and without any there is no row to wait for.
        let lock = "select pg_advisory_xact_lock(
            hashtextextended('commission_plans:' || (select app.current_site_id())::text, 0))";
        sqlx::query(lock).execute(self.connection()).await.store()?;
        let others = "update commission_plans set active = false where active and id <> $1";
        sqlx::query(others)
            .bind(id.as_uuid())
            .execute(self.connection())
            .await
            .store()?;
        let this = "update commission_plans set active = true where id = $1";
        sqlx::query(this)
            .bind(id.as_uuid())
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }
}

#[async_trait]
impl PaidOrders for SiteTx {
    async fn find(&mut self, order: OrderId) -> Result<Option<PaidOrder>, StoreError> {
        let row = sqlx::query(
            "select buyer_id, currency, total, plan_snapshot,
                    case when lifecycle in ('confirmed', 'fulfilled') then paid_at end as paid_at
             from orders where id = $1",
        )
        .bind(order.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(PaidOrder {
            order,
            buyer: PartyId::from_uuid(row.try_get("buyer_id").store()?),
            total: money(&row, "total")?,
            snapshot: snapshot(&row)?,
            paid_at: row.try_get("paid_at").store()?,
        }))
    }

    async fn sales_of(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        before: Timestamp,
    ) -> Result<Vec<Money>, StoreError> {
        let rows = sqlx::query(
            "select coalesce((
                 select sum(o.total) from referrals r join orders o on o.site_id = r.site_id and o.buyer_id = r.party_id
                 where r.referrer_id = a.agent and r.bound_at <= $3 and o.currency = $2 and o.lifecycle in ('confirmed', 'fulfilled')
                   and o.payment <> 'refunded' and o.paid_at < $3), 0)::bigint as sales
             from unnest($1::uuid[]) with ordinality as a (agent, at) order by a.at",
        )
        .bind(agents.iter().map(|agent| agent.as_uuid()).collect::<Vec<_>>())
        .bind(currency.code())
        .bind(before)
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter()
            .map(|row| Ok(Money::from_minor(row.try_get("sales").store()?, currency)))
            .collect()
    }
}

#[async_trait]
impl CommissionRepository for SiteTx {
    async fn claim_order(&mut self, order: OrderId, at: Timestamp) -> Result<bool, StoreError> {
        let sql = "insert into commission_runs (order_id, at) values ($1, $2) on conflict do nothing";
        let done = sqlx::query(sql)
            .bind(order.as_uuid())
            .bind(at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn insert(
        &mut self,
        order: OrderId,
        decisions: &[Decision],
        earned: &[Commission],
        at: Timestamp,
    ) -> Result<(), StoreError> {
        insert_decisions(self, order, decisions, at).await?;
        insert_commissions(self, order, earned).await
    }

    async fn ready_due(&mut self, now: Timestamp, limit: u16) -> Result<Vec<Commission>, StoreError> {
        let rows = sqlx::query(
            "with due as (
                 select id from commissions where state = 'held' and hold_until <= $1
                 order by hold_until, id limit $2 for no key update skip locked)
             update commissions c set state = 'ready', updated_at = $1 from due where c.id = due.id
             returning c.id, c.order_id, c.agent_id, c.level, c.rate::text as rate, c.currency, c.base, c.amount, c.state,
                       c.hold_until, c.plan_id, c.created_at, c.updated_at",
        )
        .bind(now)
        .bind(i32::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(commission).collect()
    }
}

async fn insert_decisions(
    tx: &mut SiteTx,
    order: OrderId,
    decisions: &[Decision],
    at: Timestamp,
) -> Result<(), StoreError> {
    let reason = |decision: &Decision| match &decision.outcome {
        Outcome::Earned { .. } => None,
        Outcome::Skipped(reason) => Some(reason.as_str()),
    };
    sqlx::query(
        "insert into commission_decisions (order_id, level, agent_id, agent_sales, outcome, reason, at)
         select $1, d.level, d.agent, d.sales, case when d.reason is null then 'earned' else 'skipped' end, d.reason, $6
         from unnest($2::smallint[], $3::uuid[], $4::bigint[], $5::text[]) as d (level, agent, sales, reason)",
    )
    .bind(order.as_uuid())
    .bind(decisions.iter().map(|decision| i16::from(decision.level)).collect::<Vec<_>>())
    .bind(decisions.iter().map(|decision| decision.agent.as_uuid()).collect::<Vec<_>>())
    .bind(decisions.iter().map(|decision| decision.sales.minor()).collect::<Vec<_>>())
    .bind(decisions.iter().map(reason).collect::<Vec<_>>())
    .bind(at)
    .execute(tx.connection())
    .await
    .store()?;
    Ok(())
}

async fn insert_commissions(
    tx: &mut SiteTx,
    order: OrderId,
    earned: &[Commission],
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into commissions (order_id, id, agent_id, level, rate, currency, base, amount, state, hold_until, plan_id,
                                  created_at, updated_at)
         select $1, c.id, c.agent, c.level, c.rate::numeric, c.currency, c.base, c.amount, c.state, c.hold_until, c.plan,
                c.created_at, c.created_at
         from unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                     $9::text[], $10::timestamptz[], $11::uuid[], $12::timestamptz[])
              as c (id, agent, level, rate, currency, base, amount, state, hold_until, plan, created_at)",
    )
    .bind(order.as_uuid())
    .bind(earned.iter().map(|made| made.id.as_uuid()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.agent.as_uuid()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| i16::from(made.level)).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.rate.to_string()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.amount.currency().code()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.base.minor()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.amount.minor()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.state.as_str()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.hold_until).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.plan.as_uuid()).collect::<Vec<_>>())
    .bind(earned.iter().map(|made| made.created_at).collect::<Vec<_>>())
    .execute(tx.connection())
    .await
    .store()?;
    Ok(())
}

fn plan(row: &PgRow) -> Result<Plan, StoreError> {
    let hold_days: i32 = row.try_get("hold_days").store()?;
    let hold_days = u16::try_from(hold_days)
        .ok()
        .and_then(|days| HoldDays::new(days).ok());
    Ok(Plan {
        id: PlanId::from_uuid(row.try_get("id").store()?),
        name: row.try_get("name").store()?,
        version: unsigned(row, "version")?,
        levels: row.try_get::<Json<Levels>, _>("levels").store()?.0,
        hold_days: hold_days.ok_or_else(|| StoreError::broken("a plan's hold days"))?,
        active: row.try_get("active").store()?,
        created_at: row.try_get("created_at").store()?,
    })
}

fn commission(row: &PgRow) -> Result<Commission, StoreError> {
    let level: i16 = row.try_get("level").store()?;
    let rate: &str = row.try_get("rate").store()?;
    let state: &str = row.try_get("state").store()?;
    Ok(Commission {
        id: CommissionId::from_uuid(row.try_get("id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        level: u8::try_from(level).map_err(|_| StoreError::broken("a commission's level"))?,
        rate: rate
            .parse::<Rate>()
            .map_err(|_| StoreError::broken("a commission's rate"))?,
        base: money(row, "base")?,
        amount: money(row, "amount")?,
        state: CommissionState::from_name(state).ok_or_else(|| StoreError::broken("a commission's state"))?,
        hold_until: row.try_get("hold_until").store()?,
        plan: PlanId::from_uuid(row.try_get("plan_id").store()?),
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

fn snapshot(row: &PgRow) -> Result<Option<PlanSnapshot>, StoreError> {
    let json: Option<Json<PlanSnapshot>> = row.try_get("plan_snapshot").store()?;
    Ok(json.map(|json| json.0))
}

fn money(row: &PgRow, column: &str) -> Result<Money, StoreError> {
    Ok(Money::from_minor(row.try_get(column).store()?, currency(row)?))
}

fn currency(row: &PgRow) -> Result<Currency, StoreError> {
    crate::tiers::currency(row.try_get("currency").store()?)
}

fn unsigned(row: &PgRow, column: &str) -> Result<u32, StoreError> {
    crate::tiers::count(row.try_get(column).store()?)
}
