//! A period in figures, and what is open now.

use posx_kernel::{Money, SiteScope, StoreError};
use serde::Serialize;
use sqlx::Row;
use uuid::Uuid;

use super::{Period, instants};
use crate::connection::Database;
use crate::error::StoreResult;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct OverviewRow {
    pub metric: String,
    /// Decimal text.
    pub value: String,
    /// A currency, or `count`.
    pub unit: String,
}

/// Counts. `$1` and `$2` are the period's instants, `$3` and `$4` the first ids of their milliseconds: ids of orders begin with the time
/// at which they were placed.
const COUNTS: &str = "select
     (select count(*) from orders where id >= $3 and id < $4) as orders_placed,
     (select count(*) from orders where id >= $3 and id < $4 and lifecycle in ('expired', 'cancelled')) as orders_lapsed,
     p.orders_paid, p.buyers, p.sales, p.discounts, p.returned, c.accrued, a.reversed,
     (select count(*) from orders where lifecycle = 'placed') as orders_open,
     (select count(*) from disputes where state = 'open') as disputes_open,
     (select count(*) from refunds where state in ('pending', 'requires_action')) as refunds_open,
     (select count(*) from payouts where state in ('requested', 'approved', 'sending', 'failed')) as payouts_open,
     (select count(*) from allocations where state in ('pending', 'queued', 'unknown', 'submitted', 'confirming', 'failed')) as allocations_open
   from
     (select count(*) as orders_paid, count(distinct buyer_id) as buyers, coalesce(sum(total), 0)::bigint as sales,
        coalesce(sum(discount), 0)::bigint as discounts, coalesce(sum(least(returned, total)), 0)::bigint as returned
      from orders where paid_at >= $1 and paid_at < $2) p,
     (select coalesce(sum(amount), 0)::bigint as accrued from commissions where created_at >= $1 and created_at < $2) c,
     (select coalesce(sum(reversed_after - reversed_before), 0)::bigint as reversed
      from commission_adjustments where at >= $1 and at < $2) a";

const OF_THE_PERIOD: &[&str] = &["orders_placed", "orders_lapsed", "orders_paid", "buyers"];
const OPEN_NOW: &[&str] = &[
    "orders_open",
    "disputes_open",
    "refunds_open",
    "payouts_open",
    "allocations_open",
];

impl Database {
    pub async fn overview(&self, scope: &SiteScope, period: &Period) -> Result<Vec<OverviewRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let (from, until) = instants(&mut tx, period).await?;
        let first_id = |at: chrono::DateTime<chrono::Utc>| {
            let millis = u64::try_from(at.timestamp_millis()).unwrap_or(0);
            uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
        };
        let (first, behind): (Uuid, Uuid) = (first_id(from), first_id(until));
        let row = sqlx::query(COUNTS)
            .bind(from)
            .bind(until)
            .bind(first)
            .bind(behind)
            .fetch_one(tx.connection())
            .await
            .store()?;
        let count = |metric: &&str| {
            let value: i64 = row.try_get(*metric).store()?;
            Ok::<_, StoreError>(OverviewRow {
                metric: (*metric).to_owned(),
                value: value.to_string(),
                unit: "count".to_owned(),
            })
        };
        let money = |metric: &str, value: Money| OverviewRow {
            metric: metric.to_owned(),
            value: value.amount(),
            unit: value.currency().code().to_owned(),
        };
        let less = |one: Money, other| {
            one.checked_sub(other)
                .map_err(|_| StoreError::broken("a sum of sales"))
        };
        let (sales, returned) = (period.money(&row, "sales")?, period.money(&row, "returned")?);
        let (accrued, reversed) = (period.money(&row, "accrued")?, period.money(&row, "reversed")?);
        let mut items: Vec<_> = OF_THE_PERIOD.iter().map(count).collect::<Result<_, _>>()?;
        items.extend([
            money("sales", sales),
            money("discounts", period.money(&row, "discounts")?),
            money("returned", returned),
            money("net", less(sales, returned)?),
            money("commissions_accrued", accrued),
            money("commissions_reversed", reversed),
        ]);
        for metric in OPEN_NOW {
            items.push(count(metric)?);
        }
        Ok(items)
    }
}
