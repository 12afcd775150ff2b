//! What screens read of settlements, payouts and withdrawals.

use async_trait::async_trait;
use posx_commissions::{
    AgentBalance, NegativeBalance, PayoutAccountView, PayoutFileView, PayoutFilter, PayoutQueries,
    PayoutRules, PayoutView, SettlementLineView, SettlementView, WriteOffView,
};
use posx_kernel::{
    IdentityId, Money, Page, PageRequest, PartyId, PayoutFileId, PayoutId, SettlementId, SiteScope,
    StoreError, Timestamp, WriteOffId,
};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::{PAYOUT, money, payout};
use crate::agent_balances::{OWING, balances};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::payout_accounts::{accounts_of, all_rules};
use crate::settlements::{left, method, settlement_state};
use crate::tiers::{count, currency};

const SETTLEMENT: &str = "
    select s.id, s.method, s.state, s.revision, encode(s.lines_hash, 'hex') as hash, s.made_by, s.approved_by, s.approved_at,
           s.created_at, s.updated_at, coalesce(l.lines, 0)::integer as lines, l.currencies, l.totals
    from settlements s
    left join lateral (
      select sum(c.lines) as lines, array_agg(c.currency order by c.currency) as currencies,
             array_agg(c.total order by c.currency) as totals
      from (select l.currency, count(*) as lines, sum(l.amount)::bigint as total from settlement_lines l
            where l.site_id = s.site_id and l.settlement_id = s.id and l.revision = s.revision and l.left_because is null
            group by l.currency) c) l on true
    where true";

fn limited(sql: &mut QueryBuilder<Postgres>, id: &str, page: PageRequest) {
    if let Some(after) = page.after_id() {
        sql.push(format!(" and {id} < ")).push_bind(after);
    }
    sql.push(format!(" order by {id} desc limit "))
        .push_bind(i32::from(page.limit()) + 1);
}

#[async_trait]
impl PayoutQueries for Database {
    async fn settlements(
        &self,
        scope: &SiteScope,
        page: PageRequest,
    ) -> Result<Page<SettlementView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(SETTLEMENT);
        limited(&mut sql, "s.id", page);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(settlement).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn settlement(
        &self,
        scope: &SiteScope,
        id: SettlementId,
    ) -> Result<Option<SettlementView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(SETTLEMENT);
        sql.push(" and s.id = ").push_bind(id.as_uuid());
        let mut tx = self.read_site(scope).await?;
        let row = sql.build().fetch_optional(tx.connection()).await.store()?;
        row.as_ref().map(settlement).transpose()
    }

    async fn settlement_lines(
        &self,
        scope: &SiteScope,
        id: SettlementId,
        left: Option<bool>,
        page: PageRequest,
    ) -> Result<Page<SettlementLineView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(
            "select l.id, l.agent_id, l.currency, l.amount, l.left_because from settlement_lines l
             join settlements s on s.site_id = l.site_id and s.id = l.settlement_id and s.revision = l.revision where s.id = ",
        );
        sql.push_bind(id.as_uuid());
        if let Some(left) = left {
            sql.push(" and (l.left_because is not null) = ").push_bind(left);
        }
        limited(&mut sql, "l.id", page);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(line).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn payouts(
        &self,
        scope: &SiteScope,
        filter: &PayoutFilter,
        page: PageRequest,
    ) -> Result<Page<PayoutView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(PAYOUT);
        if let Some(settlement) = filter.settlement {
            sql.push(" and settlement_id = ").push_bind(settlement.as_uuid());
        }
        if let Some(state) = filter.state {
            sql.push(" and state = ").push_bind(state.as_str());
        }
        if let Some(agent) = filter.agent {
            sql.push(" and agent_id = ").push_bind(agent.as_uuid());
        }
        if filter.withdrawals_only {
            sql.push(" and settlement_id is null");
        }
        limited(&mut sql, "id", page);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn payout(
        &self,
        scope: &SiteScope,
        id: PayoutId,
        only: Option<PartyId>,
    ) -> Result<Option<PayoutView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(PAYOUT);
        sql.push(" and id = ").push_bind(id.as_uuid());
        if let Some(agent) = only {
            sql.push(" and agent_id = ").push_bind(agent.as_uuid());
        }
        let mut tx = self.read_site(scope).await?;
        let row = sql.build().fetch_optional(tx.connection()).await.store()?;
        row.as_ref().map(view).transpose()
    }

    async fn payout_files(
        &self,
        scope: &SiteScope,
        page: PageRequest,
    ) -> Result<Page<PayoutFileView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(
            "select id, currency, payouts, total, created_by, created_at from payout_files where true",
        );
        limited(&mut sql, "id", page);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(file).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn payout_accounts(
        &self,
        scope: &SiteScope,
        agent: PartyId,
    ) -> Result<Vec<PayoutAccountView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let accounts = accounts_of(&mut tx, agent).await?;
        Ok(accounts.iter().map(Into::into).collect())
    }

    async fn payout_rules(&self, scope: &SiteScope) -> Result<Vec<PayoutRules>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        all_rules(&mut tx).await
    }

    async fn agent_balances(
        &self,
        scope: &SiteScope,
        agent: PartyId,
    ) -> Result<Vec<AgentBalance>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        balances(&mut tx, Some(&[agent])).await
    }

    async fn negative_balances(
        &self,
        scope: &SiteScope,
        now: Timestamp,
    ) -> Result<Vec<NegativeBalance>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{OWING} order by since, agent_id, currency limit 1000"
        )))
        .fetch_all(tx.connection())
        .await
        .store()?;
        let negative = |row: &PgRow| {
            let owes: i64 = row.try_get("balance").store()?;
            let owes = Money::from_minor(-owes, currency(row.try_get("currency").store()?)?);
            let agent = PartyId::from_uuid(row.try_get("agent_id").store()?);
            Ok(NegativeBalance::new(
                agent,
                owes,
                row.try_get("since").store()?,
                now,
            ))
        };
        rows.iter().map(negative).collect()
    }

    async fn write_offs(
        &self,
        scope: &SiteScope,
        page: PageRequest,
    ) -> Result<Page<WriteOffView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(
            "select id, agent_id, currency, amount, reason, made_by, at from write_offs where true",
        );
        limited(&mut sql, "id", page);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(write_off).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }
}

fn settlement(row: &PgRow) -> Result<SettlementView, StoreError> {
    let currencies: Option<Vec<String>> = row.try_get("currencies").store()?;
    let totals: Option<Vec<i64>> = row.try_get("totals").store()?;
    let totals = currencies
        .unwrap_or_default()
        .iter()
        .zip(totals.unwrap_or_default())
        .map(|(code, minor)| Ok(Money::from_minor(minor, currency(code)?)))
        .collect::<Result<_, StoreError>>()?;
    let approved_by: Option<Uuid> = row.try_get("approved_by").store()?;
    Ok(SettlementView {
        id: SettlementId::from_uuid(row.try_get("id").store()?),
        method: method(row)?,
        state: settlement_state(row)?,
        revision: row.try_get("revision").store()?,
        hash: row.try_get("hash").store()?,
        lines: count(row.try_get("lines").store()?)?,
        totals,
        made_by: IdentityId::from_uuid(row.try_get("made_by").store()?),
        approved_by: approved_by.map(IdentityId::from_uuid),
        approved_at: row.try_get("approved_at").store()?,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

fn line(row: &PgRow) -> Result<SettlementLineView, StoreError> {
    Ok(SettlementLineView {
        id: PayoutId::from_uuid(row.try_get("id").store()?),
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        amount: money(row, "amount")?,
        left_because: left(row)?,
    })
}

fn view(row: &PgRow) -> Result<PayoutView, StoreError> {
    let payout = payout(row)?;
    Ok(PayoutView {
        id: payout.id,
        settlement: payout.settlement,
        agent: payout.agent,
        amount: payout.amount,
        method: payout.method,
        state: payout.state,
        tries: payout.tries,
        reference: payout.reference,
        reason: payout.reason,
        reversed: payout.reversed,
        decided_by: payout.decided_by,
        created_at: payout.created_at,
        updated_at: payout.updated_at,
    })
}

fn file(row: &PgRow) -> Result<PayoutFileView, StoreError> {
    Ok(PayoutFileView {
        id: PayoutFileId::from_uuid(row.try_get("id").store()?),
        payments: row.try_get("payouts").store()?,
        total: money(row, "total")?,
        created_by: IdentityId::from_uuid(row.try_get("created_by").store()?),
        created_at: row.try_get("created_at").store()?,
    })
}

fn write_off(row: &PgRow) -> Result<WriteOffView, StoreError> {
    let made_by: Option<Uuid> = row.try_get("made_by").store()?;
    Ok(WriteOffView {
        id: WriteOffId::from_uuid(row.try_get("id").store()?),
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        amount: money(row, "amount")?,
        reason: row.try_get("reason").store()?,
        made_by: made_by.map(IdentityId::from_uuid),
        at: row.try_get("at").store()?,
    })
}
