//! What screens read of vesting and of buyers' debts.

use std::collections::BTreeMap;

use async_trait::async_trait;
use posx_allocations::{
    CalendarRow, PolicyView, ReleaseName, ReleaseView, ScheduleFilter, ScheduleView, StateName,
    TierVestingView, TokenDebtView, TokenSettlementView, VestingPolicy, VestingQueries,
};
use posx_kernel::{
    AllocationId, ChainAssetId, LineId, OrderId, Page, PageRequest, PartyId, SiteScope, StoreError, TierId,
    VestingPolicyId, VestingReleaseId, VestingScheduleId,
};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row};
use uuid::Uuid;

use super::{policy, policy_where, release_state, schedule};
use crate::allocations::{decimals, small, tokens};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const SCHEDULES: &str =
    "select s.id, s.order_id, s.line_id, s.party_id, s.asset_id, s.policy_id, s.total::text as total,
    s.created_at, s.revoked_at, c.symbol, c.decimals
    from vesting_schedules s join chain_assets c on c.site_id = s.site_id and c.id = s.asset_id where true";

const RELEASES: &str =
    "select r.schedule_id, r.id, r.number, r.amount::text as amount, coalesce(a.cut, r.cut)::text as cut,
    r.state, r.unlocked_on, r.allocation_id, a.state as allocation_state, a.tx_hash
    from vesting_releases r left join allocations a on a.site_id = r.site_id and a.id = r.allocation_id
    where r.schedule_id = any($1) order by r.schedule_id, r.number";

const DEBTS: &str = "select a.id, a.order_id, a.line_id, a.party_id, a.asset_id, c.symbol, c.decimals,
    (a.amount - a.cut)::text as sent, (a.owed - a.waived)::text as owed, a.received::text as received, a.waived::text as waived,
    a.updated_at
    from allocations a join chain_assets c on c.site_id = a.site_id and c.id = a.asset_id where a.owed > a.waived";

const UNLOCKS: &str =
    "select s.policy_id, s.asset_id, c.symbol, c.decimals, r.number, sum(r.amount - r.cut)::text as tokens,
    count(*) as releases
    from vesting_releases r
    join vesting_schedules s on s.site_id = r.site_id and s.id = r.schedule_id
    join chain_assets c on c.site_id = s.site_id and c.id = s.asset_id
    where r.state = 'locked' and r.cut < r.amount and ($1::uuid is null or s.party_id = $1)
    group by s.policy_id, s.asset_id, c.symbol, c.decimals, r.number";

#[async_trait]
impl VestingQueries for Database {
    async fn policies(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<PolicyView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(policy_where!("true"));
        if let Some(after) = page.after_id() {
            sql.push(" and p.id < ").push_bind(after);
        }
        sql.push(" order by p.id desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows
            .iter()
            .map(|row| policy(row).map(policy_view))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn policy(&self, scope: &SiteScope, id: VestingPolicyId) -> Result<Option<PolicyView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let found = policies(&mut tx, vec![id.as_uuid()]).await?.remove(&id);
        Ok(found.map(policy_view))
    }

    async fn tier_vesting(
        &self,
        scope: &SiteScope,
        tier: TierId,
    ) -> Result<Option<Vec<TierVestingView>>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let sql = "select v.since, v.policy_id from tiers t
                   left join tier_vesting v on v.site_id = t.site_id and v.tier_id = t.id
                   where t.id = $1 order by v.since desc";
        let rows = sqlx::query(sql)
            .bind(tier.as_uuid())
            .fetch_all(tx.connection())
            .await
            .store()?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut terms = Vec::new();
        for row in &rows {
            let since: Option<_> = row.try_get("since").store()?;
            let id: Option<Uuid> = row.try_get("policy_id").store()?;
            terms.extend(since.map(|since| (since, id)));
        }
        let known = policies(&mut tx, terms.iter().filter_map(|(_, id)| *id).collect()).await?;
        let view = |(since, id): (_, Option<Uuid>)| TierVestingView {
            tier,
            since,
            policy: id
                .and_then(|id| known.get(&VestingPolicyId::from_uuid(id)).cloned())
                .map(policy_view),
        };
        Ok(Some(terms.into_iter().map(view).collect()))
    }

    async fn schedules(
        &self,
        scope: &SiteScope,
        filter: &ScheduleFilter,
        page: PageRequest,
    ) -> Result<Page<ScheduleView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(SCHEDULES);
        if let Some(order) = filter.order {
            sql.push(" and s.order_id = ").push_bind(order.as_uuid());
        }
        if let Some(policy) = filter.policy {
            sql.push(" and s.policy_id = ").push_bind(policy.as_uuid());
        }
        if let Some(party) = filter.party {
            sql.push(" and s.party_id = ").push_bind(party.as_uuid());
        }
        if let Some(after) = page.after_id() {
            sql.push(" and s.id < ").push_bind(after);
        }
        sql.push(" order by s.id desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = schedule_views(&mut tx, &rows).await?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn schedule(
        &self,
        scope: &SiteScope,
        id: VestingScheduleId,
    ) -> Result<Option<ScheduleView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(SCHEDULES);
        sql.push(" and s.id = ").push_bind(id.as_uuid());
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        Ok(schedule_views(&mut tx, &rows).await?.pop())
    }

    async fn unlocks(
        &self,
        scope: &SiteScope,
        only: Option<PartyId>,
    ) -> Result<Vec<CalendarRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(UNLOCKS)
            .bind(only.map(PartyId::as_uuid))
            .fetch_all(tx.connection())
            .await
            .store()?;
        let ids = column(&rows, "policy_id")?;
        let known = policies(&mut tx, ids).await?;
        let view = |row: &PgRow| {
            let policy = VestingPolicyId::from_uuid(row.try_get("policy_id").store()?);
            let (number, releases): (_, i64) = (small(row, "number")?, row.try_get("releases").store()?);
            Ok(CalendarRow {
                from: known.get(&policy).and_then(|policy| policy.day_of(number)),
                asset_id: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
                symbol: row.try_get("symbol").store()?,
                decimals: decimals(row)?,
                tokens: tokens(row, "tokens")?,
                releases: u64::try_from(releases).map_err(|_| StoreError::broken("a negative count"))?,
            })
        };
        rows.iter().map(view).collect()
    }

    async fn token_debts(
        &self,
        scope: &SiteScope,
        only: Option<PartyId>,
        page: PageRequest,
    ) -> Result<Page<TokenDebtView>, StoreError> {
        let mut sql = QueryBuilder::<Postgres>::new(DEBTS);
        if let Some(party) = only {
            sql.push(" and a.party_id = ").push_bind(party.as_uuid());
        }
        if let Some(after) = page.after_id() {
            sql.push(" and a.id < ").push_bind(after);
        }
        sql.push(" order by a.id desc limit ")
            .push_bind(i32::from(page.limit()) + 1);
        let mut tx = self.read_site(scope).await?;
        let rows = sql.build().fetch_all(tx.connection()).await.store()?;
        let views = rows.iter().map(debt).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.allocation.as_uuid()))
    }

    async fn token_settlements(
        &self,
        scope: &SiteScope,
        allocation: AllocationId,
        page: PageRequest,
    ) -> Result<Option<Page<TokenSettlementView>>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        crate::token_debts::settlements(&mut tx, allocation, page).await
    }
}

fn column(rows: &[PgRow], name: &str) -> Result<Vec<Uuid>, StoreError> {
    rows.iter().map(|row| row.try_get(name).store()).collect()
}

async fn policies(
    tx: &mut SiteTx,
    ids: Vec<Uuid>,
) -> Result<BTreeMap<VestingPolicyId, VestingPolicy>, StoreError> {
    let rows = sqlx::query(policy_where!("p.id = any($1)"))
        .bind(ids)
        .fetch_all(tx.connection())
        .await
        .store()?;
    let by_id = |row| policy(row).map(|policy| (policy.id, policy));
    rows.iter().map(by_id).collect()
}

async fn schedule_views(tx: &mut SiteTx, rows: &[PgRow]) -> Result<Vec<ScheduleView>, StoreError> {
    let known = policies(tx, column(rows, "policy_id")?).await?;
    let found = sqlx::query(RELEASES)
        .bind(column(rows, "id")?)
        .fetch_all(tx.connection())
        .await
        .store()?;
    let mut releases: BTreeMap<Uuid, Vec<&PgRow>> = BTreeMap::new();
    for row in &found {
        let of = row.try_get("schedule_id").store()?;
        releases.entry(of).or_default().push(row);
    }
    let view = |row: &PgRow| {
        let read = schedule(row)?;
        let policy = known.get(&read.policy).cloned();
        let policy = policy.ok_or_else(|| StoreError::broken("a schedule without its policy"))?;
        let of_schedule = releases.get(&read.id.as_uuid()).into_iter().flatten();
        Ok(ScheduleView {
            id: read.id,
            order: read.order,
            line: read.line,
            party: read.party,
            asset_id: read.asset,
            symbol: row.try_get("symbol").store()?,
            decimals: decimals(row)?,
            total: read.total,
            revoked_at: read.revoked_at,
            created_at: read.created_at,
            releases: of_schedule
                .map(|row| release_view(row, &policy))
                .collect::<Result<_, _>>()?,
            policy: policy_view(policy),
        })
    };
    rows.iter().map(view).collect()
}

fn release_view(row: &PgRow, policy: &VestingPolicy) -> Result<ReleaseView, StoreError> {
    let (state, number) = (release_state(row)?, small(row, "number")?);
    let allocation_state: Option<&str> = row.try_get("allocation_state").store()?;
    Ok(ReleaseView {
        id: VestingReleaseId::from_uuid(row.try_get("id").store()?),
        number,
        amount: tokens(row, "amount")?,
        cut: tokens(row, "cut")?,
        state: state.name(),
        unlocks_on: match state.name() {
            ReleaseName::Locked => policy.day_of(number),
            _ => state.unlocked_on(),
        },
        allocation: state.allocation(),
        allocation_state: allocation_state.and_then(StateName::from_name),
        tx_hash: row.try_get("tx_hash").store()?,
    })
}

fn policy_view(policy: VestingPolicy) -> PolicyView {
    PolicyView {
        id: policy.id,
        name: policy.name,
        version: policy.version,
        share_at_start: policy.share_at_start,
        cliff_months: policy.cliff_months,
        periods: policy.periods,
        unit: policy.unit,
        revocable: policy.revocable,
        starts_on: policy.starts_on,
        revision: policy.revision,
        created_at: policy.created_at,
        updated_at: policy.updated_at,
    }
}

fn debt(row: &PgRow) -> Result<TokenDebtView, StoreError> {
    Ok(TokenDebtView {
        allocation: AllocationId::from_uuid(row.try_get("id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        line: LineId::from_uuid(row.try_get("line_id").store()?),
        party: PartyId::from_uuid(row.try_get("party_id").store()?),
        asset_id: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        symbol: row.try_get("symbol").store()?,
        decimals: decimals(row)?,
        sent: tokens(row, "sent")?,
        owed: tokens(row, "owed")?,
        received: tokens(row, "received")?,
        waived: tokens(row, "waived")?,
        updated_at: row.try_get("updated_at").store()?,
    })
}
