//! Sales by day and tier.

use chrono::NaiveDate;
use posx_kernel::{Money, SiteScope, StoreError, TierId, TokenAmount};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::{Period, paid_lines};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::tiers::tokens;

/// What one tier sold on one day, by when its orders were paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SalesRow {
    pub day: NaiveDate,
    pub tier_id: TierId,
    pub tier_name: String,
    pub orders: i64,
    pub units: i64,
    /// Base units, bonus included.
    pub tokens: TokenAmount,
    /// What the lines cost before discounts.
    pub gross: Money,
    /// After discounts; an order's discount is shared by its lines as they cost.
    pub sales: Money,
    /// What of the sales went back since, on whatever day.
    pub returned: Money,
    pub net: Money,
}

const SALES: &str = concat!(
    paid_lines!(),
    " select s.day, s.tier_id, t.name as tier_name, s.orders, s.units, s.tokens, s.gross, s.sales, s.returned
      from (select day, tier_id, count(distinct id) as orders, sum(quantity)::bigint as units, sum(tokens)::text as tokens,
              sum(amount)::bigint as gross, sum(sales)::bigint as sales, sum(returned)::bigint as returned
            from lines group by day, tier_id) s
      join tiers t on t.id = s.tier_id order by s.day, t.position, s.tier_id"
);

impl Database {
    /// By day, then in the order of the tiers. Days on which nothing was paid have no row.
    pub async fn sales_by_day_and_tier(
        &self,
        scope: &SiteScope,
        period: &Period,
    ) -> Result<Vec<SalesRow>, StoreError> {
        let rows = self.report_rows(scope, SALES, period).await?;
        rows.iter().map(|row| sales_of(row, period)).collect()
    }
}

fn sales_of(row: &PgRow, period: &Period) -> Result<SalesRow, StoreError> {
    let (sales, returned) = (period.money(row, "sales")?, period.money(row, "returned")?);
    Ok(SalesRow {
        day: row.try_get("day").store()?,
        tier_id: TierId::from_uuid(row.try_get("tier_id").store()?),
        tier_name: row.try_get("tier_name").store()?,
        orders: row.try_get("orders").store()?,
        units: row.try_get("units").store()?,
        tokens: tokens(row.try_get("tokens").store()?)?,
        gross: period.money(row, "gross")?,
        sales,
        returned,
        net: sales
            .checked_sub(returned)
            .map_err(|_| StoreError::broken("a sum of sales"))?,
    })
}
