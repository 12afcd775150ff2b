//! The past of a period, read by pages in one read-only transaction that sees one state.

use std::collections::HashMap;

use async_trait::async_trait;
use posx_commissions::{
    AgentTerms, Past, PastOrder, PastParty, Period, SalesMoved, Stored, Suspension, Terms, Wants,
};
use posx_kernel::{PartyId, StoreError, Timestamp};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{lines, money, unsigned};
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

const PAGE: i64 = 5_000;

/// What counts as sales of an order. As `sales_of` has it.
macro_rules! sold {
    () => {
        "(case when o.payment = 'refunded' then 0 else o.total - least(o.returned, o.total) end)"
    };
}

pub(super) struct PgPast {
    tx: SiteTx,
    period: Period,
    wants: Wants,
    /// Of the last order that was read.
    after: Option<(Timestamp, Uuid)>,
}

impl PgPast {
    pub const fn new(tx: SiteTx, period: Period, wants: Wants) -> Self {
        Self {
            tx,
            period,
            wants,
            after: None,
        }
    }
}

/// `$1` and `$2` the period, `$3` and `$4` behind which order, `$5` how many, `$6` how far up, `$7` whether lines are wanted.
const ORDERS: &str = concat!(
    "select o.id, o.buyer_id, o.currency, o.total, ",
    sold!(),
    " as sold, o.paid_at, date_trunc('month', o.paid_at at time zone s.time_zone)::date as month,
       case when $7 then array(select l.tier_id from order_lines l where l.order_id = o.id order by l.position)
            else '{}' end as tiers,
       case when $7 then array(select l.amount from order_lines l where l.order_id = o.id order by l.position)
            else '{}' end as amounts,
       array(select p.ancestor_id from referral_paths p
             where p.descendant_id = o.buyer_id and p.depth <= $6 and p.since <= o.paid_at
               and (p.until is null or p.until > o.paid_at) order by p.depth) as above
     from orders o cross join app.site(app.current_site_id()) s
     where o.paid_at >= $1 and o.paid_at < $2 and o.lifecycle in ('confirmed', 'fulfilled')
       and ($3::timestamptz is null or (o.paid_at, o.id) > ($3, $4))
     order by o.paid_at, o.id limit $5"
);

/// `$1` the agents, `$2` before when: what those directly below them at that time had paid.
const SALES: &str = concat!(
    "select p.ancestor_id as party_id, o.currency, sum(",
    sold!(),
    ")::bigint as amount
     from referral_paths p join orders o on o.site_id = p.site_id and o.buyer_id = p.descendant_id
     where p.ancestor_id = any ($1) and p.depth = 1 and p.since <= $2 and (p.until is null or p.until > $2)
       and o.lifecycle in ('confirmed', 'fulfilled') and o.paid_at < $2
     group by 1, 2"
);

/// `$1` and `$2` the period: who had bought before and came to somebody, or left them.
const MOVED: &str = concat!(
    "select m.at, m.ancestor_id as party_id, o.currency, sum(m.sign * ",
    sold!(),
    ")::bigint as amount
     from (select p.since as at, 1 as sign, p.ancestor_id, p.descendant_id from referral_paths p
           where p.depth = 1 and p.since > $1 and p.since < $2
           union all
           select p.until, -1, p.ancestor_id, p.descendant_id from referral_paths p
           where p.depth = 1 and p.until > $1 and p.until < $2) m
     join orders o on o.buyer_id = m.descendant_id and o.paid_at < m.at
     where o.lifecycle in ('confirmed', 'fulfilled')
     group by 1, 2, 3 order by 1"
);

/// `$1` the agents, `$2` the beginning: of orders that were paid before it in its month.
const EARNED: &str = "select c.agent_id as party_id, c.currency, c.month, sum(c.amount)::bigint as amount
     from commissions c join orders o on o.site_id = c.site_id and o.id = c.order_id
     cross join app.site(app.current_site_id()) s
     where c.agent_id = any ($1) and c.month = date_trunc('month', $2 at time zone s.time_zone)::date and o.paid_at < $2
     group by 1, 2, 3";

#[async_trait]
impl Past for PgPast {
    async fn orders(&mut self) -> Result<Vec<PastOrder>, StoreError> {
        let rows = sqlx::query(ORDERS)
            .bind(self.period.from)
            .bind(self.period.until)
            .bind(self.after.map(|(paid_at, _)| paid_at))
            .bind(self.after.map(|(_, id)| id))
            .bind(PAGE)
            .bind(i32::from(self.wants.depth))
            .bind(self.wants.lines)
            .fetch_all(self.tx.connection())
            .await
            .store()?;
        if let Some(last) = rows.last() {
            self.after = Some((last.try_get("paid_at").store()?, last.try_get("id").store()?));
        }
        rows.iter().map(order).collect()
    }

    async fn parties(&mut self, parties: &[PartyId]) -> Result<Vec<PastParty>, StoreError> {
        let ids: Vec<_> = parties.iter().map(|party| party.as_uuid()).collect();
        let mut sales = HashMap::new();
        if self.wants.sales {
            let rows = self.before(SALES, &ids).await?;
            sales = by_party(&rows, |row| money(row, "amount"))?;
        }
        let mut earned = HashMap::new();
        if self.wants.months {
            let rows = self.before(EARNED, &ids).await?;
            let month = |row: &PgRow| row.try_get("month").store();
            earned = by_party(&rows, |row| Ok((month(row)?, money(row, "amount")?)))?;
        }
        let mut terms = self.terms(&ids).await?;
        let mut suspensions = self.suspensions(&ids).await?;
        let known = |party: &PartyId| PastParty {
            sales: sales.remove(party).unwrap_or_default(),
            earned: earned.remove(party).unwrap_or_default(),
            terms: terms.remove(party).unwrap_or_default(),
            suspensions: suspensions.remove(party).unwrap_or_default(),
        };
        Ok(parties.iter().map(known).collect())
    }

    async fn moved(&mut self) -> Result<Vec<SalesMoved>, StoreError> {
        let rows = sqlx::query(MOVED)
            .bind(self.period.from)
            .bind(self.period.until)
            .fetch_all(self.tx.connection())
            .await
            .store()?;
        let moved = |row: &PgRow| -> Result<_, StoreError> {
            Ok(SalesMoved {
                at: row.try_get("at").store()?,
                agent: party(row)?,
                sales: money(row, "amount")?,
            })
        };
        rows.iter().map(moved).collect()
    }

    async fn stored(&mut self) -> Result<Vec<Stored>, StoreError> {
        let rows = sqlx::query(
            "select c.agent_id as party_id, c.currency, sum(c.amount)::bigint as amount, count(*) as shares
             from orders o join commissions c on c.site_id = o.site_id and c.order_id = o.id
             where o.paid_at >= $1 and o.paid_at < $2 and o.lifecycle in ('confirmed', 'fulfilled')
             group by 1, 2",
        )
        .bind(self.period.from)
        .bind(self.period.until)
        .fetch_all(self.tx.connection())
        .await
        .store()?;
        let stored = |row: &PgRow| -> Result<_, StoreError> {
            Ok(Stored {
                agent: party(row)?,
                amount: money(row, "amount")?,
                shares: row.try_get::<i64, _>("shares").store()?.unsigned_abs(),
            })
        };
        rows.iter().map(stored).collect()
    }
}

impl PgPast {
    /// Of each party, before the period.
    async fn before(&mut self, sql: &'static str, parties: &[Uuid]) -> Result<Vec<PgRow>, StoreError> {
        sqlx::query(sql)
            .bind(parties)
            .bind(self.period.from)
            .fetch_all(self.tx.connection())
            .await
            .store()
    }

    async fn terms(&mut self, parties: &[Uuid]) -> Result<HashMap<PartyId, Vec<AgentTerms>>, StoreError> {
        let rows = sqlx::query(
            "select agent_id as party_id, number, effective_from, terms, recorded_at from agent_terms
             where agent_id = any ($1) and effective_from < $2",
        )
        .bind(parties)
        .bind(self.period.until)
        .fetch_all(self.tx.connection())
        .await
        .store()?;
        by_party(&rows, |row| {
            Ok(AgentTerms {
                agent: party(row)?,
                number: unsigned(row, "number")?,
                effective_from: row.try_get("effective_from").store()?,
                terms: row.try_get::<Json<Terms>, _>("terms").store()?.0,
                recorded_at: row.try_get("recorded_at").store()?,
            })
        })
    }

    async fn suspensions(
        &mut self,
        parties: &[Uuid],
    ) -> Result<HashMap<PartyId, Vec<Suspension>>, StoreError> {
        let rows = sqlx::query(
            "select agent_id as party_id, since, until from agent_suspensions where agent_id = any ($1)",
        )
        .bind(parties)
        .fetch_all(self.tx.connection())
        .await
        .store()?;
        by_party(&rows, |row| {
            Ok(Suspension {
                since: row.try_get("since").store()?,
                until: row.try_get("until").store()?,
            })
        })
    }
}

fn by_party<T>(
    rows: &[PgRow],
    read: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<HashMap<PartyId, Vec<T>>, StoreError> {
    let mut all: HashMap<_, Vec<T>> = HashMap::new();
    for row in rows {
        all.entry(party(row)?).or_default().push(read(row)?);
    }
    Ok(all)
}

fn party(row: &PgRow) -> Result<PartyId, StoreError> {
    Ok(PartyId::from_uuid(row.try_get("party_id").store()?))
}

fn order(row: &PgRow) -> Result<PastOrder, StoreError> {
    let above: Vec<Uuid> = row.try_get("above").store()?;
    Ok(PastOrder {
        buyer: PartyId::from_uuid(row.try_get("buyer_id").store()?),
        total: money(row, "total")?,
        sold: money(row, "sold")?,
        lines: lines(row)?,
        paid_at: row.try_get("paid_at").store()?,
        month: row.try_get("month").store()?,
        above: above.into_iter().map(PartyId::from_uuid).collect(),
    })
}
