//! Accounts as of any time: an account's postings lie in one index in the order of their time.

use chrono::{DateTime, Utc};
use posx_kernel::{EntryId, Page, PageRequest, StoreError, Timestamp};
use posx_ledger::{AccountStatement, StatementLine, StatementOf, TrialBalanceRow};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// `$1`: of postings before it.
const TRIAL_BALANCE: &str = "
    select a.code as account, a.unit, a.class, coalesce(s.debit, 0)::text as debit, coalesce(s.credit, 0)::text as credit,
           coalesce(s.debit - s.credit, 0)::text as balance
    from accounts a
    left join (
      select p.account, p.unit, coalesce(sum(p.amount) filter (where p.amount > 0), 0) as debit,
             coalesce(-sum(p.amount) filter (where p.amount < 0), 0) as credit
      from postings p where p.posted_at < coalesce($1::timestamptz, 'infinity') group by p.account, p.unit) s
      on s.account = a.code and s.unit = a.unit
    order by a.unit, a.code";

/// `$1` and `$2` the account, `$3` to `$4` the time.
const HEAD: &str = "
    select a.class, before.opening::text as opening, moved.debit::text as debit, moved.credit::text as credit,
           (before.opening + moved.debit - moved.credit)::text as closing
    from accounts a,
      lateral (
        select coalesce(sum(p.amount), 0) as opening from postings p
        where p.account = $1 and p.unit = $2 and p.posted_at < coalesce($3::timestamptz, '-infinity')) before,
      lateral (
        select coalesce(sum(p.amount) filter (where p.amount > 0), 0) as debit,
               coalesce(-sum(p.amount) filter (where p.amount < 0), 0) as credit
        from postings p
        where p.account = $1 and p.unit = $2 and p.posted_at >= coalesce($3::timestamptz, '-infinity')
          and p.posted_at < coalesce($4::timestamptz, 'infinity')) moved
    where a.code = $1 and a.unit = $2";

/// As above, from the entry `$5` at `$6` on; `$7` is what the account held up to there, `$8` how many.
const LINES: &str = "
    select l.entry_id, e.kind, e.cause_id, e.cause_part, l.posted_at, l.amount::text as amount,
           ($7::numeric + sum(l.amount) over (order by l.posted_at, l.entry_id))::text as balance
    from (
      select p.posted_at, p.entry_id, sum(p.amount) as amount from postings p
      where p.account = $1 and p.unit = $2 and p.posted_at >= coalesce($3::timestamptz, '-infinity')
        and p.posted_at < coalesce($4::timestamptz, 'infinity')
        and (p.posted_at, p.entry_id) > (coalesce($6::timestamptz, $3, '-infinity'), coalesce($5::uuid, '00000000-0000-0000-0000-000000000000'))
      group by p.posted_at, p.entry_id order by p.posted_at, p.entry_id limit $8) l
    join entries e on e.id = l.entry_id
    order by l.posted_at, l.entry_id";

/// What the account `$1`, `$2` held after the entry `$3` at `$4`.
const HELD_AFTER: &str = "
    select coalesce(sum(p.amount), 0)::text from postings p
    where p.account = $1 and p.unit = $2 and (p.posted_at, p.entry_id) <= ($4::timestamptz, $3::uuid)";

pub(crate) async fn trial_balance(
    tx: &mut SiteTx,
    until: Option<Timestamp>,
) -> Result<Vec<TrialBalanceRow>, StoreError> {
    let rows = sqlx::query(TRIAL_BALANCE)
        .bind(until)
        .fetch_all(tx.connection())
        .await
        .store()?;
    rows.iter().map(trial_balance_row).collect()
}

pub(crate) fn trial_balance_row(row: &PgRow) -> Result<TrialBalanceRow, StoreError> {
    Ok(TrialBalanceRow {
        account: row.try_get("account").store()?,
        unit: row.try_get("unit").store()?,
        class: row.try_get("class").store()?,
        debit: row.try_get("debit").store()?,
        credit: row.try_get("credit").store()?,
        balance: row.try_get("balance").store()?,
    })
}

pub(super) async fn statement(
    tx: &mut SiteTx,
    of: &StatementOf,
    page: PageRequest,
) -> Result<Option<AccountStatement>, StoreError> {
    let head = sqlx::query(HEAD)
        .bind(&of.account)
        .bind(of.unit.to_string())
        .bind(of.from)
        .bind(of.until)
        .fetch_optional(tx.connection())
        .await
        .store()?;
    let Some(head) = head else { return Ok(None) };
    let opening: String = head.try_get("opening").store()?;
    let lines = lines(tx, of, page, &opening).await?;
    Ok(Some(AccountStatement {
        account: of.account.clone(),
        unit: of.unit.to_string(),
        class: head.try_get("class").store()?,
        from: of.from,
        until: of.until,
        opening,
        debit: head.try_get("debit").store()?,
        credit: head.try_get("credit").store()?,
        closing: head.try_get("closing").store()?,
        lines,
    }))
}

async fn lines(
    tx: &mut SiteTx,
    of: &StatementOf,
    page: PageRequest,
    opening: &str,
) -> Result<Page<StatementLine>, StoreError> {
    let after = match page.after_id() {
        None => None,
        Some(entry) => match held_after(tx, of, entry).await? {
            Some(after) => Some((entry, after)),
            // No cursor of this site's.
            None => return Ok(Page::from_rows(Vec::new(), page, line_id)),
        },
    };
    let (entry, (at, held)) = match after {
        Some((entry, (at, held))) => (Some(entry), (Some(at), held)),
        None => (None, (None, opening.to_owned())),
    };
    let rows = sqlx::query(LINES)
        .bind(&of.account)
        .bind(of.unit.to_string())
        .bind(of.from)
        .bind(of.until)
        .bind(entry)
        .bind(at)
        .bind(held)
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
    let lines = rows.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::from_rows(lines, page, line_id))
}

/// When the entry was posted, and what the account held after it.
async fn held_after(
    tx: &mut SiteTx,
    of: &StatementOf,
    entry: Uuid,
) -> Result<Option<(DateTime<Utc>, String)>, StoreError> {
    let row = sqlx::query("select posted_at from entries where id = $1")
        .bind(entry)
        .fetch_optional(tx.connection())
        .await
        .store()?;
    let Some(row) = row else { return Ok(None) };
    let at: DateTime<Utc> = row.try_get(0).store()?;
    let row = sqlx::query(HELD_AFTER)
        .bind(&of.account)
        .bind(of.unit.to_string())
        .bind(entry)
        .bind(at)
        .fetch_one(tx.connection())
        .await
        .store()?;
    Ok(Some((at, row.try_get(0).store()?)))
}

fn line_id(line: &StatementLine) -> Uuid {
    line.entry.as_uuid()
}

fn line(row: &PgRow) -> Result<StatementLine, StoreError> {
    Ok(StatementLine {
        entry: EntryId::from_uuid(row.try_get("entry_id").store()?),
        kind: row.try_get("kind").store()?,
        cause: row.try_get("cause_id").store()?,
        part: row.try_get("cause_part").store()?,
        posted_at: row.try_get("posted_at").store()?,
        amount: row.try_get("amount").store()?,
        balance: row.try_get("balance").store()?,
    })
}
