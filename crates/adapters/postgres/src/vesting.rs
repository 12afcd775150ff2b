//! Vesting policies, schedules and releases.

mod queries;

use async_trait::async_trait;
use posx_allocations::{
    PeriodUnit, Release, ReleaseName, ReleaseState, VestingPolicy, VestingRepository, VestingSchedule,
};
use posx_kernel::{
    AllocationId, ChainAssetId, LineId, OrderId, PartyId, Rate, StoreError, TierId, Timestamp,
    VestingPolicyId, VestingReleaseId, VestingScheduleId,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::allocations::{small, tokens};
use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::{count, stored_count};

macro_rules! policy_where {
    ($rest:literal) => {
        concat!(
            "select p.id, p.name, p.version, p.share_at_start::text as share_at_start, p.cliff_months, p.periods, p.unit, ",
            "p.revocable, p.starts_on, p.revision, p.created_at, p.updated_at from vesting_policies p where ",
            $rest
        )
    };
}
use policy_where;

fn policy(row: &PgRow) -> Result<VestingPolicy, StoreError> {
    let (share, unit): (&str, &str) = (
        row.try_get("share_at_start").store()?,
        row.try_get("unit").store()?,
    );
    Ok(VestingPolicy {
        id: VestingPolicyId::from_uuid(row.try_get("id").store()?),
        name: row.try_get("name").store()?,
        version: count(row.try_get("version").store()?)?,
        share_at_start: rate(share)?,
        cliff_months: small(row, "cliff_months")?,
        periods: small(row, "periods")?,
        unit: PeriodUnit::from_name(unit).ok_or_else(|| StoreError::broken("a vesting policy's unit"))?,
        revocable: row.try_get("revocable").store()?,
        starts_on: row.try_get("starts_on").store()?,
        revision: row.try_get("revision").store()?,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

fn rate(text: &str) -> Result<Rate, StoreError> {
    text.parse()
        .map_err(|_| StoreError::broken("a vesting policy's share"))
}

fn schedule(row: &PgRow) -> Result<VestingSchedule, StoreError> {
    Ok(VestingSchedule {
        id: VestingScheduleId::from_uuid(row.try_get("id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        line: LineId::from_uuid(row.try_get("line_id").store()?),
        party: PartyId::from_uuid(row.try_get("party_id").store()?),
        asset: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        policy: VestingPolicyId::from_uuid(row.try_get("policy_id").store()?),
        total: tokens(row, "total")?,
        created_at: row.try_get("created_at").store()?,
        revoked_at: row.try_get("revoked_at").store()?,
    })
}

fn release_state(row: &PgRow) -> Result<ReleaseState, StoreError> {
    let name: &str = row.try_get("state").store()?;
    let missing = || StoreError::broken("a release without what its state needs");
    let day = || {
        row.try_get::<Option<_>, _>("unlocked_on")
            .store()?
            .ok_or_else(missing)
    };
    match ReleaseName::from_name(name) {
        Some(ReleaseName::Locked) => Ok(ReleaseState::Locked),
        Some(ReleaseName::Revoked) => Ok(ReleaseState::Revoked),
        Some(ReleaseName::Due) => Ok(ReleaseState::Due { unlocked_on: day()? }),
        Some(ReleaseName::Allocated) => {
            let allocation: Option<_> = row.try_get("allocation_id").store()?;
            Ok(ReleaseState::Allocated {
                unlocked_on: day()?,
                allocation: allocation.map(AllocationId::from_uuid).ok_or_else(missing)?,
            })
        }
        None => Err(StoreError::broken("a release's state")),
    }
}

fn release(row: &PgRow) -> Result<Release, StoreError> {
    Ok(Release {
        id: VestingReleaseId::from_uuid(row.try_get("id").store()?),
        schedule: VestingScheduleId::from_uuid(row.try_get("schedule_id").store()?),
        line: LineId::from_uuid(row.try_get("line_id").store()?),
        asset: ChainAssetId::from_uuid(row.try_get("asset_id").store()?),
        policy: VestingPolicyId::from_uuid(row.try_get("policy_id").store()?),
        number: small(row, "number")?,
        amount: tokens(row, "amount")?,
        cut: tokens(row, "cut")?,
        changes: count(row.try_get("changes").store()?)?,
        state: release_state(row)?,
    })
}

fn stored_small(count: u16) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

/// One array for `unnest`.
fn column<T>(releases: &[Release], value: impl Fn(&Release) -> T) -> Vec<T> {
    releases.iter().map(value).collect()
}

#[async_trait]
impl VestingRepository for SiteTx {
    async fn latest_version(&mut self, name: &str) -> Result<u32, StoreError> {
        let row =
            sqlx::query("select coalesce(max(version), 0) as version from vesting_policies where name = $1")
                .bind(name)
                .fetch_one(self.connection())
                .await
                .store()?;
        count(row.try_get("version").store()?)
    }

    async fn insert_policy(&mut self, policy: &VestingPolicy) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into vesting_policies (id, name, version, share_at_start, cliff_months, periods, unit, revocable, starts_on,
                                           revision, created_at, updated_at)
             values ($1, $2, $3, $4::text::numeric, $5, $6, $7, $8, $9, $10, $11, $11)
             on conflict on constraint vesting_policies_version_key do nothing",
        )
        .bind(policy.id.as_uuid())
        .bind(&policy.name)
        .bind(stored_count(policy.version))
        .bind(policy.share_at_start.to_string())
        .bind(stored_small(policy.cliff_months))
        .bind(stored_small(policy.periods))
        .bind(policy.unit.as_str())
        .bind(policy.revocable)
        .bind(policy.starts_on)
        .bind(policy.revision)
        .bind(policy.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn policy(&mut self, id: VestingPolicyId) -> Result<Option<VestingPolicy>, StoreError> {
        let row = sqlx::query(policy_where!("p.id = $1"))
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(policy).transpose()
    }

    async fn save_start(&mut self, policy: &VestingPolicy, seen: i32) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "update vesting_policies set starts_on = $3, revision = $4, updated_at = $5 where id = $1 and revision = $2",
        )
        .bind(policy.id.as_uuid())
        .bind(seen)
        .bind(policy.starts_on)
        .bind(policy.revision)
        .bind(policy.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn started_policies(&mut self) -> Result<Vec<VestingPolicy>, StoreError> {
        let rows = sqlx::query(policy_where!("p.starts_on is not null order by p.id"))
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(policy).collect()
    }

    async fn insert_tier_terms(
        &mut self,
        tier: TierId,
        policy: Option<VestingPolicyId>,
        since: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into tier_vesting (tier_id, policy_id, since) select t.id, $2, $3 from tiers t where t.id = $1",
        )
        .bind(tier.as_uuid())
        .bind(policy.map(VestingPolicyId::as_uuid))
        .bind(since)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn insert_schedule(
        &mut self,
        schedule: &VestingSchedule,
        releases: &[Release],
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into vesting_schedules (id, order_id, line_id, party_id, asset_id, policy_id, total, created_at)
             values ($1, $2, $3, $4, $5, $6, $7::text::numeric, $8)",
        )
        .bind(schedule.id.as_uuid())
        .bind(schedule.order.as_uuid())
        .bind(schedule.line.as_uuid())
        .bind(schedule.party.as_uuid())
        .bind(schedule.asset.as_uuid())
        .bind(schedule.policy.as_uuid())
        .bind(schedule.total.to_string())
        .bind(schedule.created_at)
        .execute(self.connection())
        .await
        .store()?;
        sqlx::query(
            "insert into vesting_releases (id, schedule_id, policy_id, number, amount, state)
             select n.id, $2, $3, n.number, n.amount::numeric, 'locked'
             from unnest($1::uuid[], $4::smallint[], $5::text[]) as n (id, number, amount)",
        )
        .bind(column(releases, |new| new.id.as_uuid()))
        .bind(schedule.id.as_uuid())
        .bind(schedule.policy.as_uuid())
        .bind(column(releases, |new| stored_small(new.number)))
        .bind(column(releases, |new| new.amount.to_string()))
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn schedule(&mut self, id: VestingScheduleId) -> Result<Option<VestingSchedule>, StoreError> {
        let sql = "select id, order_id, line_id, party_id, asset_id, policy_id, total::text as total, created_at, revoked_at
                   from vesting_schedules where id = $1";
        let row = sqlx::query(sql)
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(schedule).transpose()
    }

    async fn mark_revoked(&mut self, id: VestingScheduleId, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update vesting_schedules set revoked_at = $2 where id = $1")
            .bind(id.as_uuid())
            .bind(at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(())
    }

    async fn releases_of_order(&mut self, order: OrderId) -> Result<Vec<Release>, StoreError> {
        let sql = "select r.id, r.schedule_id, s.line_id, s.asset_id, r.policy_id, r.number, r.amount::text as amount,
                     r.cut::text as cut, r.changes, r.state, r.unlocked_on, r.allocation_id
                   from vesting_schedules s
                   join vesting_releases r on r.site_id = s.site_id and r.schedule_id = s.id
                   where s.order_id = $1 order by s.id, r.number";
        let rows = sqlx::query(sql)
            .bind(order.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(release).collect()
    }

    async fn save_releases(&mut self, releases: &[Release]) -> Result<(), StoreError> {
        if releases.is_empty() {
            return Ok(());
        }
        let done = sqlx::query(
            "update vesting_releases r set
               cut = s.cut::numeric, changes = s.changes, state = s.state, unlocked_on = s.unlocked_on,
               allocation_id = s.allocation
             from unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::date[], $6::uuid[])
                  as s (id, cut, changes, state, unlocked_on, allocation)
             where r.id = s.id",
        )
        .bind(column(releases, |saved| saved.id.as_uuid()))
        .bind(column(releases, |saved| saved.cut.to_string()))
        .bind(column(releases, |saved| stored_count(saved.changes)))
        .bind(column(releases, |saved| saved.state.name().as_str()))
        .bind(column(releases, |saved| saved.state.unlocked_on()))
        .bind(column(releases, |saved| {
            saved.state.allocation().map(AllocationId::as_uuid)
        }))
        .execute(self.connection())
        .await
        .store()?;
        if usize::try_from(done.rows_affected()) == Ok(releases.len()) {
            Ok(())
        } else {
            Err(StoreError::broken("a release that was read is not there"))
        }
    }

    async fn due_orders(
        &mut self,
        policy: VestingPolicyId,
        through: u16,
        after: Option<OrderId>,
        limit: u16,
    ) -> Result<Vec<OrderId>, StoreError> {
        let sql = "select distinct s.order_id from vesting_releases r
                   join vesting_schedules s on s.site_id = r.site_id and s.id = r.schedule_id
                   where r.policy_id = $1 and r.number <= $2 and r.state = 'locked' and ($3::uuid is null or s.order_id > $3)
                   order by s.order_id limit $4";
        let rows = sqlx::query(sql)
            .bind(policy.as_uuid())
            .bind(stored_small(through))
            .bind(after.map(OrderId::as_uuid))
            .bind(i32::from(limit))
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter()
            .map(|row| row.try_get("order_id").map(OrderId::from_uuid).store())
            .collect()
    }
}
