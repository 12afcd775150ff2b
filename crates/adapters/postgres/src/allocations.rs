//! Allocations, their batches, and what they read and tell of orders.

mod batches;
mod orders;
mod queries;

use async_trait::async_trait;
use posx_allocations::custody::ExternalId;
use posx_allocations::{
    Allocation, AllocationRepository, AllocationState, AllocationsTx, BatchRepository, CustodyAsset,
    DeliveredOrders, ExternalIds, StateName, TokenSettlement, VestingRepository,
};
use posx_kernel::{
    AllocationId, BatchId, Begin, ChainAssetId, LineId, OrderId, Outbox, PartyId, SiteScope, StoreError,
    Timestamp, TokenAmount,
};
use posx_tiers::StockRepository;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn AllocationsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn AllocationsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl AllocationsTx for SiteTx {
    fn allocations(&mut self) -> &mut dyn AllocationRepository {
        self
    }
    fn batches(&mut self) -> &mut dyn BatchRepository {
        self
    }
    fn delivered_orders(&mut self) -> &mut dyn DeliveredOrders {
        self
    }
    fn external_ids(&mut self) -> &mut dyn ExternalIds {
        self
    }
    fn vesting(&mut self) -> &mut dyn VestingRepository {
        self
    }
    fn stock(&mut self) -> &mut dyn StockRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl ExternalIds for SiteTx {
    async fn claim(&mut self, provider: &str, external_id: &str) -> Result<bool, StoreError> {
        let sql = "select app.claim_external_id($1, $2) as ours";
        let row = sqlx::query(sql)
            .bind(provider)
            .bind(external_id)
            .fetch_one(self.connection())
            .await
            .store()?;
        row.try_get("ours").store()
    }
}

/// One list of columns for every way to find an allocation.
macro_rules! allocation_where {
    ($rest:literal) => {
        concat!(
            "select id, order_id, line_id, part, party_id, asset_id, address, amount::text as amount, cut::text as cut, ",
            "owed::text as owed, received::text as received, waived::text as waived, changes, state, batch_id, try, ",
            "external_id, provider_id, tx_hash, confirmations, reason, needs_person, created_at, updated_at, confirmed_at, ",
            "wallet_usable_from ",
            "from allocations where ",
            $rest
        )
    };
}

#[async_trait]
impl AllocationRepository for SiteTx {
    async fn for_update(&mut self, id: AllocationId) -> Result<Option<Allocation>, StoreError> {
        let sql = allocation_where!("id = $1 for no key update");
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(allocation).transpose()
    }

    async fn for_update_many(&mut self, ids: &[AllocationId]) -> Result<Vec<Allocation>, StoreError> {
        let sql = allocation_where!("id = any($1) order by id for no key update");
        let ids: Vec<_> = ids.iter().map(|id| id.as_uuid()).collect();
        let rows = sqlx::query(sql)
            .bind(ids)
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(allocation).collect()
    }

    async fn by_provider_id(&mut self, provider_id: &str) -> Result<Option<AllocationId>, StoreError> {
        let row = sqlx::query("select id from allocations where provider_id = $1")
            .bind(provider_id)
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.map(|row| row.try_get("id").map(AllocationId::from_uuid).store())
            .transpose()
    }

    async fn order_of(&mut self, id: AllocationId) -> Result<Option<OrderId>, StoreError> {
        let row = sqlx::query("select order_id from allocations where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.map(|row| row.try_get("order_id").map(OrderId::from_uuid).store())
            .transpose()
    }

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Allocation>, StoreError> {
        let sql = allocation_where!("order_id = $1 order by id for no key update");
        let rows = sqlx::query(sql)
            .bind(order.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(allocation).collect()
    }

    async fn insert_new(&mut self, allocations: &[Allocation]) -> Result<Vec<AllocationId>, StoreError> {
        if allocations.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "insert into allocations (id, order_id, line_id, part, party_id, asset_id, address, amount, cut, changes, state,
                                      created_at, updated_at, wallet_usable_from)
             select n.id, n.order_id, n.line, n.part, n.party, n.asset, n.address, n.amount::numeric, n.cut::numeric,
                    n.changes, n.state, n.at, n.at, n.usable_from
             from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::smallint[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
                         $9::text[], $10::integer[], $11::text[], $12::timestamptz[], $13::timestamptz[])
                  as n (id, order_id, line, part, party, asset, address, amount, cut, changes, state, at, usable_from)
             on conflict on constraint allocations_line_key do nothing
             returning id",
        )
        .bind(column(allocations, |new| new.id.as_uuid()))
        .bind(column(allocations, |new| new.order.as_uuid()))
        .bind(column(allocations, |new| new.line.as_uuid()))
        .bind(column(allocations, |new| i16::try_from(new.part).unwrap_or(i16::MAX)))
        .bind(column(allocations, |new| new.party.as_uuid()))
        .bind(column(allocations, |new| new.asset.as_uuid()))
        .bind(column(allocations, |new| new.address.clone()))
        .bind(column(allocations, |new| new.amount.to_string()))
        .bind(column(allocations, |new| new.cut.to_string()))
        .bind(column(allocations, |new| crate::tiers::stored_count(new.changes)))
        .bind(column(allocations, |new| new.state.name().as_str()))
        .bind(column(allocations, |new| new.created_at))
        .bind(column(allocations, |new| new.wallet_usable_from))
        .fetch_all(self.connection())
        .await
        .store()?;
        ids(&rows)
    }

    async fn save(&mut self, allocations: &[Allocation]) -> Result<(), StoreError> {
        if allocations.is_empty() {
            return Ok(());
        }
        let done = sqlx::query(
            "update allocations a set
               state = s.state, batch_id = s.batch, try = s.try, external_id = s.external_id, provider_id = s.provider_id,
               tx_hash = s.tx_hash, confirmations = s.confirmations, reason = s.reason, needs_person = s.needs_person,
               confirmed_at = s.confirmed_at, updated_at = s.updated_at, amount = s.amount::numeric, cut = s.cut::numeric,
               owed = s.owed::numeric, changes = s.changes, received = s.received::numeric, waived = s.waived::numeric
             from unnest($1::uuid[], $2::text[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::text[],
                         $8::integer[], $9::text[], $10::boolean[], $11::timestamptz[], $12::timestamptz[], $13::text[],
                         $14::text[], $15::text[], $16::integer[], $17::text[], $18::text[])
                  as s (id, state, batch, try, external_id, provider_id, tx_hash, confirmations, reason, needs_person,
                        confirmed_at, updated_at, amount, cut, owed, changes, received, waived)
             where a.id = s.id",
        )
        .bind(column(allocations, |saved| saved.id.as_uuid()))
        .bind(column(allocations, |saved| saved.state.name().as_str()))
        .bind(column(allocations, |saved| saved.batch.map(BatchId::as_uuid)))
        .bind(column(allocations, |saved| i16::try_from(saved.tries).unwrap_or(i16::MAX)))
        .bind(column(allocations, |saved| saved.external_id.clone().map(|id| id.0)))
        .bind(column(allocations, |saved| saved.state.provider_id().map(str::to_owned)))
        .bind(column(allocations, |saved| saved.state.tx_hash().map(str::to_owned)))
        .bind(column(allocations, |saved| i32::try_from(saved.state.confirmations()).unwrap_or(i32::MAX)))
        .bind(column(allocations, |saved| reason(saved).map(str::to_owned)))
        .bind(column(allocations, needs_person))
        .bind(column(allocations, confirmed_at))
        .bind(column(allocations, |saved| saved.updated_at))
        .bind(column(allocations, |saved| saved.amount.to_string()))
        .bind(column(allocations, |saved| saved.cut.to_string()))
        .bind(column(allocations, |saved| saved.owed.to_string()))
        .bind(column(allocations, |saved| crate::tiers::stored_count(saved.changes)))
        .bind(column(allocations, |saved| saved.received.to_string()))
        .bind(column(allocations, |saved| saved.waived.to_string()))
        .execute(self.connection())
        .await
        .store()?;
        if usize::try_from(done.rows_affected()) == Ok(allocations.len()) {
            Ok(())
        } else {
            Err(StoreError::broken("an allocation that was read is not there"))
        }
    }

    async fn states_of_order(&mut self, order: OrderId) -> Result<Vec<StateName>, StoreError> {
        let sql = "select state from allocations where order_id = $1
                   union all
                   select 'pending' from vesting_releases r
                   join vesting_schedules s on s.site_id = r.site_id and s.id = r.schedule_id
                   where s.order_id = $1 and r.state in ('locked', 'due') and r.cut < r.amount";
        let rows = sqlx::query(sql)
            .bind(order.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(state_name).collect()
    }

    async fn insert_settlement(&mut self, settlement: &TokenSettlement) -> Result<bool, StoreError> {
        crate::token_debts::insert(self, settlement).await
    }

    async fn stuck(&mut self, before: Timestamp, limit: u16) -> Result<Vec<AllocationId>, StoreError> {
        let sql = "select id from allocations
                   where state in ('unknown', 'submitted', 'confirming') and updated_at < $1
                   order by updated_at, id limit $2";
        ids(&sqlx::query(sql)
            .bind(before)
            .bind(i32::from(limit))
            .fetch_all(self.connection())
            .await
            .store()?)
    }

    async fn custody_asset(&mut self, id: ChainAssetId) -> Result<Option<CustodyAsset>, StoreError> {
        let sql = "select provider_asset, vault, decimals from chain_assets where id = $1";
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(CustodyAsset {
            provider_asset: row.try_get("provider_asset").store()?,
            vault: row.try_get("vault").store()?,
            decimals: decimals(&row)?,
        }))
    }
}

/// One array for `unnest`.
fn column<T>(allocations: &[Allocation], value: impl Fn(&Allocation) -> T) -> Vec<T> {
    allocations.iter().map(value).collect()
}

/// Why it failed, or why it is parked.
fn reason(allocation: &Allocation) -> Option<&str> {
    match &allocation.state {
        AllocationState::Failed { reason, .. } => Some(reason),
        AllocationState::Cancelled { failure, .. } => allocation.parked.as_deref().or(failure.as_deref()),
        _ => allocation.parked.as_deref(),
    }
}

const fn needs_person(allocation: &Allocation) -> bool {
    match &allocation.state {
        AllocationState::Failed { needs_person, .. } => *needs_person,
        _ => allocation.parked.is_some(),
    }
}

const fn confirmed_at(allocation: &Allocation) -> Option<Timestamp> {
    match &allocation.state {
        AllocationState::Done { confirmed_at, .. } => Some(*confirmed_at),
        _ => None,
    }
}

fn allocation(row: &PgRow) -> Result<Allocation, StoreError> {
    let (state, parked) = state(row)?;
    Ok(Allocation {
        id: AllocationId::from_uuid(row.try_get("id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        line: LineId::from_uuid(row.try_get("line_id").store()?),
        part: small(row, "part")?,
        party: PartyId::from_uuid(row.try_get("party_id").store()?),
        asset: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        address: row.try_get("address").store()?,
        wallet_usable_from: row.try_get("wallet_usable_from").store()?,
        amount: tokens(row, "amount")?,
        cut: tokens(row, "cut")?,
        owed: tokens(row, "owed")?,
        received: tokens(row, "received")?,
        waived: tokens(row, "waived")?,
        changes: crate::tiers::count(row.try_get("changes").store()?)?,
        batch: row
            .try_get::<Option<Uuid>, _>("batch_id")
            .store()?
            .map(BatchId::from_uuid),
        tries: small(row, "try")?,
        external_id: row
            .try_get::<Option<String>, _>("external_id")
            .store()?
            .map(ExternalId),
        state,
        parked,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

/// The state with its data, and why it is parked.
fn state(row: &PgRow) -> Result<(AllocationState, Option<String>), StoreError> {
    let (reason, needs_person): (Option<String>, bool) = (
        row.try_get("reason").store()?,
        row.try_get("needs_person").store()?,
    );
    let provider_id: Option<String> = row.try_get("provider_id").store()?;
    let tx_hash: Option<String> = row.try_get("tx_hash").store()?;
    let confirmations = crate::tiers::count(row.try_get("confirmations").store()?)?;
    let missing = || StoreError::broken("an allocation without what its state needs");
    let parked = reason.clone().filter(|_| needs_person);
    let state = match state_name(row)? {
        StateName::Pending => AllocationState::Pending,
        StateName::Queued => AllocationState::Queued,
        StateName::Unknown => AllocationState::Unknown,
        StateName::Submitted => AllocationState::Submitted {
            provider_id: provider_id.ok_or_else(missing)?,
        },
        StateName::Confirming => AllocationState::Confirming {
            provider_id: provider_id.ok_or_else(missing)?,
            tx_hash,
            confirmations,
        },
        StateName::Done => AllocationState::Done {
            provider_id: provider_id.ok_or_else(missing)?,
            tx_hash: tx_hash.ok_or_else(missing)?,
            confirmations,
            confirmed_at: row
                .try_get::<Option<_>, _>("confirmed_at")
                .store()?
                .ok_or_else(missing)?,
        },
        StateName::Failed => {
            let reason = reason.ok_or_else(missing)?;
            return Ok((
                AllocationState::Failed {
                    reason,
                    needs_person,
                    provider_id,
                    tx_hash,
                },
                None,
            ));
        }
        StateName::Cancelled => AllocationState::Cancelled {
            failure: reason.filter(|_| !needs_person),
            provider_id,
        },
    };
    Ok((state, parked))
}

fn state_name(row: &PgRow) -> Result<StateName, StoreError> {
    let name: &str = row.try_get("state").store()?;
    StateName::from_name(name).ok_or_else(|| StoreError::broken("an allocation's state"))
}

pub(crate) fn small(row: &PgRow, column: &str) -> Result<u16, StoreError> {
    let stored: i16 = row.try_get(column).store()?;
    u16::try_from(stored).map_err(|_| StoreError::broken("a negative count"))
}

pub(crate) fn tokens(row: &PgRow, column: &str) -> Result<TokenAmount, StoreError> {
    crate::tiers::tokens(row.try_get(column).store()?)
}

pub(crate) fn decimals(row: &PgRow) -> Result<u8, StoreError> {
    let decimals: i16 = row.try_get("decimals").store()?;
    u8::try_from(decimals).map_err(|_| StoreError::broken("an asset's decimals"))
}

fn ids(rows: &[PgRow]) -> Result<Vec<AllocationId>, StoreError> {
    rows.iter()
        .map(|row| row.try_get("id").map(AllocationId::from_uuid).store())
        .collect()
}
