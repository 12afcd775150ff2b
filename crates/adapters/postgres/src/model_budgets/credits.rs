//! Credits: held and burnt under the lock of the site's month.

use posx_assistant::{BudgetKey, BudgetScope, Micros, Portion, Reservation, pay, take};
use posx_kernel::{CreditId, Event, StoreError};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::ending::Ended;
use super::{counters, read, stored};
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

fn portion(row: &PgRow) -> Result<Portion, StoreError> {
    let id: Uuid = row.try_get("id").store()?;
    Ok(Portion {
        credit: CreditId::from_uuid(id),
        amount: read(row, "amount")?,
    })
}

/// What the month has no room for is held on credits: by expiry, then by age. `Err` says how much there is of both.
pub(super) async fn hold_in_tx(
    tx: &mut SiteTx,
    wish: &Reservation,
    month: &BudgetKey,
    limit: Micros,
) -> Result<Result<(), Micros>, StoreError> {
    let counter = counters::lock_in_tx(tx, month, limit).await?;
    let room = counter.left_of(limit).min(wish.worst_case);
    let rows = sqlx::query(
        "select id, amount - spent - reserved as amount from model_credits
         where (expires_at is null or expires_at > $1) and reserved < amount - spent
         order by expires_at nulls last, created_at, id for update",
    )
    .bind(wish.made_at)
    .fetch_all(tx.connection())
    .await
    .store()?;
    let there = rows.iter().map(portion).collect::<Result<Vec<_>, _>>()?;
    // Into nothing fits nothing, free or not.
    if limit == Micros::ZERO && there.is_empty() {
        return Ok(Err(Micros::ZERO));
    }
    let taken = match take(wish.worst_case.saturating_sub(room), &there) {
        Ok(taken) => taken,
        Err(there) => return Ok(Err(room.saturating_add(there))),
    };
    let (ids, amounts) = columns(&taken);
    sqlx::query(
        "with taken as (select * from unnest($2::uuid[], $3::bigint[]) as t (credit_id, held)),
           noted as (insert into model_credit_holds (call_id, credit_id, held) select $1, credit_id, held from taken),
           split as (update model_calls set month_held = $4 where id = $1)
         update model_credits c set reserved = c.reserved + t.held from taken t where c.id = t.credit_id",
    )
    .bind(wish.call.as_uuid())
    .bind(ids)
    .bind(amounts)
    .bind(stored(room))
    .execute(tx.connection())
    .await
    .store()?;
    counters::add_held_in_tx(tx, month, room).await?;
    Ok(Ok(()))
}

/// Of a call that held credits: the month pays as far as it has room now, the credits the rest.
pub(super) async fn end_in_tx(
    tx: &mut SiteTx,
    ended: &Ended,
) -> Result<Vec<(BudgetScope, Event)>, StoreError> {
    let (Some(month), Some(limit)) = (ended.keys.last(), ended.limits.last()) else {
        return Err(StoreError::broken("a call without budgets"));
    };
    let last = ended.keys.len() - 1;
    let mut warned = counters::end_in_tx(tx, ended, 0..last, ended.worst_case, ended.cost).await?;
    let counter = counters::lock_in_tx(tx, month, *limit).await?;
    let room = ended.month_held.saturating_add(counter.left_of(*limit));
    let rows = sqlx::query(
        "select h.credit_id as id, h.held as amount from model_credit_holds h join model_credits c on c.id = h.credit_id
         where h.call_id = $1 and h.paid is null order by c.expires_at nulls last, c.created_at, c.id for update",
    )
    .bind(ended.call.as_uuid())
    .fetch_all(tx.connection())
    .await
    .store()?;
    let held = rows.iter().map(portion).collect::<Result<Vec<_>, _>>()?;
    let (from_month, paid) = pay(ended.cost, room, &held);
    let (ids, amounts) = columns(&paid);
    sqlx::query(
        "with paid as (select * from unnest($2::uuid[], $3::bigint[]) as p (credit_id, paid)),
           closed as (
             update model_credit_holds h
             set paid = coalesce((select p.paid from paid p where p.credit_id = h.credit_id), 0)
             where h.call_id = $1 and h.paid is null
             returning h.credit_id, h.held, h.paid)
         update model_credits c set reserved = c.reserved - h.held, spent = c.spent + h.paid
         from closed h where c.id = h.credit_id",
    )
    .bind(ended.call.as_uuid())
    .bind(ids)
    .bind(amounts)
    .execute(tx.connection())
    .await
    .store()?;
    let of_month = counters::end_in_tx(tx, ended, last..last + 1, ended.month_held, from_month).await?;
    warned.extend(of_month);
    Ok(warned)
}

fn columns(portions: &[Portion]) -> (Vec<Uuid>, Vec<i64>) {
    let column = |portion: &Portion| (portion.credit.as_uuid(), stored(portion.amount));
    portions.iter().map(column).unzip()
}
