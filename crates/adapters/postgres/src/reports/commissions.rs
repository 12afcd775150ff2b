//! Commissions against the books.

use posx_kernel::{Money, SiteScope, StoreError};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::tiers::currency;

/// All commissions of one state and level, and what the books have of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CommissionRow {
    pub state: String,
    pub level: i16,
    pub commissions: i64,
    pub amount: Money,
    /// What was taken back of it.
    pub reversed: Money,
    /// What is left of it.
    pub left: Money,
    /// What the entries of these commissions and of their adjustments sum to, on agents' accounts.
    pub booked: Money,
    /// Zero, or something is wrong.
    pub difference: Money,
}

const BY_STATE_AND_LEVEL: &str = "with causes as (
       select c.id, c.id as cause from commissions c
       union all select a.commission_id, a.id from commission_adjustments a),
     booked as (
       select k.id, -sum(p.amount) as booked
       from causes k join entries e on e.cause_id = k.cause and e.kind like 'commission.%'
       join postings p on p.entry_id = e.id and p.account like 'commission:payable:%'
       group by k.id)
     select c.state, c.level, c.currency, count(*) as commissions, sum(c.amount)::bigint as amount,
       sum(c.reversed)::bigint as reversed, coalesce(sum(b.booked), 0)::bigint as booked
     from commissions c left join booked b on b.id = c.id
     group by c.state, c.level, c.currency order by c.currency, c.state, c.level";

impl Database {
    pub async fn commissions_by_state_and_level(
        &self,
        scope: &SiteScope,
    ) -> Result<Vec<CommissionRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(BY_STATE_AND_LEVEL)
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(commissions_of).collect()
    }
}

fn commissions_of(row: &PgRow) -> Result<CommissionRow, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let money = |column: &str| Ok::<_, StoreError>(Money::from_minor(row.try_get(column).store()?, currency));
    let less = |one: Money, other| {
        one.checked_sub(other)
            .map_err(|_| StoreError::broken("a sum of shares"))
    };
    let (amount, reversed, booked) = (money("amount")?, money("reversed")?, money("booked")?);
    let left = less(amount, reversed)?;
    Ok(CommissionRow {
        state: row.try_get("state").store()?,
        level: row.try_get("level").store()?,
        commissions: row.try_get("commissions").store()?,
        amount,
        reversed,
        left,
        booked,
        difference: less(left, booked)?,
    })
}
