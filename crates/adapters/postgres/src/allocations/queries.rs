//! What screens read of allocations and batches.

use std::collections::BTreeMap;

use async_trait::async_trait;
use posx_allocations::{
    Allocation, AllocationFilter, AllocationQueries, AllocationView, ApprovalView, BatchReport,
    BatchReportLine, BatchView, StateCount, StateName,
};
use posx_kernel::{
    AllocationId, BatchId, ChainAssetId, IdentityId, OrderId, Page, PageRequest, PartyId, SiteScope,
    StoreError,
};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::batches::{APPROVALS, batch_state, left_out, paused_because, senders};
use super::{allocation, confirmed_at, decimals, needs_person, reason, small, state_name, tokens};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const VIEW: &str = "select a.id, a.order_id, a.line_id, a.part, a.party_id, a.asset_id, a.address, a.amount::text as amount,
    a.cut::text as cut, a.owed::text as owed, a.received::text as received, a.waived::text as waived, a.changes, a.state,
    a.batch_id, a.try, a.external_id, a.provider_id, a.tx_hash, a.confirmations, a.reason, a.needs_person, a.created_at,
    a.updated_at, a.confirmed_at, a.wallet_usable_from, c.chain, c.symbol, c.decimals
    from allocations a join chain_assets c on c.site_id = a.site_id and c.id = a.asset_id where true";
const BATCH: &str = "select id, created_by, size, state, encode(lines_hash, 'hex') as hash, paused_because, created_at, updated_at,
    (select count(*) from allocation_batch_lines l
     where l.site_id = b.site_id and l.batch_id = b.id and l.left_out is not null) as left_out,
    (select count(*) from allocation_batch_lines l
     where l.site_id = b.site_id and l.batch_id = b.id and (l.state = 'unknown' or l.needs_person)) as quarantined
    from allocation_batches b where true";
const REPORT: &str = "select l.allocation_id, a.order_id, l.asset_id, c.chain, c.symbol, l.decimals, l.provider_asset, l.vault,
    l.amount::text as amount, l.address, l.bound_wallet, l.left_out, l.state, l.external_id, l.provider_id, l.tx_hash,
    l.confirmations, l.reason, l.needs_person, l.updated_at
    from allocation_batch_lines l
    join allocations a on a.site_id = l.site_id and a.id = l.allocation_id
    join chain_assets c on c.site_id = l.site_id and c.id = l.asset_id
    where l.batch_id = $1 order by l.position";

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

    async fn batch_report(&self, scope: &SiteScope, id: BatchId) -> Result<Option<BatchReport>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(BATCH);
        sql.push(" and id = ").push_bind(id.as_uuid());
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let Some(batch) = batch_views(&mut tx, &rows).await?.pop() else {
            return Ok(None);
        };
        let rows = sqlx::query(REPORT)
            .bind(id.as_uuid())
            .fetch_all(tx.connection())
            .await
            .store()?;
        let lines = rows.iter().map(report_line).collect::<Result<_, _>>()?;
        Ok(Some(BatchReport::of(batch, lines)))
    }
}

async fn batch_views(tx: &mut SiteTx, rows: &[PgRow]) -> Result<Vec<BatchView>, StoreError> {
    let ids = rows
        .iter()
        .map(|row| row.try_get("id").store())
        .collect::<Result<Vec<Uuid>, _>>()?;
    let sql = "select batch_id, state, count(*) as count from allocation_batch_lines
               where batch_id = any($1) and left_out is null group by batch_id, state";
    let counts = sqlx::query(sql)
        .bind(&ids)
        .fetch_all(tx.connection())
        .await
        .store()?;
    let mut states: BTreeMap<Uuid, Vec<StateCount>> = BTreeMap::new();
    for row in &counts {
        let count = StateCount {
            state: state_name(row)?,
            count: count(row, "count")?,
        };
        let batch = row.try_get("batch_id").store()?;
        states.entry(batch).or_default().push(count);
    }
    let given = sqlx::query(APPROVALS)
        .bind(&ids)
        .bind(senders())
        .fetch_all(tx.connection())
        .await
        .store()?;
    let mut approvals: BTreeMap<Uuid, Vec<ApprovalView>> = BTreeMap::new();
    for row in &given {
        let approval = ApprovalView {
            by: IdentityId::from_uuid(row.try_get("approver_id").store()?),
            at: row.try_get("approved_at").store()?,
        };
        let batch = row.try_get("batch_id").store()?;
        approvals.entry(batch).or_default().push(approval);
    }
    let view = |row: &PgRow| {
        let id: Uuid = row.try_get("id").store()?;
        let (states, approvals) = (states.remove(&id), approvals.remove(&id));
        batch_view(row, states.unwrap_or_default(), approvals.unwrap_or_default())
    };
    rows.iter().map(view).collect()
}

fn batch_view(
    row: &PgRow,
    mut states: Vec<StateCount>,
    approvals: Vec<ApprovalView>,
) -> Result<BatchView, StoreError> {
    states.sort_by_key(|count| StateName::ALL.iter().position(|state| *state == count.state));
    Ok(BatchView {
        id: BatchId::from_uuid(row.try_get("id").store()?),
        created_by: IdentityId::from_uuid(row.try_get("created_by").store()?),
        state: batch_state(row)?,
        size: small(row, "size")?,
        hash: row.try_get("hash").store()?,
        approvals,
        paused_because: paused_because(row)?,
        states,
        left_out: count(row, "left_out")?,
        quarantined: count(row, "quarantined")?,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

fn count(row: &PgRow, column: &str) -> Result<u16, StoreError> {
    let count: i64 = row.try_get(column).store()?;
    Ok(u16::try_from(count).unwrap_or(u16::MAX))
}

fn report_line(row: &PgRow) -> Result<BatchReportLine, StoreError> {
    Ok(BatchReportLine {
        allocation: AllocationId::from_uuid(row.try_get("allocation_id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        asset_id: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        chain: row.try_get("chain").store()?,
        symbol: row.try_get("symbol").store()?,
        decimals: decimals(row)?,
        asset: row.try_get("provider_asset").store()?,
        vault: row.try_get("vault").store()?,
        amount: tokens(row, "amount")?,
        address: row.try_get("address").store()?,
        bound_wallet: row.try_get("bound_wallet").store()?,
        left_out: left_out(row)?,
        state: state_name(row)?,
        external_id: row.try_get("external_id").store()?,
        provider_id: row.try_get("provider_id").store()?,
        tx_hash: row.try_get("tx_hash").store()?,
        confirmations: crate::tiers::count(row.try_get("confirmations").store()?)?,
        reason: row.try_get("reason").store()?,
        needs_person: row.try_get("needs_person").store()?,
        updated_at: row.try_get("updated_at").store()?,
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
