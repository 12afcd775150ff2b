//! What agents have: their accounts in the books, less what is held back.

use async_trait::async_trait;
use posx_commissions::{AgentBalance, AgentBalances, WriteOff};
use posx_kernel::{IdentityId, Money, PartyId, StoreError, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::currency;

/// Who owes something and since when: since the balance last went below zero.
pub(crate) const OWING: &str = "
    with negative as (
      select b.agent_id, b.currency, b.balance from app.agent_balances(null) b where b.balance < 0),
    run as (
      select n.agent_id, n.currency, n.balance, e.posted_at, e.id,
             -sum(p.amount) over (partition by n.agent_id, n.currency order by e.posted_at, e.id, p.line) as balance_then
      from negative n
      join accounts a on a.party_id = n.agent_id and a.unit = n.currency and a.code like 'commission:payable:%'
      join postings p on p.account = a.code and p.unit = a.unit
      join entries e on e.id = p.entry_id),
    owing as (
      select r.agent_id, r.currency, r.balance,
             min(r.posted_at) filter (where r.balance_then < 0 and not exists (
               select from run later where later.agent_id = r.agent_id and later.currency = r.currency
                 and later.balance_then >= 0 and (later.posted_at, later.id) > (r.posted_at, r.id))) as since
      from run r group by r.agent_id, r.currency, r.balance)
    select agent_id, currency, balance, since from owing";

#[async_trait]
impl AgentBalances for SiteTx {
    async fn lock(&mut self, agents: &[PartyId]) -> Result<(), StoreError> {
        sqlx::query("select from parties where id = any ($1) order by id for no key update")
            .bind(uuids(agents))
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }

    async fn of(&mut self, agents: Option<&[PartyId]>) -> Result<Vec<AgentBalance>, StoreError> {
        balances(self, agents).await
    }

    async fn identity(&mut self, agent: PartyId) -> Result<Option<IdentityId>, StoreError> {
        let row = sqlx::query("select identity_id from parties where id = $1")
            .bind(agent.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let identity: Option<Uuid> = row.try_get(0).store()?;
        Ok(identity.map(IdentityId::from_uuid))
    }

    async fn owing(
        &mut self,
        up_to: Money,
        since_before: Timestamp,
        limit: u16,
    ) -> Result<Vec<PartyId>, StoreError> {
        let text = format!(
            "{OWING} where currency = $1 and balance >= -$2::bigint and since < $3 order by since limit $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(text))
            .bind(up_to.currency().code())
            .bind(up_to.minor())
            .bind(since_before)
            .bind(i32::from(limit))
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter()
            .map(|row| Ok(PartyId::from_uuid(row.try_get("agent_id").store()?)))
            .collect()
    }

    async fn insert_write_off(&mut self, write_off: &WriteOff) -> Result<(), StoreError> {
        sqlx::query(
            "insert into write_offs (id, agent_id, currency, amount, reason, made_by, at) values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(write_off.id.as_uuid())
        .bind(write_off.agent.as_uuid())
        .bind(write_off.amount.currency().code())
        .bind(write_off.amount.minor())
        .bind(&write_off.reason)
        .bind(write_off.made_by.map(IdentityId::as_uuid))
        .bind(write_off.at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }
}

pub(crate) async fn balances(
    tx: &mut SiteTx,
    agents: Option<&[PartyId]>,
) -> Result<Vec<AgentBalance>, StoreError> {
    let rows = sqlx::query(
        "select agent_id, currency, balance, held_back, ready from app.agent_balances($1) order by 1, 2",
    )
    .bind(agents.map(uuids))
    .fetch_all(tx.connection())
    .await
    .store()?;
    rows.iter().map(balance).collect()
}

fn balance(row: &PgRow) -> Result<AgentBalance, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let money = |column: &str| Ok(Money::from_minor(row.try_get(column).store()?, currency));
    Ok(AgentBalance {
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        balance: money("balance")?,
        held_back: money("held_back")?,
        ready: money("ready")?,
    })
}

fn uuids(agents: &[PartyId]) -> Vec<Uuid> {
    agents.iter().map(|agent| agent.as_uuid()).collect()
}
