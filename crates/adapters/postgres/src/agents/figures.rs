//! Figures: exact sums, counted where the rows are.

use chrono::{DateTime, NaiveDate, Utc};
use posx_commissions::{
    AgentFigures, Balance, Board, CommissionState, CommissionSum, CustomerView, LeaderRow, Metric,
    MonthFigures, Span, TeamSales,
};
use posx_kernel::{Money, PageRequest, PartyId, StoreError};
use posx_ledger::Account;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::{count, currency};

/// What of an order `o` counts as sold: nothing of one that went back whole.
macro_rules! sold {
    () => {
        "greatest(o.total - o.returned, 0)"
    };
}

/// Orders `o` that are sales.
macro_rules! is_sale {
    () => {
        "o.lifecycle in ('confirmed', 'fulfilled') and o.payment <> 'refunded' and o.paid_at is not null"
    };
}

/// The path `t` stood when `o` was paid.
macro_rules! at_its_time {
    () => {
        "t.descendant_id = o.buyer_id and t.since <= o.paid_at and (t.until is null or o.paid_at < t.until)"
    };
}

pub(super) fn many(row: &PgRow, column: &str) -> Result<u64, StoreError> {
    let stored: i64 = row.try_get(column).store()?;
    u64::try_from(stored).map_err(|_| StoreError::broken("a negative count"))
}

fn money(row: &PgRow, column: &str) -> Result<Money, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    Ok(Money::from_minor(row.try_get(column).store()?, currency))
}

pub(super) async fn customers(
    tx: &mut SiteTx,
    id: PartyId,
    page: PageRequest,
) -> Result<Vec<CustomerView>, StoreError> {
    let rows = sqlx::query(
        "select descendant_id, since from referral_paths
         where ancestor_id = $1 and depth = 1 and until is null and ($2::uuid is null or descendant_id < $2)
         order by descendant_id desc limit $3",
    )
    .bind(id.as_uuid())
    .bind(page.after_id())
    .bind(i64::from(page.limit()) + 1)
    .fetch_all(tx.connection())
    .await
    .store()?;
    let mut customers = Vec::with_capacity(rows.len());
    for row in &rows {
        customers.push(CustomerView {
            party: PartyId::from_uuid(row.try_get("descendant_id").store()?),
            since: row.try_get("since").store()?,
            orders: 0,
            sales: Vec::new(),
            last_order_at: None,
        });
    }
    let bought = sqlx::query(concat!(
        "select o.buyer_id, o.currency, count(*) as orders, sum(",
        sold!(),
        ")::bigint as sales, max(o.paid_at) as last_at
         from unnest($1::uuid[], $2::timestamptz[]) as w (buyer, since)
         join orders o on o.buyer_id = w.buyer and o.paid_at >= w.since and ",
        is_sale!(),
        "
         group by o.buyer_id, o.currency order by o.currency"
    ))
    .bind(
        customers
            .iter()
            .map(|customer| customer.party.as_uuid())
            .collect::<Vec<_>>(),
    )
    .bind(
        customers
            .iter()
            .map(|customer| customer.since)
            .collect::<Vec<_>>(),
    )
    .fetch_all(tx.connection())
    .await
    .store()?;
    for row in &bought {
        let buyer = PartyId::from_uuid(row.try_get("buyer_id").store()?);
        let Some(customer) = customers.iter_mut().find(|customer| customer.party == buyer) else {
            continue;
        };
        customer.orders += many(row, "orders")?;
        customer.sales.push(money(row, "sales")?);
        customer.last_order_at = customer.last_order_at.max(row.try_get("last_at").store()?);
    }
    Ok(customers)
}

pub(super) async fn figures(
    tx: &mut SiteTx,
    id: PartyId,
    month: Span,
    first_day: NaiveDate,
) -> Result<AgentFigures, StoreError> {
    let row = sqlx::query(
        "select count(*) filter (where depth = 1) as direct, count(*) as total,
                count(*) filter (where depth = 1 and since >= $2 and since < $3) as new
         from referral_paths where ancestor_id = $1 and until is null",
    )
    .bind(id.as_uuid())
    .bind(month.from)
    .bind(month.to)
    .fetch_one(tx.connection())
    .await
    .store()?;
    let (sales, last_order_at) = team_sales(tx, id, None).await?;
    let (month_sales, _) = team_sales(tx, id, Some(month)).await?;
    Ok(AgentFigures {
        direct_customers: many(&row, "direct")?,
        total_customers: many(&row, "total")?,
        sales,
        commissions: commissions(tx, id).await?,
        balances: balances(tx, id).await?,
        last_order_at,
        month: MonthFigures {
            first_day,
            new_customers: many(&row, "new")?,
            sales: month_sales,
            earned: earned(tx, id, month).await?,
        },
    })
}

async fn team_sales(
    tx: &mut SiteTx,
    id: PartyId,
    span: Option<Span>,
) -> Result<(Vec<TeamSales>, Option<DateTime<Utc>>), StoreError> {
    let rows = sqlx::query(concat!(
        "select o.currency, coalesce(sum(",
        sold!(),
        ") filter (where t.depth = 1), 0)::bigint as direct,
                sum(",
        sold!(),
        ")::bigint as team, count(*) as orders, max(o.paid_at) as last_at
         from referral_paths t join orders o on ",
        at_its_time!(),
        "
         where t.ancestor_id = $1 and ",
        is_sale!(),
        "
           and ($2::timestamptz is null or o.paid_at >= $2) and ($3::timestamptz is null or o.paid_at < $3)
         group by o.currency order by o.currency"
    ))
    .bind(id.as_uuid())
    .bind(span.map(|span| span.from))
    .bind(span.map(|span| span.to))
    .fetch_all(tx.connection())
    .await
    .store()?;
    let mut last = None;
    let mut sales = Vec::with_capacity(rows.len());
    for row in &rows {
        last = last.max(row.try_get("last_at").store()?);
        sales.push(TeamSales {
            direct: money(row, "direct")?,
            team: money(row, "team")?,
            orders: many(row, "orders")?,
        });
    }
    Ok((sales, last))
}

async fn commissions(tx: &mut SiteTx, id: PartyId) -> Result<Vec<CommissionSum>, StoreError> {
    let rows = sqlx::query(
        "select currency, state, count(*) as count, sum(amount)::bigint as amount, sum(amount - reversed)::bigint as remaining
         from commissions where agent_id = $1 group by currency, state order by currency, state",
    )
    .bind(id.as_uuid())
    .fetch_all(tx.connection())
    .await
    .store()?;
    let sum = |row: &PgRow| -> Result<_, StoreError> {
        let state: &str = row.try_get("state").store()?;
        Ok(CommissionSum {
            state: CommissionState::from_name(state)
                .ok_or_else(|| StoreError::broken("a commission's state"))?,
            count: many(row, "count")?,
            amount: money(row, "amount")?,
            left: money(row, "remaining")?,
        })
    };
    rows.iter().map(sum).collect()
}

async fn balances(tx: &mut SiteTx, id: PartyId) -> Result<Vec<Balance>, StoreError> {
    let rows = sqlx::query(
        "select b.currency, b.balance, b.held_back, b.balance - b.held_back as available,
                coalesce((select -sum(p.amount) from postings p where p.account = $2 and p.unit = b.currency), 0)::bigint
                  as pending
         from app.agent_balances(array[$1]::uuid[]) b order by b.currency",
    )
    .bind(id.as_uuid())
    .bind(Account::PayoutsPending(id).code())
    .fetch_all(tx.connection())
    .await
    .store()?;
    let balance = |row: &PgRow| -> Result<_, StoreError> {
        Ok(Balance {
            balance: money(row, "balance")?,
            held_back: money(row, "held_back")?,
            available: money(row, "available")?,
            pending: money(row, "pending")?,
        })
    };
    rows.iter().map(balance).collect()
}

async fn earned(tx: &mut SiteTx, id: PartyId, span: Span) -> Result<Vec<Money>, StoreError> {
    let rows = sqlx::query(
        "select currency, sum(amount - reversed)::bigint as earned from commissions
         where agent_id = $1 and created_at >= $2 and created_at < $3 group by currency order by currency",
    )
    .bind(id.as_uuid())
    .bind(span.from)
    .bind(span.to)
    .fetch_all(tx.connection())
    .await
    .store()?;
    rows.iter().map(|row| money(row, "earned")).collect()
}

/// Each gives (agent, amount, count) by `$1` to `$2` in the currency `$3`.
const fn scores(metric: Metric) -> &'static str {
    match metric {
        Metric::Sales => concat!(
            "select t.ancestor_id as agent, sum(", sold!(), ")::bigint as amount, count(*) as count
             from orders o join referral_paths t on t.depth = 1 and ", at_its_time!(), "
             where o.paid_at >= $1 and o.paid_at < $2 and o.currency = $3 and ", is_sale!(), "
             group by t.ancestor_id having sum(", sold!(), ") > 0"
        ),
        Metric::Commissions => {
            "select agent_id as agent, sum(amount - reversed)::bigint as amount, count(*) as count from commissions
             where created_at >= $1 and created_at < $2 and currency = $3
             group by agent_id having sum(amount - reversed) > 0"
        }
        Metric::Customers => {
            "select ancestor_id as agent, count(*) as amount, count(*) as count from referral_paths
             where depth = 1 and since >= $1 and since < $2 and until is null and $3::text is not null group by ancestor_id"
        }
    }
}

pub(super) async fn leaderboard(tx: &mut SiteTx, board: Board) -> Result<Vec<LeaderRow>, StoreError> {
    let sql = format!(
        "with scores as ({})
         select r.*, $3::text as currency, p.referral_code, a.display_name
         from (select s.*, rank() over (order by s.amount desc)::int as rank from scores s
               order by s.amount desc, s.agent limit $4) r
         join parties p on p.id = r.agent left join agents a on a.party_id = r.agent order by r.rank, r.agent",
        scores(board.metric)
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(board.span.from)
        .bind(board.span.to)
        .bind(board.currency.code())
        .bind(i64::from(board.limit))
        .fetch_all(tx.connection())
        .await
        .store()?;
    let leader = |row: &PgRow| -> Result<_, StoreError> {
        let amount = match board.metric {
            Metric::Customers => None,
            Metric::Sales | Metric::Commissions => Some(money(row, "amount")?),
        };
        Ok(LeaderRow {
            rank: count(row.try_get("rank").store()?)?,
            agent: PartyId::from_uuid(row.try_get("agent").store()?),
            referral_code: row.try_get("referral_code").store()?,
            display_name: row.try_get("display_name").store()?,
            amount,
            count: many(row, "count")?,
        })
    };
    rows.iter().map(leader).collect()
}
