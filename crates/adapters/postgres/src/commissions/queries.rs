//! What screens read of plans and commissions.

use async_trait::async_trait;
use posx_commissions::{
    ADJUSTMENTS_MAX, AdjustmentView, AgentFacts, CommissionFilter, CommissionQueries, CommissionView,
    OrderShares, Past, Period, PlanView, StoredDecision, TermsView, Wants,
};
use posx_kernel::{
    CommissionId, OrderId, Page, PageRequest, PartyId, PlanId, SiteScope, StoreError, Timestamp,
};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{Postgres, QueryBuilder, Row};

use super::adjustments::{ADJUSTMENT, adjustment};
use super::{commission, currency, lines, money, plans, simulate, snapshot, terms};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const COMMISSION: &str =
    "select id, order_id, agent_id, level, rate::text as rate, currency, base, amount, reversed, state, back_to,
    hold_until, plan_id, created_at, updated_at from commissions where true";

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

    async fn adjustments(
        &self,
        scope: &SiteScope,
        id: CommissionId,
        only: Option<PartyId>,
        page: PageRequest,
    ) -> Result<Option<Page<AdjustmentView>>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let found =
            sqlx::query("select from commissions where id = $1 and ($2::uuid is null or agent_id = $2)")
                .bind(id.as_uuid())
                .bind(only.map(PartyId::as_uuid))
                .fetch_optional(tx.connection())
                .await
                .store()?;
        if found.is_none() {
            return Ok(None);
        }
        let mut sql = QueryBuilder::<Postgres>::new(ADJUSTMENT);
        sql.push(" and commission_id = ").push_bind(id.as_uuid());
        if let Some(after) = page.after_id() {
            sql.push(" and number < (select number from commission_adjustments where id = ")
                .push_bind(after)
                .push(")");
        }
        sql.push(" order by number desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(adjustment).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Page::from_rows(views, page, |view| view.id.as_uuid())))
    }

    async fn shares(&self, scope: &SiteScope, order: OrderId) -> Result<Option<OrderShares>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(
            "select o.number, o.buyer_id, o.currency, o.total, o.plan_snapshot, r.at as decided_at,
                    array(select l.tier_id from order_lines l where l.order_id = o.id order by l.position) as tiers,
                    array(select l.amount from order_lines l where l.order_id = o.id order by l.position) as amounts,
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
        let adjustments = latest_adjustments(&mut tx, order).await?;
        Ok(Some(OrderShares {
            order,
            number: row.try_get("number").store()?,
            buyer: PartyId::from_uuid(row.try_get("buyer_id").store()?),
            total: money(&row, "total")?,
            lines: lines(&row)?,
            paid_at: row.try_get("paid_at").store()?,
            snapshot: snapshot(&row)?,
            decided_at: row.try_get("decided_at").store()?,
            decisions,
            commissions: commissions.iter().map(view).collect::<Result<_, _>>()?,
            adjustments,
        }))
    }

    async fn plans(&self, scope: &SiteScope, at: Timestamp) -> Result<Vec<PlanView>, StoreError> {
        plans::views(self, scope, at).await
    }

    async fn plan(
        &self,
        scope: &SiteScope,
        id: PlanId,
        at: Timestamp,
    ) -> Result<Option<PlanView>, StoreError> {
        plans::view(self, scope, id, at).await
    }

    async fn terms(&self, scope: &SiteScope, agent: PartyId) -> Result<Option<Vec<TermsView>>, StoreError> {
        terms::views(self, scope, agent).await
    }

    async fn past(
        &self,
        scope: &SiteScope,
        period: Period,
        wants: Wants,
    ) -> Result<Box<dyn Past>, StoreError> {
        let tx = self.read_site_at_once(scope).await?;
        Ok(Box::new(simulate::PgPast::new(tx, period, wants)))
    }
}

async fn latest_adjustments(tx: &mut SiteTx, order: OrderId) -> Result<Vec<AdjustmentView>, StoreError> {
    let mut sql = QueryBuilder::<Postgres>::new(ADJUSTMENT);
    sql.push(" and order_id = ")
        .push_bind(order.as_uuid())
        .push(" order by number desc limit ")
        .push_bind(i32::from(ADJUSTMENTS_MAX));
    let rows = sql.build().fetch_all(tx.connection()).await.store()?;
    rows.iter().rev().map(adjustment).collect()
}

async fn decisions(tx: &mut SiteTx, order: OrderId) -> Result<Vec<StoredDecision>, StoreError> {
    let rows = sqlx::query(
        "select d.level, d.agent_id, d.agent_sales, d.reason, d.facts, o.currency
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
        facts: row.try_get::<Json<AgentFacts>, _>("facts").store()?.0,
        skipped: row.try_get("reason").store()?,
    })
}

fn view(row: &PgRow) -> Result<CommissionView, StoreError> {
    let read = commission(row)?;
    let left = read.left();
    Ok(CommissionView {
        id: read.id,
        order: read.order,
        agent: read.agent,
        level: read.level,
        rate: read.rate,
        base: read.base,
        amount: read.amount,
        reversed: read.reversed,
        left,
        state: read.state,
        hold_until: read.hold_until,
        plan: read.plan,
        created_at: read.created_at,
        updated_at: read.updated_at,
    })
}
