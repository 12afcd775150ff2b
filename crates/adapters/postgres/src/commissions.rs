//! Commission plans, decisions and commissions.

mod adjustments;
mod plans;
mod queries;
mod simulate;
mod terms;

use async_trait::async_trait;
use posx_commissions::{
    Adjustment, Commission, CommissionRepository, CommissionState, CommissionsTx, Decision, Outcome,
    PaidOrder, PaidOrders, PlanRepository, PlanSnapshot, SaleLine, TermsRepository,
};
use posx_kernel::{
    Begin, CommissionId, Currency, Money, OrderId, Outbox, PartyId, PlanId, Rate, SiteScope, StoreError,
    TierId, Timestamp,
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
    fn terms(&mut self) -> &mut dyn TermsRepository {
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
impl PaidOrders for SiteTx {
    async fn find(&mut self, order: OrderId) -> Result<Option<PaidOrder>, StoreError> {
        let row = sqlx::query(
            "select buyer_id, currency, total, returned, disputed, plan_snapshot,
                    array(select l.tier_id from order_lines l where l.order_id = orders.id order by l.position) as tiers,
                    array(select l.amount from order_lines l where l.order_id = orders.id order by l.position) as amounts,
                    case when lifecycle in ('confirmed', 'fulfilled') then paid_at end as paid_at
             from orders where id = $1 for share",
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
            returned: money(&row, "returned")?,
            disputed: row.try_get("disputed").store()?,
            lines: lines(&row)?,
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
                 select sum(o.total - least(o.returned, o.total)) from referral_paths r
                 join orders o on o.site_id = r.site_id and o.buyer_id = r.descendant_id
                 where r.ancestor_id = a.agent and r.depth = 1 and r.since <= $3 and (r.until is null or r.until > $3)
                   and o.currency = $2 and o.lifecycle in ('confirmed', 'fulfilled')
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

    async fn lock_months(
        &mut self,
        agents: &[PartyId],
        currency: Currency,
        paid_at: Timestamp,
    ) -> Result<Vec<Money>, StoreError> {
        terms::lock_months(self, agents, currency, paid_at).await
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
                 select h.id from commissions h where h.state = 'held' and h.hold_until <= $1
                   and not exists (select from orders o where o.site_id = h.site_id and o.id = h.order_id and o.disputed)
                 order by h.hold_until, h.id limit $2 for no key update skip locked)
             update commissions c set state = 'ready', updated_at = $1 from due where c.id = due.id
             returning c.id, c.order_id, c.agent_id, c.level, c.rate::text as rate, c.currency, c.base, c.amount,
                       c.reversed, c.state, c.back_to, c.hold_until, c.plan_id, c.created_at, c.updated_at",
        )
        .bind(now)
        .bind(i32::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(commission).collect()
    }

    async fn for_update(&mut self, order: OrderId) -> Result<Vec<Commission>, StoreError> {
        let sql = "select id, order_id, agent_id, level, rate::text as rate, currency, base, amount, reversed, state, back_to,
                          hold_until, plan_id, created_at, updated_at
                   from commissions where order_id = $1 order by id for no key update";
        let rows = sqlx::query(sql)
            .bind(order.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(commission).collect()
    }

    async fn adjust(&mut self, commission: &Commission, step: Option<&Adjustment>) -> Result<(), StoreError> {
        adjustments::save(self, commission).await?;
        match step {
            Some(step) => adjustments::insert(self, step).await,
            None => Ok(()),
        }
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
        "insert into commission_decisions (order_id, level, agent_id, agent_sales, outcome, reason, facts, at)
         select $1, d.level, d.agent, d.sales, case when d.reason is null then 'earned' else 'skipped' end, d.reason, d.facts, $6
         from unnest($2::smallint[], $3::uuid[], $4::bigint[], $5::text[], $7::jsonb[]) as d (level, agent, sales, reason, facts)",
    )
    .bind(order.as_uuid())
    .bind(decisions.iter().map(|decision| i16::from(decision.level)).collect::<Vec<_>>())
    .bind(decisions.iter().map(|decision| decision.agent.as_uuid()).collect::<Vec<_>>())
    .bind(decisions.iter().map(|decision| decision.sales.minor()).collect::<Vec<_>>())
    .bind(decisions.iter().map(reason).collect::<Vec<_>>())
    .bind(at)
    .bind(decisions.iter().map(|decision| Json(&decision.facts)).collect::<Vec<_>>())
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
                                  created_at, updated_at, month)
         select $1, c.id, c.agent, c.level, c.rate::numeric, c.currency, c.base, c.amount, c.state, c.hold_until, c.plan,
                c.created_at, c.created_at,
                date_trunc('month', o.paid_at at time zone (select s.time_zone from app.site(app.current_site_id()) s))::date
         from orders o cross join unnest($2::uuid[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                     $9::text[], $10::timestamptz[], $11::uuid[], $12::timestamptz[])
              as c (id, agent, level, rate, currency, base, amount, state, hold_until, plan, created_at)
         where o.id = $1",
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
        reversed: money(row, "reversed")?,
        state: CommissionState::from_name(state).ok_or_else(|| StoreError::broken("a commission's state"))?,
        back_to: row
            .try_get::<Option<&str>, _>("back_to")
            .store()?
            .and_then(CommissionState::from_name),
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

fn lines(row: &PgRow) -> Result<Vec<SaleLine>, StoreError> {
    let currency = currency(row)?;
    let tiers: Vec<uuid::Uuid> = row.try_get("tiers").store()?;
    let amounts: Vec<i64> = row.try_get("amounts").store()?;
    let line = |(tier, amount)| SaleLine {
        tier: TierId::from_uuid(tier),
        amount: Money::from_minor(amount, currency),
    };
    Ok(tiers.into_iter().zip(amounts).map(line).collect())
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
