//! Settlement batches, their lines, and the commissions that they take up.

use async_trait::async_trait;
use posx_commissions::{
    LeftBecause, PayoutMethod, PayoutState, Settlement, SettlementLine, SettlementRepository, SettlementState,
};
use posx_kernel::{Currency, IdentityId, Money, PartyId, PayoutId, SettlementId, StoreError, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::{count, currency};

#[async_trait]
impl SettlementRepository for SiteTx {
    async fn insert(&mut self, settlement: &Settlement) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into settlements (id, method, state, revision, lines_hash, made_by, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (site_id) where state = 'draft' do nothing",
        )
        .bind(settlement.id.as_uuid())
        .bind(settlement.method.as_str())
        .bind(settlement.state.as_str())
        .bind(settlement.revision)
        .bind(settlement.hash.as_slice())
        .bind(settlement.made_by.as_uuid())
        .bind(settlement.created_at)
        .bind(settlement.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn for_update(&mut self, id: SettlementId) -> Result<Option<Settlement>, StoreError> {
        let row = sqlx::query(
            "select id, method, state, revision, lines_hash, made_by, approved_by, approved_at, created_at, updated_at
             from settlements where id = $1 for update",
        )
        .bind(id.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.as_ref().map(settlement).transpose()
    }

    async fn save(&mut self, settlement: &Settlement) -> Result<(), StoreError> {
        let (approved_by, approved_at) = settlement.approved.unzip();
        let saved = sqlx::query(
            "update settlements set state = $2, revision = $3, lines_hash = $4, made_by = $5, approved_by = $6,
                    approved_at = $7, updated_at = $8 where id = $1",
        )
        .bind(settlement.id.as_uuid())
        .bind(settlement.state.as_str())
        .bind(settlement.revision)
        .bind(settlement.hash.as_slice())
        .bind(settlement.made_by.as_uuid())
        .bind(approved_by.map(IdentityId::as_uuid))
        .bind(approved_at)
        .bind(settlement.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        if saved.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("a settlement that is saved is not there"))
        }
    }

    async fn insert_lines(&mut self, of: &Settlement, lines: &[SettlementLine]) -> Result<(), StoreError> {
        let left = |line: &SettlementLine| line.left.map(LeftBecause::as_str);
        sqlx::query(
            "insert into settlement_lines (settlement_id, revision, id, agent_id, currency, amount, account_version, left_because)
             select $1, $2, l.* from unnest($3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::integer[], $8::text[]) l",
        )
        .bind(of.id.as_uuid())
        .bind(of.revision)
        .bind(lines.iter().map(|line| line.id.as_uuid()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.agent.as_uuid()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.amount.currency().code()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.amount.minor()).collect::<Vec<_>>())
        .bind(lines.iter().map(|line| line.account_version).collect::<Vec<_>>())
        .bind(lines.iter().map(left).collect::<Vec<_>>())
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn paid_lines(&mut self, of: &Settlement) -> Result<Vec<SettlementLine>, StoreError> {
        let rows = sqlx::query(
            "select id, agent_id, currency, amount, account_version, left_because from settlement_lines
             where settlement_id = $1 and revision = $2 and left_because is null order by agent_id, currency",
        )
        .bind(of.id.as_uuid())
        .bind(of.revision)
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(line).collect()
    }

    async fn take_up(&mut self, settlement: SettlementId, now: Timestamp) -> Result<(), StoreError> {
        // In the order of their ids, as who adjusts them locks them.
        sqlx::query(
            "with ready as (
               select c.id from commissions c join orders o on o.site_id = c.site_id and o.id = c.order_id
               where c.state = 'ready' and not o.disputed order by c.id for no key update of c)
             update commissions c set state = 'batched', settlement_id = $1, updated_at = $2 from ready where c.id = ready.id",
        )
        .bind(settlement.as_uuid())
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn give_back(
        &mut self,
        settlement: SettlementId,
        of: Option<&[(PartyId, Currency)]>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (agents, currencies) = match of {
            Some(of) => columns(of),
            None => (Vec::new(), Vec::new()),
        };
        lock_batched(self, settlement).await?;
        // A statement of its own: it sees what was committed while this one waited for the locks.
        sqlx::query(
            "with batched as (
               select c.id, case when c.reversed = c.amount then 'void' when o.disputed then 'frozen' else 'ready' end as state
               from commissions c join orders o on o.site_id = c.site_id and o.id = c.order_id
               where c.settlement_id = $1 and c.state = 'batched'
                 and ($2 or exists (select from unnest($3::uuid[], $4::text[]) w (agent, currency)
                                    where w.agent = c.agent_id and w.currency = c.currency)))
             update commissions c
             set state = b.state, settlement_id = null, updated_at = $5,
                 back_to = case when b.state = 'ready' then null else 'ready' end
             from batched b where c.id = b.id",
        )
        .bind(settlement.as_uuid())
        .bind(of.is_none())
        .bind(agents)
        .bind(currencies)
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn mark_paid(
        &mut self,
        settlement: SettlementId,
        agent: PartyId,
        currency: Currency,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "with batched as (
               select id from commissions
               where settlement_id = $1 and agent_id = $2 and currency = $3 and state = 'batched'
               order by id for no key update)
             update commissions c set state = 'paid', updated_at = $4 from batched b where c.id = b.id",
        )
        .bind(settlement.as_uuid())
        .bind(agent.as_uuid())
        .bind(currency.code())
        .bind(now)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn payout_states(&mut self, id: SettlementId) -> Result<Vec<(PayoutState, u32)>, StoreError> {
        let rows = sqlx::query(
            "select state, count(*)::integer as payouts from payouts where settlement_id = $1 group by state",
        )
        .bind(id.as_uuid())
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter()
            .map(|row| {
                Ok((
                    super::payouts::state(row)?,
                    count(row.try_get("payouts").store()?)?,
                ))
            })
            .collect()
    }
}

async fn lock_batched(tx: &mut SiteTx, settlement: SettlementId) -> Result<(), StoreError> {
    sqlx::query(
        "select from commissions where settlement_id = $1 and state = 'batched' order by id for no key update",
    )
    .bind(settlement.as_uuid())
    .execute(tx.connection())
    .await
    .store()?;
    Ok(())
}

fn columns(of: &[(PartyId, Currency)]) -> (Vec<Uuid>, Vec<&'static str>) {
    of.iter()
        .map(|(agent, currency)| (agent.as_uuid(), currency.code()))
        .unzip()
}

fn settlement(row: &PgRow) -> Result<Settlement, StoreError> {
    let hash: Vec<u8> = row.try_get("lines_hash").store()?;
    let approved_by: Option<Uuid> = row.try_get("approved_by").store()?;
    let approved_at: Option<Timestamp> = row.try_get("approved_at").store()?;
    Ok(Settlement {
        id: SettlementId::from_uuid(row.try_get("id").store()?),
        method: method(row)?,
        state: settlement_state(row)?,
        revision: row.try_get("revision").store()?,
        hash: hash
            .try_into()
            .map_err(|_| StoreError::broken("a settlement's hash"))?,
        made_by: IdentityId::from_uuid(row.try_get("made_by").store()?),
        approved: approved_by.map(IdentityId::from_uuid).zip(approved_at),
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

fn line(row: &PgRow) -> Result<SettlementLine, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    Ok(SettlementLine {
        id: PayoutId::from_uuid(row.try_get("id").store()?),
        agent: PartyId::from_uuid(row.try_get("agent_id").store()?),
        amount: Money::from_minor(row.try_get("amount").store()?, currency),
        account_version: row.try_get("account_version").store()?,
        left: left(row)?,
    })
}

pub(crate) fn left(row: &PgRow) -> Result<Option<LeftBecause>, StoreError> {
    let name: Option<&str> = row.try_get("left_because").store()?;
    let left = |name| LeftBecause::from_name(name).ok_or_else(|| StoreError::broken("why a line is left"));
    name.map(left).transpose()
}

pub(crate) fn settlement_state(row: &PgRow) -> Result<SettlementState, StoreError> {
    let state = SettlementState::from_name(row.try_get("state").store()?);
    state.ok_or_else(|| StoreError::broken("a settlement's state"))
}

pub(crate) fn method(row: &PgRow) -> Result<PayoutMethod, StoreError> {
    let method = PayoutMethod::from_name(row.try_get("method").store()?);
    method.ok_or_else(|| StoreError::broken("a payout's method"))
}
