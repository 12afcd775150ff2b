//! What screens read of vesting and of buyers' debts, and the port that answers.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate, Utc};
use posx_kernel::{
    AllocationId, ChainAssetId, LineId, OrderId, Page, PageRequest, PartyId, Rate, SiteScope, StoreError,
    TierId, TokenAmount, VestingPolicyId, VestingReleaseId, VestingScheduleId,
};
use serde::{Deserialize, Serialize};

use super::{PeriodUnit, ReleaseName};
use crate::{StateName, TokenSettlementView};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PolicyView {
    pub id: VestingPolicyId,
    pub name: String,
    pub version: u32,
    pub share_at_start: Rate,
    pub cliff_months: u16,
    pub periods: u16,
    pub unit: PeriodUnit,
    pub revocable: bool,
    /// A day by UTC; without one nothing unlocks yet.
    pub starts_on: Option<NaiveDate>,
    /// Of the start, for If-Match.
    pub revision: i32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// By which policy what a tier sells is vested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TierVestingView {
    pub tier: TierId,
    /// Orders placed from then on.
    pub since: DateTime<Utc>,
    /// Absent: not vested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyView>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReleaseView {
    pub id: VestingReleaseId,
    /// 0 unlocks at the start.
    pub number: u16,
    pub amount: TokenAmount,
    /// Not to be sent, because its money went back.
    pub cut: TokenAmount,
    pub state: ReleaseName,
    /// When it unlocks, or did. Absent: not known yet, or never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlocks_on: Option<NaiveDate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation: Option<AllocationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation_state: Option<StateName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScheduleView {
    pub id: VestingScheduleId,
    pub order: OrderId,
    pub line: LineId,
    pub party: PartyId,
    pub asset_id: ChainAssetId,
    pub symbol: String,
    pub decimals: u8,
    pub policy: PolicyView,
    pub total: TokenAmount,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// In order of number.
    pub releases: Vec<ReleaseView>,
}

#[derive(Debug, Clone, Default)]
pub struct ScheduleFilter {
    pub order: Option<OrderId>,
    pub policy: Option<VestingPolicyId>,
    /// For a buyer's own list the caller sets this.
    pub party: Option<PartyId>,
}

/// Tokens that a buyer was sent and got the money back for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TokenDebtView {
    pub allocation: AllocationId,
    pub order: OrderId,
    pub line: LineId,
    pub party: PartyId,
    pub asset_id: ChainAssetId,
    pub symbol: String,
    pub decimals: u8,
    pub sent: TokenAmount,
    /// What is left of it.
    pub owed: TokenAmount,
    /// What the buyer has sent back.
    pub received: TokenAmount,
    /// What staff gave up.
    pub waived: TokenAmount,
    /// Of the last change.
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Granularity {
    Day,
    #[default]
    Month,
}

/// What unlocks of one asset in one day or month, of what is still locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CalendarRow {
    /// The day, or the first of the month. Absent: its policy has no start yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<NaiveDate>,
    pub asset_id: ChainAssetId,
    pub symbol: String,
    pub decimals: u8,
    pub tokens: TokenAmount,
    pub releases: u64,
}

/// Sums what unlocks on one day, or in one month, of one asset. What has no day comes last.
pub fn calendar(by_day: Vec<CalendarRow>, granularity: Granularity) -> Vec<CalendarRow> {
    let mut rows: BTreeMap<_, CalendarRow> = BTreeMap::new();
    for mut row in by_day {
        row.from = match (row.from, granularity) {
            (Some(day), Granularity::Month) => chrono::Datelike::with_day(&day, 1),
            (same, _) => same,
        };
        let key = (row.from.is_none(), row.from, row.asset_id);
        match rows.get_mut(&key) {
            None => {
                rows.insert(key, row);
            }
            Some(sum) => {
                let tokens = sum.tokens.base_units().saturating_add(row.tokens.base_units());
                sum.tokens = TokenAmount::from_base_units(tokens);
                sum.releases += row.releases;
            }
        }
    }
    rows.into_values().collect()
}

/// Reads for screens: one short read-only transaction each. Lists are newest first.
#[async_trait]
pub trait VestingQueries: Send + Sync {
    async fn policies(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<PolicyView>, StoreError>;
    async fn policy(&self, scope: &SiteScope, id: VestingPolicyId) -> Result<Option<PolicyView>, StoreError>;
    /// Each change that was made of the tier's vesting. `None`: there is no such tier.
    async fn tier_vesting(
        &self,
        scope: &SiteScope,
        tier: TierId,
    ) -> Result<Option<Vec<TierVestingView>>, StoreError>;
    async fn schedules(
        &self,
        scope: &SiteScope,
        filter: &ScheduleFilter,
        page: PageRequest,
    ) -> Result<Page<ScheduleView>, StoreError>;
    async fn schedule(
        &self,
        scope: &SiteScope,
        id: VestingScheduleId,
    ) -> Result<Option<ScheduleView>, StoreError>;
    /// `only`: one buyer's. By day and asset, in no order: see [`calendar`].
    async fn unlocks(&self, scope: &SiteScope, only: Option<PartyId>)
    -> Result<Vec<CalendarRow>, StoreError>;
    async fn token_debts(
        &self,
        scope: &SiteScope,
        only: Option<PartyId>,
        page: PageRequest,
    ) -> Result<Page<TokenDebtView>, StoreError>;
    /// How debts of the allocation ended. `None`: there is no such allocation.
    async fn token_settlements(
        &self,
        scope: &SiteScope,
        allocation: AllocationId,
        page: PageRequest,
    ) -> Result<Option<Page<TokenSettlementView>>, StoreError>;
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_calendar_sums_days_to_months_for_each_asset() {
        let row = |from: Option<&str>, asset, tokens| CalendarRow {
            from: from.map(|day| day.parse().expect("a day")),
            asset_id: ChainAssetId::from_uuid(Uuid::from_u128(asset)),
            symbol: "TOK".to_owned(),
            decimals: 6,
            tokens: TokenAmount::from_base_units(tokens),
            releases: 1,
        };
        let days = || {
            vec![
                row(None, 1, 1000),
                row(Some("2026-02-28"), 1, 5),
                row(Some("2026-02-01"), 1, 7),
                row(Some("2026-02-01"), 2, 11),
                row(Some("2026-01-31"), 1, 13),
            ]
        };
        let of = |granularity| -> Vec<_> {
            let rows = calendar(days(), granularity);
            rows.into_iter()
                .map(|row| (row.from.map(|day| day.to_string()), row.tokens.base_units()))
                .collect()
        };
        let on = |day: &str| Some(day.to_owned());
        assert_eq!(
            of(Granularity::Month),
            [
                (on("2026-01-01"), 13),
                (on("2026-02-01"), 12),
                (on("2026-02-01"), 11),
                (None, 1000)
            ]
        );
        assert_eq!(of(Granularity::Day).len(), 5);
    }
}
