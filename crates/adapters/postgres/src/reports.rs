//! Reports for staff: reads across the contexts, each row as it is shown. Days are those of the site's time zone.
//!
//! A report that may be long is read in steps, each one short read-only transaction: whoever downloads slowly holds no
//! connection.

mod anomalies;
mod commissions;
mod leaderboard;
mod overview;
mod sales;

use chrono::{DateTime, Days, NaiveDate, Utc};
use chrono_tz::Tz;
use posx_kernel::{Currency, Money, SiteScope, StoreError};
use sqlx::Row;
use sqlx::postgres::PgRow;

pub use self::anomalies::{AnomalyKind, AnomalyPlace, AnomalyRow};
pub use self::commissions::CommissionRow;
pub use self::leaderboard::{LeadersBy, LeadersOf, RankedRow};
pub use self::overview::OverviewRow;
pub use self::sales::SalesRow;
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// Days of a site, `until` not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: NaiveDate,
    pub until: NaiveDate,
    pub time_zone: Tz,
    pub currency: Currency,
}

/// Days that one step of a report reads.
const STEP: Days = Days::new(31);

impl Period {
    /// The part that one step reads, and what is left for the next ones.
    pub fn step(self) -> (Self, Option<Self>) {
        let end = self.from.checked_add_days(STEP).unwrap_or(self.until);
        if end >= self.until {
            return (self, None);
        }
        let (now, later) = (Self { until: end, ..self }, Self { from: end, ..self });
        (now, Some(later))
    }

    fn money(&self, row: &PgRow, column: &str) -> Result<Money, StoreError> {
        Ok(Money::from_minor(row.try_get(column).store()?, self.currency))
    }
}

/// Paid orders of `$1` to `$2`, days of the time zone `$3`, with what each of their lines is of the order: the order's total and
/// what went back of it are shared by the lines' amounts, each line getting what belongs to it and the lines before it less what
/// those got. So the lines of an order sum to the order, exactly.
macro_rules! paid_lines {
    () => {
        "with paid as (
           select o.id, o.buyer_id, (o.paid_at at time zone $3)::date as day, o.subtotal, o.discount, o.total,
             least(o.returned, o.total) as returned
           from orders o
           where o.paid_at >= $1::date::timestamp at time zone $3 and o.paid_at < $2::date::timestamp at time zone $3),
         shared as (
           select p.*, l.tier_id, l.quantity, l.tokens, l.amount,
             sum(l.amount) over (partition by p.id order by l.position) as up_to_here
           from paid p join order_lines l on l.order_id = p.id),
         lines as (
           select id, buyer_id, day, tier_id, quantity, tokens, amount,
             case when subtotal = 0 then 0 else round(total * up_to_here / subtotal)
               - round(total * (up_to_here - amount) / subtotal) end as sales,
             case when subtotal = 0 then 0 else round(returned * up_to_here / subtotal)
               - round(returned * (up_to_here - amount) / subtotal) end as returned
           from shared)"
    };
}
use paid_lines;

impl Database {
    async fn report_rows(
        &self,
        scope: &SiteScope,
        sql: &'static str,
        period: &Period,
    ) -> Result<Vec<PgRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        sqlx::query(sql)
            .bind(period.from)
            .bind(period.until)
            .bind(period.time_zone.name())
            .fetch_all(tx.connection())
            .await
            .store()
    }
}

/// The first instants of the period and behind it.
async fn instants(tx: &mut SiteTx, period: &Period) -> Result<(DateTime<Utc>, DateTime<Utc>), StoreError> {
    let row = sqlx::query("select $1::date::timestamp at time zone $3, $2::date::timestamp at time zone $3")
        .bind(period.from)
        .bind(period.until)
        .bind(period.time_zone.name())
        .fetch_one(tx.connection())
        .await
        .store()?;
    Ok((row.try_get(0).store()?, row.try_get(1).store()?))
}
