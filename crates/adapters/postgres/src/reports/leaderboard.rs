//! Which tiers sell best, and who buys most.

use posx_kernel::{Money, PartyId, SiteScope, StoreError, TierId};
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::{Period, paid_lines};
use crate::connection::Database;
use crate::error::StoreResult;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeadersOf {
    Tiers,
    Buyers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeadersBy {
    /// Sales less what went back.
    Net,
    Orders,
    Units,
}

/// A place on the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RankedRow {
    /// 1 is the best; equals share a rank.
    pub rank: i64,
    /// Of the tier or of the buyer's party.
    pub id: String,
    /// A buyer's is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub orders: i64,
    pub units: i64,
    pub sales: Money,
    pub returned: Money,
    pub net: Money,
}

macro_rules! leaders {
    ($key:literal, $name:literal) => {
        concat!(
            paid_lines!(),
            " select *, rank() over (order by metric desc) as rank from (
                select ",
            $key,
            " as key, ",
            $name,
            " as name, count(distinct id) as orders, sum(quantity)::bigint as units, sum(sales)::bigint as sales,
                  sum(returned)::bigint as returned,
                  case $4 when 'orders' then count(distinct id) when 'units' then sum(quantity)::bigint
                    else (sum(sales) - sum(returned))::bigint end as metric
                from lines group by ",
            $key,
            ") s order by rank, key limit $5"
        )
    };
}

const OF_TIERS: &str = leaders!("tier_id", "(select t.name from tiers t where t.id = tier_id)");
const OF_BUYERS: &str = leaders!("buyer_id", "null::text");

impl Database {
    /// Best first.
    pub async fn ranked_sales(
        &self,
        scope: &SiteScope,
        period: &Period,
        (of, by): (LeadersOf, LeadersBy),
        limit: u16,
    ) -> Result<Vec<RankedRow>, StoreError> {
        let sql = match of {
            LeadersOf::Tiers => OF_TIERS,
            LeadersOf::Buyers => OF_BUYERS,
        };
        let by = match by {
            LeadersBy::Net => "net",
            LeadersBy::Orders => "orders",
            LeadersBy::Units => "units",
        };
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(sql)
            .bind(period.from)
            .bind(period.until)
            .bind(period.time_zone.name())
            .bind(by)
            .bind(i64::from(limit))
            .fetch_all(tx.connection())
            .await
            .store()?;
        let leader = |row: &sqlx::postgres::PgRow| {
            let key = row.try_get("key").store()?;
            let (sales, returned) = (period.money(row, "sales")?, period.money(row, "returned")?);
            Ok(RankedRow {
                rank: row.try_get("rank").store()?,
                id: match of {
                    LeadersOf::Tiers => TierId::from_uuid(key).to_string(),
                    LeadersOf::Buyers => PartyId::from_uuid(key).to_string(),
                },
                name: row.try_get("name").store()?,
                orders: row.try_get("orders").store()?,
                units: row.try_get("units").store()?,
                sales,
                returned,
                net: sales
                    .checked_sub(returned)
                    .map_err(|_| StoreError::broken("a sum of sales"))?,
            })
        };
        rows.iter().map(leader).collect()
    }
}
