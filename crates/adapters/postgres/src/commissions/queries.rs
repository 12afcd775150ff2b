//! What screens read of plans and commissions.

use async_trait::async_trait;
use posx_commissions::{
    CommissionFilter, CommissionQueries, CommissionView, OrderShares, Plan, PlanView, StoredDecision,
};
use posx_kernel::{CommissionId, OrderId, Page, PageRequest, PartyId, PlanId, SiteScope, StoreError};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};

use super::{commission, currency, money, plan, snapshot};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const COMMISSION: &str =
    "select id, order_id, agent_id, level, rate::text as rate, currency, base, amount, state, hold_until,
    plan_id, created_at, updated_at from commissions where true";
const PLAN: &str = "select id, name, version, levels, hold_days, active, created_at from commission_plans";

#[async_trait]
impl CommissionQueries for Database {
    async fn commissions(
        &self,
        scope: &SiteScope,
        filter: &CommissionFilter,
        page: PageRequest,
    ) -> Result<Page<CommissionView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(COMMISSION);
        if let Some(state) = filter.state {
            sql.push(" and state = ").push_bind(state.as_str());
        }
        if let Some(agent) = filter.agent {
            sql.push(" and agent_id = ").push_bind(agent.as_uuid());
        }
        if let Some(order) = filter.order {
            sql.push(" and order_id = ").push_bind(order.as_uuid());
        }
        if let Some(after) = page.after_id() {
            sql.push(" and id < ").push_bind(after);
        }
        sql.push(" order by id desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn commission(
        &self,
        scope: &SiteScope,
        id: CommissionId,
        only: Option<PartyId>,
    ) -> Result<Option<CommissionView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(COMMISSION);
        sql.push(" and id = ").push_bind(id.as_uuid());
        if let Some(agent) = only {
            sql.push(" and agent_id = ").push_bind(agent.as_uuid());
        }
        let mut tx = self.read_site(scope).await?;
        let row = sql.build().fetch_optional(tx.connection()).await.store()?;
        row.as_ref().map(view).transpose()
    }

    async fn shares(&self, scope: &SiteScope, order: OrderId) -> Result<Option<OrderShares>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(
            "select o.number, o.buyer_id, o.currency, o.total, o.plan_snapshot, r.at as decided_at,
                    case when o.lifecycle in ('confirmed', 'fulfilled') then o.paid_at end as paid_at
             from orders o left join commission_runs r on r.site_id = o.site_id and r.order_id = o.id
             where o.id = $1",
        )
        .bind(order.as_uuid())
        .fetch_optional(tx.connection())
        .await
        .store()?;
        let Some(row) = row else { return Ok(None) };
        let decisions = decisions(&mut tx, order).await?;
        let mut sql = QueryBuilder::<Postgres>::new(COMMISSION);
        sql.push(" and order_id = ")
            .push_bind(order.as_uuid())
            .push(" order by level");
        let commissions = sql.build().fetch_all(tx.connection()).await.store()?;
        Ok(Some(OrderShares {
            order,
            number: row.try_get("number").store()?,
            buyer: PartyId::from_uuid(row.try_get("buyer_id").store()?),
            total: money(&row, "total")?,
            paid_at: row.try_get("paid_at").store()?,
            snapshot: snapshot(&row)?,
            decided_at: row.try_get("decided_at").store()?,
            decisions,
            commissions: commissions.iter().map(view).collect::<Result<_, _>>()?,
        }))
    }

    async fn plans(&self, scope: &SiteScope) -> Result<Vec<PlanView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let mut sql = QueryBuilder::<Postgres>::new(PLAN);
        sql.push(" order by id desc limit 200");
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        rows.iter().map(|row| plan(row).map(plan_view)).collect()
    }

    async fn plan(&self, scope: &SiteScope, id: PlanId) -> Result<Option<PlanView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let mut sql = QueryBuilder::<Postgres>::new(PLAN);
        sql.push(" where id = ").push_bind(id.as_uuid());
        let row = sql.build().fetch_optional(tx.connection()).await.store()?;
        row.as_ref().map(|row| plan(row).map(plan_view)).transpose()
    }
}

async fn decisions(tx: &mut SiteTx, order: OrderId) -> Result<Vec<StoredDecision>, StoreError> {
    let rows = sqlx::query(
        "select d.level, d.agent_id, d.agent_sales, d.reason, o.currency
         from commission_decisions d join orders o on o.site_id = d.site_id and o.id = d.order_id
         where d.order_id = $1 order by d.level",
    )
    .bind(order.as_uuid())
    .fetch_all(tx.connection())
    .await
    .store()?;
    rows.iter().map(decision).collect()
}

fn decision(row: &PgRow) -> Result<StoredDecision, StoreError> {
    let level: i16 = row.try_get("level").store()?;
    Ok(StoredDecision {
        level: u8::try_from(level).map_err(|_| StoreError::broken("a decision's level"))?,
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        sales: posx_kernel::Money::from_minor(row.try_get("agent_sales").store()?, currency(row)?),
        skipped: row.try_get("reason").store()?,
    })
}

fn view(row: &PgRow) -> Result<CommissionView, StoreError> {
    let read = commission(row)?;
    Ok(CommissionView {
        id: read.id,
        order: read.order,
        agent: read.agent,
        level: read.level,
        rate: read.rate,
        base: read.base,
        amount: read.amount,
        state: read.state,
        hold_until: read.hold_until,
        plan: read.plan,
        created_at: read.created_at,
        updated_at: read.updated_at,
    })
}

fn plan_view(plan: Plan) -> PlanView {
    PlanView {
        id: plan.id,
        name: plan.name,
        version: plan.version,
        levels: plan.levels,
        hold_days: plan.hold_days,
        active: plan.active,
        created_at: plan.created_at,
    }
}
