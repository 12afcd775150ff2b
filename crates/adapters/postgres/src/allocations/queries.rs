//! What screens read of allocations and batches.

use std::collections::BTreeMap;

use async_trait::async_trait;
use posx_allocations::{
    Allocation, AllocationFilter, AllocationQueries, AllocationView, BatchView, StateCount, StateName,
};
use posx_kernel::{AllocationId, BatchId, IdentityId, Page, PageRequest, PartyId, SiteScope, StoreError};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::{allocation, confirmed_at, decimals, needs_person, reason, state_name};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const VIEW: &str = "select a.id, a.order_id, a.line_id, a.part, a.party_id, a.asset_id, a.address, a.amount::text as amount,
    a.cut::text as cut, a.owed::text as owed, a.changes, a.state,
    a.batch_id, a.try, a.external_id, a.provider_id, a.tx_hash, a.confirmations, a.reason, a.needs_person, a.created_at,
    a.updated_at, a.confirmed_at, a.wallet_usable_from, c.chain, c.symbol, c.decimals
    from allocations a join chain_assets c on c.site_id = a.site_id and c.id = a.asset_id where true";
const BATCH: &str = "select id, created_by, size, created_at from allocation_batches where true";

#[async_trait]
impl AllocationQueries for Database {
    async fn allocations(
        &self,
        scope: &SiteScope,
        filter: &AllocationFilter,
        page: PageRequest,
    ) -> Result<Page<AllocationView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(VIEW);
        if let Some(state) = filter.state {
            sql.push(" and a.state = ").push_bind(state.as_str());
        }
        if let Some(order) = filter.order {
            sql.push(" and a.order_id = ").push_bind(order.as_uuid());
        }
        if let Some(batch) = filter.batch {
            sql.push(" and a.batch_id = ").push_bind(batch.as_uuid());
        }
        if let Some(party) = filter.party {
            sql.push(" and a.party_id = ").push_bind(party.as_uuid());
        }
        if let Some(needs_person) = filter.needs_person {
            sql.push(" and a.needs_person = ").push_bind(needs_person);
        }
        if let Some(after) = page.after_id() {
            sql.push(" and a.id < ").push_bind(after);
        }
        sql.push(" order by a.id desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn allocation(
        &self,
        scope: &SiteScope,
        id: AllocationId,
        only: Option<PartyId>,
    ) -> Result<Option<AllocationView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(VIEW);
        sql.push(" and a.id = ").push_bind(id.as_uuid());
        if let Some(party) = only {
            sql.push(" and a.party_id = ").push_bind(party.as_uuid());
        }
        let mut tx = self.read_site(scope).await?;
        let row = sql.build().fetch_optional(tx.connection()).await.store()?;
        row.as_ref().map(view).transpose()
    }

    async fn batches(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<BatchView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(BATCH);
        if let Some(after) = page.after_id() {
            sql.push(" and id < ").push_bind(after);
        }
        sql.push(" order by id desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        Ok(Page::from_rows(
            batch_views(&mut tx, &rows).await?,
            page,
            |view| view.id.as_uuid(),
        ))
    }

    async fn batch(&self, scope: &SiteScope, id: BatchId) -> Result<Option<BatchView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(BATCH);
        sql.push(" and id = ").push_bind(id.as_uuid());
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        Ok(batch_views(&mut tx, &rows).await?.pop())
    }
}

async fn batch_views(tx: &mut SiteTx, rows: &[PgRow]) -> Result<Vec<BatchView>, StoreError> {
    let ids = rows
        .iter()
        .map(|row| row.try_get("id").store())
        .collect::<Result<Vec<Uuid>, _>>()?;
    let sql = "select batch_id, state, count(*) as count from allocations where batch_id = any($1) group by batch_id, state";
    let counts = sqlx::query(sql)
        .bind(ids)
        .fetch_all(tx.connection())
        .await
        .store()?;
    let mut states: BTreeMap<Uuid, Vec<StateCount>> = BTreeMap::new();
    for row in &counts {
        let count: i64 = row.try_get("count").store()?;
        let count = StateCount {
            state: state_name(row)?,
            count: u16::try_from(count).unwrap_or(u16::MAX),
        };
        states
            .entry(row.try_get("batch_id").store()?)
            .or_default()
            .push(count);
    }
    rows.iter().map(|row| batch_view(row, &mut states)).collect()
}

fn batch_view(row: &PgRow, states: &mut BTreeMap<Uuid, Vec<StateCount>>) -> Result<BatchView, StoreError> {
    let (id, size): (Uuid, i16) = (row.try_get("id").store()?, row.try_get("size").store()?);
    let mut states = states.remove(&id).unwrap_or_default();
    states.sort_by_key(|count| StateName::ALL.iter().position(|state| *state == count.state));
    Ok(BatchView {
        id: BatchId::from_uuid(id),
        created_by: IdentityId::from_uuid(row.try_get("created_by").store()?),
        size: u16::try_from(size).map_err(|_| StoreError::broken("a batch's size"))?,
        states,
        created_at: row.try_get("created_at").store()?,
    })
}

fn view(row: &PgRow) -> Result<AllocationView, StoreError> {
    let read: Allocation = allocation(row)?;
    Ok(AllocationView {
        reason: reason(&read).map(str::to_owned),
        needs_person: needs_person(&read),
        confirmed_at: confirmed_at(&read),
        state: read.state.name(),
        tx_hash: read.state.tx_hash().map(str::to_owned),
        confirmations: read.state.confirmations(),
        provider_id: read.state.provider_id().map(str::to_owned),
        id: read.id,
        order: read.order,
        line: read.line,
        party: read.party,
        asset_id: read.asset,
        chain: row.try_get("chain").store()?,
        symbol: row.try_get("symbol").store()?,
        decimals: decimals(row)?,
        address: read.address,
        wallet_usable_from: read.wallet_usable_from,
        amount: read.amount,
        cut: read.cut,
        owed: read.owed,
        tries: read.tries,
        batch: read.batch,
        external_id: read.external_id.map(|id| id.0),
        created_at: read.created_at,
        updated_at: read.updated_at,
    })
}
