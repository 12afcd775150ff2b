//! Batches, their lines and approvals.

use async_trait::async_trait;
use posx_allocations::custody::ExternalId;
use posx_allocations::{
    Allocation, Batch, BatchApproval, BatchLine, BatchRepository, BatchState, Booked, LeftOut, PauseReason,
    StateName,
};
use posx_kernel::{
    AllocationId, BatchId, ChainAssetId, IdentityId, OrderId, StoreError, StoreFault, Timestamp,
};
use posx_tenancy::{Capability, Role};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{decimals, needs_person, reason, small, state_name, tokens};
use crate::error::{StoreResult, store};
use crate::site_tx::SiteTx;

/// One list of columns for both ways to find a batch.
macro_rules! batch_where {
    ($rest:literal) => {
        concat!(
            "select id, created_by, size, state, lines_hash, paused_because, failures_in_row, created_at, updated_at ",
            "from allocation_batches where ",
            $rest
        )
    };
}

// What `$1` would send now, in its order. Of each family of chains a buyer binds one wallet.
const AS_OF_NOW: &str = "
    select a.id as allocation_id, a.order_id, (a.amount - a.cut)::text as amount, a.address, a.asset_id, c.provider_asset,
      c.vault, c.decimals, w.address as bound_wallet,
      case when not app.owns_vault(c.vault) then 'vault_not_assigned' end as left_out, 'queued' as state, null as external_id,
      null as provider_id, null as tx_hash
    from unnest($1::uuid[]) with ordinality as wanted (id, position)
    join allocations a on a.id = wanted.id
    join chain_assets c on c.site_id = a.site_id and c.id = a.asset_id
    left join wallets w on w.site_id = a.site_id and w.party_id = a.party_id
      and w.chain_family = case when c.chain = 'TRON' then 'TRON' else 'EVM' end
    order by wanted.position";

const LINES: &str = "
    select l.allocation_id, a.order_id, l.amount::text as amount, l.address, l.asset_id, l.provider_asset, l.vault, l.decimals,
      l.bound_wallet, l.left_out, l.state, l.external_id, l.provider_id, l.tx_hash
    from allocation_batch_lines l join allocations a on a.site_id = l.site_id and a.id = l.allocation_id
    where l.batch_id = $1 order by l.position";

const OUTCOME: &str = "
    update allocation_batch_lines set state = $3, external_id = case when $3 <> 'queued' then $4 end, provider_id = $5, tx_hash = $6, confirmations = $7,
      reason = $8, needs_person = $9, updated_at = $10
    where batch_id = $1 and allocation_id = $2";

// Of the batches `$1` and their present hash, by members who may still send: their roles are `$2`.
pub(super) const APPROVALS: &str = "
    select a.batch_id, a.approver_id, a.approved_at from allocation_batch_approvals a
    join allocation_batches b on b.site_id = a.site_id and b.id = a.batch_id and b.lines_hash = a.lines_hash
    join memberships m on m.site_id = a.site_id and m.identity_id = a.approver_id and m.state = 'active' and m.role = any($2)
    where a.batch_id = any($1) order by a.number";

/// The roles whose members agree to batches.
pub(super) fn senders() -> Vec<&'static str> {
    let roles = Role::ALL
        .iter()
        .filter(|role| role.may(Capability::AllocationsSend));
    roles.map(|role| role.as_str()).collect()
}

const ONE_IN_FLIGHT: &str = "allocation_batch_lines_one_in_flight";

#[async_trait]
impl BatchRepository for SiteTx {
    async fn insert(&mut self, batch: &Batch, lines: &[BatchLine]) -> Result<(), StoreError> {
        let size = i16::try_from(batch.size);
        let size = size.map_err(|_| StoreError::broken("a batch beyond its greatest size"))?;
        sqlx::query(
            "insert into allocation_batches (id, created_by, size, state, lines_hash, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(batch.id.as_uuid())
        .bind(batch.created_by.as_uuid())
        .bind(size)
        .bind(batch.state.as_str())
        .bind(batch.hash.as_slice())
        .bind(batch.created_at)
        .bind(batch.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        sqlx::query(
            "insert into allocation_batch_lines (batch_id, allocation_id, position, amount, address, asset_id, provider_asset,
               vault, decimals, bound_wallet, left_out, updated_at)
             select $1, n.allocation, n.position - 1, n.amount::numeric, n.address, n.asset, n.provider_asset, n.vault,
               n.decimals, n.bound_wallet, n.left_out, $11
             from unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::smallint[], $9::text[],
                         $10::text[]) with ordinality
                  as n (allocation, amount, address, asset, provider_asset, vault, decimals, bound_wallet, left_out, position)",
        )
        .bind(batch.id.as_uuid())
        .bind(column(lines, |line| line.allocation.as_uuid()))
        .bind(column(lines, |line| line.amount.to_string()))
        .bind(column(lines, |line| line.address.clone()))
        .bind(column(lines, |line| line.asset.as_uuid()))
        .bind(column(lines, |line| line.provider_asset.clone()))
        .bind(column(lines, |line| line.vault.clone()))
        .bind(column(lines, |line| i16::from(line.decimals)))
        .bind(column(lines, |line| line.bound_wallet.clone()))
        .bind(column(lines, |line| line.left_out.map(LeftOut::as_str)))
        .bind(batch.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn find(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        self.batch_by(batch_where!("id = $1"), id).await
    }

    async fn for_update(&mut self, id: BatchId) -> Result<Option<Batch>, StoreError> {
        self.batch_by(batch_where!("id = $1 for no key update"), id).await
    }

    async fn save(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update allocation_batches set state = $2, lines_hash = $3, paused_because = $4, failures_in_row = $5,
               updated_at = $6
             where id = $1",
        )
        .bind(batch.id.as_uuid())
        .bind(batch.state.as_str())
        .bind(batch.hash.as_slice())
        .bind(batch.paused_because.map(PauseReason::as_str))
        .bind(i16::try_from(batch.failures_in_row).unwrap_or(i16::MAX))
        .bind(batch.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        if done.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("a batch that was read is not there"))
        }
    }

    async fn add_approval(&mut self, batch: &Batch, approval: &BatchApproval) -> Result<(), StoreError> {
        sqlx::query(
            "insert into allocation_batch_approvals (batch_id, lines_hash, approver_id, maker_id, number, approved_at)
             select $1, $2, $3, $4, coalesce(max(number), 0) + 1, $5
             from allocation_batch_approvals where batch_id = $1 and lines_hash = $2",
        )
        .bind(batch.id.as_uuid())
        .bind(batch.hash.as_slice())
        .bind(approval.by.as_uuid())
        .bind(batch.created_by.as_uuid())
        .bind(approval.at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn lines(&mut self, id: BatchId) -> Result<Vec<BatchLine>, StoreError> {
        let rows = sqlx::query(LINES)
            .bind(id.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(line).collect()
    }

    async fn as_of_now(&mut self, ids: &[AllocationId]) -> Result<Vec<BatchLine>, StoreError> {
        let rows = sqlx::query(AS_OF_NOW)
            .bind(uuids(ids))
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(line).collect()
    }

    async fn leave_out(
        &mut self,
        id: BatchId,
        allocation: AllocationId,
        why: LeftOut,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "update allocation_batch_lines set left_out = $3, updated_at = $4
                   where batch_id = $1 and allocation_id = $2 and left_out is null";
        sqlx::query(sql)
            .bind(id.as_uuid())
            .bind(allocation.as_uuid())
            .bind(why.as_str())
            .bind(at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }

    /// The index keeps two workers from both seeing a free vault: the second waits for the first, and is refused.
    async fn take_off(&mut self, batch: BatchId, allocation: &Allocation) -> Result<bool, StoreError> {
        let sql = "select exists (
                     select from allocation_batch_lines other
                     join allocation_batch_lines l on l.site_id = other.site_id and l.vault = other.vault
                     where l.batch_id = $1 and l.allocation_id = $2 and other.state in ('unknown', 'submitted')) as busy";
        let busy: bool = sqlx::query_scalar(sql)
            .bind(batch.as_uuid())
            .bind(allocation.id.as_uuid())
            .fetch_one(self.connection())
            .await
            .store()?;
        if busy {
            return Ok(false);
        }
        match self.write_outcome(batch, allocation).await {
            Ok(()) => Ok(true),
            Err(sqlx::Error::Database(error)) if error.constraint() == Some(ONE_IN_FLIGHT) => Ok(false),
            Err(error) => Err(store(error)),
        }
    }

    async fn save_outcome(&mut self, batch: BatchId, allocation: &Allocation) -> Result<(), StoreError> {
        self.write_outcome(batch, allocation).await.store()
    }

    async fn next_after(
        &mut self,
        batch: BatchId,
        allocation: AllocationId,
    ) -> Result<Option<BatchId>, StoreError> {
        let sql = "select b.id from allocation_batches b
                   where b.state in ('approved', 'sending') and exists (
                     select from allocation_batch_lines w
                     join allocation_batch_lines l on l.site_id = w.site_id and l.vault = w.vault
                     where w.batch_id = b.id and w.left_out is null and w.state = 'queued'
                       and l.batch_id = $1 and l.allocation_id = $2)
                   order by b.id limit 1";
        let next: Option<Uuid> = sqlx::query_scalar(sql)
            .bind(batch.as_uuid())
            .bind(allocation.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        Ok(next.map(BatchId::from_uuid))
    }

    async fn unfinished(&mut self) -> Result<Vec<BatchId>, StoreError> {
        let sql = "select b.id from allocation_batches b
                   where b.state in ('approved', 'sending') and exists (
                     select from allocation_batch_lines w
                     where w.site_id = b.site_id and w.batch_id = b.id and w.left_out is null and w.state = 'queued')
                   order by b.id";
        let ids: Vec<Uuid> = sqlx::query_scalar(sql)
            .fetch_all(self.connection())
            .await
            .store()?;
        Ok(ids.into_iter().map(BatchId::from_uuid).collect())
    }

    async fn booked(&mut self, ids: &[AllocationId]) -> Result<Vec<Booked>, StoreError> {
        let sql = "select e.cause_id, p.unit, p.amount::text as amount
                   from entries e join postings p on p.site_id = e.site_id and p.entry_id = e.id
                   where e.kind = 'tokens.delivered' and e.cause_id = any($1) and p.account = 'tokens:delivered'
                   order by e.cause_id";
        let rows = sqlx::query(sql)
            .bind(uuids(ids))
            .fetch_all(self.connection())
            .await
            .store()?;
        let booked = |row: &PgRow| {
            let unit: &str = row.try_get("unit").store()?;
            let asset = unit.parse::<ChainAssetId>();
            Ok(Booked {
                allocation: AllocationId::from_uuid(row.try_get("cause_id").store()?),
                asset: asset.map_err(|error| StoreError::new(StoreFault::Broken, error))?,
                amount: tokens(row, "amount")?,
            })
        };
        rows.iter().map(booked).collect()
    }
}

impl SiteTx {
    async fn batch_by(&mut self, sql: &'static str, id: BatchId) -> Result<Option<Batch>, StoreError> {
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let approvals = sqlx::query(APPROVALS)
            .bind([id.as_uuid()])
            .bind(senders())
            .fetch_all(self.connection())
            .await
            .store()?;
        let approval = |row: &PgRow| {
            Ok(BatchApproval {
                by: IdentityId::from_uuid(row.try_get("approver_id").store()?),
                at: row.try_get("approved_at").store()?,
            })
        };
        let approvals = approvals
            .iter()
            .map(approval)
            .collect::<Result<_, StoreError>>()?;
        batch(&row, approvals).map(Some)
    }

    async fn write_outcome(&mut self, batch: BatchId, allocation: &Allocation) -> Result<(), sqlx::Error> {
        let state = &allocation.state;
        sqlx::query(OUTCOME)
            .bind(batch.as_uuid())
            .bind(allocation.id.as_uuid())
            .bind(state.name().as_str())
            .bind(allocation.external_id.as_ref().map(|id| id.0.as_str()))
            .bind(state.provider_id())
            .bind(state.tx_hash())
            .bind(i32::try_from(state.confirmations()).unwrap_or(i32::MAX))
            .bind(reason(allocation))
            .bind(needs_person(allocation))
            .bind(allocation.updated_at)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}

fn batch(row: &PgRow, approvals: Vec<BatchApproval>) -> Result<Batch, StoreError> {
    let hash: Vec<u8> = row.try_get("lines_hash").store()?;
    Ok(Batch {
        id: BatchId::from_uuid(row.try_get("id").store()?),
        created_by: IdentityId::from_uuid(row.try_get("created_by").store()?),
        size: small(row, "size")?,
        state: batch_state(row)?,
        hash: hash
            .try_into()
            .map_err(|_| StoreError::broken("a hash of another length"))?,
        approvals,
        paused_because: paused_because(row)?,
        failures_in_row: small(row, "failures_in_row")?,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

pub(super) fn batch_state(row: &PgRow) -> Result<BatchState, StoreError> {
    let name: &str = row.try_get("state").store()?;
    BatchState::from_name(name).ok_or_else(|| StoreError::broken("a batch's state"))
}

pub(super) fn paused_because(row: &PgRow) -> Result<Option<PauseReason>, StoreError> {
    let name: Option<&str> = row.try_get("paused_because").store()?;
    let reason =
        |name| PauseReason::from_name(name).ok_or_else(|| StoreError::broken("why a batch is paused"));
    name.map(reason).transpose()
}

pub(super) fn left_out(row: &PgRow) -> Result<Option<LeftOut>, StoreError> {
    let name: Option<&str> = row.try_get("left_out").store()?;
    let reason = |name| LeftOut::from_name(name).ok_or_else(|| StoreError::broken("why a line is left out"));
    name.map(reason).transpose()
}

fn line(row: &PgRow) -> Result<BatchLine, StoreError> {
    let state: StateName = state_name(row)?;
    Ok(BatchLine {
        allocation: AllocationId::from_uuid(row.try_get("allocation_id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        amount: tokens(row, "amount")?,
        address: row.try_get("address").store()?,
        asset: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        provider_asset: row.try_get("provider_asset").store()?,
        vault: row.try_get("vault").store()?,
        decimals: decimals(row)?,
        bound_wallet: row.try_get("bound_wallet").store()?,
        left_out: left_out(row)?,
        state,
        external_id: row
            .try_get::<Option<String>, _>("external_id")
            .store()?
            .map(ExternalId),
        provider_id: row.try_get("provider_id").store()?,
        tx_hash: row.try_get("tx_hash").store()?,
    })
}

fn uuids(ids: &[AllocationId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.as_uuid()).collect()
}

/// One array for `unnest`.
fn column<T>(lines: &[BatchLine], value: impl Fn(&BatchLine) -> T) -> Vec<T> {
    lines.iter().map(value).collect()
}
