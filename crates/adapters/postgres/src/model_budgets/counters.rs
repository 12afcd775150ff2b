//! The guarded counters.

use std::ops::Range;

use posx_assistant::{BudgetKey, BudgetScope, Counter, Micros, budget_warned};
use posx_kernel::{Event, StoreError};
use sqlx::Row;

use super::ending::Ended;
use super::{Query, read, stored};
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// `$1` to `$4`: the keys, part by part.
fn bind_keys<'q>(query: Query<'q>, keys: &[BudgetKey]) -> Query<'q> {
    query
        .bind(keys.iter().map(|key| key.scope.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.subject.to_string()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.period.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.starts_on).collect::<Vec<_>>())
}

/// All budgets of the call in one guarded statement, each row locked in the order of the keys. A row that is not there yet is
/// made; one that has no room for it is locked and left as it is. What is too large to count fits nowhere, and into zero fits nothing,
/// free or not. Answers with the positions of those.
const HOLD: &str = "with wished as (
       select * from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::bigint[]) with ordinality
         as w (scope, subject, period, starts_on, limit_micros, position)),
     held as (
       insert into model_counters as c (scope, subject, period, starts_on, limit_micros, reserved)
       select w.scope, w.subject, w.period, w.starts_on, w.limit_micros, $6::bigint from wished w
       where w.limit_micros >= $6 and w.limit_micros > 0 and $6 < 9223372036854775807 order by w.position
       on conflict (site_id, scope, subject, period, starts_on) do update
         set reserved = c.reserved + excluded.reserved, limit_micros = excluded.limit_micros
         where excluded.reserved <= excluded.limit_micros - c.reserved - c.spent
       returning c.scope, c.subject, c.period)
     select w.position from wished w
     where not exists (select from held h where (h.scope, h.subject, h.period) = (w.scope, w.subject, w.period))
     order by w.position";

/// Which of the budgets, by their positions, cannot hold so much: then the transaction is to be dropped, or those are to be
/// held otherwise.
pub(super) async fn hold_in_tx(
    tx: &mut SiteTx,
    keys: &[BudgetKey],
    limits: &[Micros],
    worst_case: Micros,
) -> Result<Vec<usize>, StoreError> {
    let rows = bind_keys(sqlx::query(HOLD), keys)
        .bind(limits.iter().copied().map(stored).collect::<Vec<_>>())
        .bind(stored(worst_case))
        .fetch_all(tx.connection())
        .await
        .store()?;
    let position = |row: &sqlx::postgres::PgRow| {
        let position: i64 = row.try_get(0).store()?;
        usize::try_from(position - 1).map_err(|_| StoreError::broken("a position"))
    };
    rows.iter().map(position).collect()
}

/// Of a budget that refused; what the transaction itself holds of it is nothing.
pub(super) async fn left_in_tx(
    tx: &mut SiteTx,
    key: &BudgetKey,
    limit: Micros,
) -> Result<Micros, StoreError> {
    let query = sqlx::query(
        "select reserved, spent from model_counters
         where scope = any ($1) and subject = any ($2) and period = any ($3) and starts_on = any ($4)",
    );
    let row = bind_keys(query, std::slice::from_ref(key)).fetch_optional(tx.connection());
    Ok(match row.await.store()? {
        Some(row) => Counter {
            reserved: read(&row, "reserved")?,
            spent: read(&row, "spent")?,
        }
        .left_of(limit),
        None => limit,
    })
}

/// The rows are there, and locked in the order of the keys. Whoever brings a counter to four fifths of the limit that is in force is
/// noted in it, once; who was noted under a limit that was lower is noted no more, unless it was lower because another pays.
const END: &str = "insert into model_counters as c (scope, subject, period, starts_on, limit_micros, reserved, spent)
     select w.scope, w.subject, w.period, w.starts_on, w.limit_micros, $6::bigint, $7::bigint
     from unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::bigint[]) with ordinality
       as w (scope, subject, period, starts_on, limit_micros, position)
     order by w.position
     on conflict (site_id, scope, subject, period, starts_on) do update
       set reserved = c.reserved - excluded.reserved, spent = c.spent + excluded.spent, limit_micros = excluded.limit_micros,
         warned_by = case
           when excluded.limit_micros = $8 or (c.spent + excluded.spent)::numeric * 5 < excluded.limit_micros::numeric * 4
             then case when not $10 then c.warned_by end
           when c.warned_by is not null and c.spent::numeric * 5 >= excluded.limit_micros::numeric * 4 then c.warned_by
           when excluded.spent > 0 then $9::uuid end
     returning c.scope, c.period, c.spent, c.limit_micros, coalesce(c.warned_by = $9, false) as warned";

/// Gives `back` what was held on each of these keys and counts the `cost`. Answers with the warnings that are due.
pub(super) async fn end_in_tx(
    tx: &mut SiteTx,
    ended: &Ended,
    of: Range<usize>,
    back: Micros,
    cost: Micros,
) -> Result<Vec<(BudgetScope, Event)>, StoreError> {
    let (keys, limits) = (&ended.keys[of.clone()], &ended.limits[of]);
    let rows = bind_keys(sqlx::query(END), keys)
        .bind(limits.iter().copied().map(stored).collect::<Vec<_>>())
        .bind(stored(back))
        .bind(stored(cost))
        .bind(stored(Micros::MAX))
        .bind(ended.call.as_uuid())
        .bind(ended.operator_pays)
        .fetch_all(tx.connection())
        .await
        .store()?;
    let mut warned = Vec::new();
    for row in rows {
        if !row.try_get::<bool, _>("warned").store()? {
            continue;
        }
        let (scope, period): (String, String) =
            (row.try_get("scope").store()?, row.try_get("period").store()?);
        let mut of_call = keys.iter();
        let key = of_call
            .find(|key| (key.scope.as_str(), key.period.as_str()) == (&*scope, &*period))
            .ok_or_else(|| StoreError::broken("a budget"))?;
        let (spent, limit) = (read(&row, "spent")?, read(&row, "limit_micros")?);
        warned.push((key.scope, budget_warned(key, spent, limit, ended.call, ended.at)));
    }
    Ok(warned)
}

/// Locks the counter, made if need be, and says what is in it.
pub(super) async fn lock_in_tx(
    tx: &mut SiteTx,
    key: &BudgetKey,
    limit: Micros,
) -> Result<Counter, StoreError> {
    let query = sqlx::query(
        "insert into model_counters as c (scope, subject, period, starts_on, limit_micros)
         select w.scope, w.subject, w.period, w.starts_on, $5
         from unnest($1::text[], $2::text[], $3::text[], $4::date[]) as w (scope, subject, period, starts_on)
         on conflict (site_id, scope, subject, period, starts_on) do update set limit_micros = $5
         returning reserved, spent",
    );
    let row = bind_keys(query, std::slice::from_ref(key))
        .bind(stored(limit))
        .fetch_one(tx.connection())
        .await
        .store()?;
    Ok(Counter {
        reserved: read(&row, "reserved")?,
        spent: read(&row, "spent")?,
    })
}

/// Holds so much on a counter that is locked.
pub(super) async fn add_held_in_tx(tx: &mut SiteTx, key: &BudgetKey, held: Micros) -> Result<(), StoreError> {
    let query = sqlx::query(
        "update model_counters set reserved = reserved + $5
         where scope = any ($1) and subject = any ($2) and period = any ($3) and starts_on = any ($4)",
    );
    bind_keys(query, std::slice::from_ref(key))
        .bind(stored(held))
        .execute(tx.connection())
        .await
        .store()?;
    Ok(())
}
