//! Making statements of agents' accounts.

use async_trait::async_trait;
use posx_commissions::{AccountHead, LastStatement, Month, Span, Statement, StatementRepository, Sums, Whom};
use posx_kernel::{Currency, Money, PartyId, StoreError, Timestamp};
use posx_ledger::Account;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::{count, currency};

/// `$1` the end, `$2` one agent, `$3` the agent before, `$4` how many agents.
const DUE: &str = "
    select a.code from accounts a
    where a.code like 'commission:payable:%' and a.party_id is not null
      and ($2::uuid is null or a.party_id = $2) and ($3::uuid is null or a.party_id > $3)
      and coalesce((select s.to_at from agent_statements s where s.account = a.code and s.currency = a.unit
                    order by s.number desc limit 1), '-infinity') < $1
      and exists (select from postings p where p.account = a.code and p.unit = a.unit and p.posted_at < $1)
    order by a.party_id fetch first ($4) rows with ties";

/// Of the accounts `$1`, those that have no statement up to `$2`. Read when they are locked.
const HEADS: &str = "
    select a.party_id, a.unit as currency, l.number, l.month, l.to_at, l.closing, coalesce(f.first_at, l.to_at) as first_at
    from accounts a
    left join lateral (
      select s.number, s.month, s.to_at, s.closing from agent_statements s
      where s.account = a.code and s.currency = a.unit order by s.number desc limit 1) l on true
    left join lateral (
      select min(p.posted_at) as first_at from postings p
      where l.number is null and p.account = a.code and p.unit = a.unit) f on true
    where a.code = any ($1) and (l.to_at is null or l.to_at < $2) and coalesce(f.first_at, l.to_at) < $2
    order by a.party_id, a.unit";

#[async_trait]
impl StatementRepository for SiteTx {
    async fn lock_due(
        &mut self,
        end: Timestamp,
        whom: Whom,
        limit: u16,
    ) -> Result<Vec<AccountHead>, StoreError> {
        let (one, after) = match whom {
            Whom::One(agent) => (Some(agent), None),
            Whom::After(after) => (None, after),
        };
        let rows = sqlx::query(DUE)
            .bind(end)
            .bind(one.map(PartyId::as_uuid))
            .bind(after.map(PartyId::as_uuid))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await
            .store()?;
        let codes: Vec<String> = rows
            .iter()
            .map(|row| row.try_get(0))
            .collect::<Result<_, _>>()
            .store()?;
        if codes.is_empty() {
            return Ok(Vec::new());
        }
        sqlx::query("select app.lock_payables($1)")
            .bind(&codes)
            .execute(self.connection())
            .await
            .store()?;
        let rows = sqlx::query(HEADS)
            .bind(&codes)
            .bind(end)
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(head).collect()
    }

    async fn sums(&mut self, of: &[(PartyId, Currency, Span)]) -> Result<Vec<Sums>, StoreError> {
        let rows = sqlx::query(
            "select w.currency, coalesce(-sum(m.amount) filter (where m.amount < 0), 0)::bigint as credits,
                    coalesce(sum(m.amount) filter (where m.amount > 0), 0)::bigint as debits, count(m.amount)::int as lines
             from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) with ordinality
                    as w (account, currency, from_at, to_at, place)
             left join lateral (
               select p.amount from postings p
               where p.account = w.account and p.unit = w.currency and p.posted_at >= w.from_at and p.posted_at < w.to_at) m
               on true
             group by w.place, w.currency order by w.place",
        )
        .bind(of.iter().map(|(agent, _, _)| account(*agent)).collect::<Vec<_>>())
        .bind(of.iter().map(|(_, currency, _)| currency.code()).collect::<Vec<_>>())
        .bind(of.iter().map(|(_, _, span)| span.from).collect::<Vec<_>>())
        .bind(of.iter().map(|(_, _, span)| span.to).collect::<Vec<_>>())
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(sums).collect()
    }

    async fn insert(&mut self, made: &[Statement]) -> Result<(), StoreError> {
        let numbers: Result<Vec<_>, _> = made.iter().map(|one| i32::try_from(one.number)).collect();
        let lines: Result<Vec<_>, _> = made.iter().map(|one| i32::try_from(one.lines)).collect();
        let (Ok(numbers), Ok(lines)) = (numbers, lines) else {
            return Err(StoreError::broken("a count beyond 32 bits"));
        };
        let of =
            |amount: fn(&Statement) -> Money| made.iter().map(|one| amount(one).minor()).collect::<Vec<_>>();
        sqlx::query(
            "insert into agent_statements (id, agent_id, account, currency, number, previous, month, time_zone, from_at, to_at,
                                           opening, credits, debits, closing, lines, created_at)
             select s.id, s.agent, s.account, s.currency, s.number, nullif(s.number - 1, 0), s.month, s.zone, s.from_at, s.to_at,
                    s.opening, s.credits, s.debits, s.closing, s.lines, s.at
             from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::timestamptz[],
                         $9::timestamptz[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::int[],
                         $15::timestamptz[])
                  as s (id, agent, account, currency, number, month, zone, from_at, to_at, opening, credits, debits, closing,
                        lines, at)",
        )
        .bind(made.iter().map(|one| one.id.as_uuid()).collect::<Vec<_>>())
        .bind(made.iter().map(|one| one.agent.as_uuid()).collect::<Vec<_>>())
        .bind(made.iter().map(|one| account(one.agent)).collect::<Vec<_>>())
        .bind(made.iter().map(|one| one.closing.currency().code()).collect::<Vec<_>>())
        .bind(numbers)
        .bind(made.iter().map(|one| one.month.to_string()).collect::<Vec<_>>())
        .bind(made.iter().map(|one| one.zone.name()).collect::<Vec<_>>())
        .bind(made.iter().map(|one| one.span.from).collect::<Vec<_>>())
        .bind(made.iter().map(|one| one.span.to).collect::<Vec<_>>())
        .bind(of(|one| one.opening))
        .bind(of(|one| one.credits))
        .bind(of(|one| one.debits))
        .bind(of(|one| one.closing))
        .bind(lines)
        .bind(made.iter().map(|one| one.at).collect::<Vec<_>>())
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }
}

pub(super) fn account(agent: PartyId) -> String {
    Account::CommissionPayable(agent).code()
}

fn head(row: &PgRow) -> Result<AccountHead, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let number: Option<i32> = row.try_get("number").store()?;
    let last = number.map(|number| -> Result<_, StoreError> {
        Ok(LastStatement {
            number: count(number)?,
            month: month(row)?,
            to: row.try_get("to_at").store()?,
            closing: Money::from_minor(row.try_get("closing").store()?, currency),
        })
    });
    Ok(AccountHead {
        agent: PartyId::from_uuid(row.try_get("party_id").store()?),
        currency,
        last: last.transpose()?,
        first_posted_at: row.try_get("first_at").store()?,
    })
}

pub(super) fn month(row: &PgRow) -> Result<Month, StoreError> {
    let text: &str = row.try_get("month").store()?;
    text.parse()
        .map_err(|_| StoreError::broken("a statement's month"))
}

fn sums(row: &PgRow) -> Result<Sums, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    Ok(Sums {
        credits: Money::from_minor(row.try_get("credits").store()?, currency),
        debits: Money::from_minor(row.try_get("debits").store()?, currency),
        lines: count(row.try_get("lines").store()?)?,
    })
}
