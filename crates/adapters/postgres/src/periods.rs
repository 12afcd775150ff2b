//! Closed periods of the books.

use async_trait::async_trait;
use posx_kernel::{Begin, IdentityId, Outbox, Page, PageRequest, PeriodId, SiteScope, StoreError, Timestamp};
use posx_ledger::{BooksTx, Period, PeriodQueries, PeriodRepository, PeriodView, Reopened, TrialBalanceRow};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::ledger::{trial_balance, trial_balance_row};
use crate::site_tx::SiteTx;
use crate::tiers::{count, stored_count};

const PERIOD: &str =
    "select id, number, from_at, until_at, hash, previous_hash, closed_by, closed_at, reopened_by, reopened_at, reopened_because
     from ledger_periods where true";

/// Of the period `$1`.
const BALANCES: &str =
    "select b.account, b.unit, a.class, b.debit::text as debit, b.credit::text as credit, (b.debit - b.credit)::text as balance
     from ledger_period_balances b join accounts a on a.site_id = b.site_id and a.code = b.account and a.unit = b.unit
     where b.period_id = $1 order by b.unit, b.account";

#[async_trait]
impl Begin<dyn BooksTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn BooksTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl BooksTx for SiteTx {
    fn periods(&mut self) -> &mut dyn PeriodRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl PeriodRepository for SiteTx {
    async fn lock_last(&mut self) -> Result<Option<Period>, StoreError> {
        sqlx::query("select app.lock_periods(app.current_site_id())")
            .execute(self.connection())
            .await
            .store()?;
        let text = format!("{PERIOD} and reopened_at is null order by number desc limit 1");
        let row = sqlx::query(AssertSqlSafe(text))
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(period).transpose()
    }

    async fn find(&mut self, id: PeriodId) -> Result<Option<Period>, StoreError> {
        let row = sqlx::query(AssertSqlSafe(format!("{PERIOD} and id = $1")))
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(period).transpose()
    }

    async fn balances(&mut self, until: Timestamp) -> Result<Vec<TrialBalanceRow>, StoreError> {
        balances_before(self, until).await
    }

    async fn insert(&mut self, period: &Period, balances: &[TrialBalanceRow]) -> Result<(), StoreError> {
        sqlx::query(
            "insert into ledger_periods (id, number, from_at, until_at, hash, previous_hash, closed_by, closed_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(period.id.as_uuid())
        .bind(stored_count(period.number))
        .bind(period.from)
        .bind(period.until)
        .bind(period.hash.as_slice())
        .bind(period.previous_hash.as_ref().map(<[u8; 32]>::as_slice))
        .bind(period.closed_by.as_uuid())
        .bind(period.closed_at)
        .execute(self.connection())
        .await
        .store()?;
        let column = |of: fn(&TrialBalanceRow) -> &String| balances.iter().map(of).collect::<Vec<_>>();
        sqlx::query(
            "insert into ledger_period_balances (period_id, account, unit, debit, credit)
             select $1, b.account, b.unit, b.debit::numeric, b.credit::numeric
             from unnest($2::text[], $3::text[], $4::text[], $5::text[]) as b (account, unit, debit, credit)",
        )
        .bind(period.id.as_uuid())
        .bind(column(|row| &row.account))
        .bind(column(|row| &row.unit))
        .bind(column(|row| &row.debit))
        .bind(column(|row| &row.credit))
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn save(&mut self, period: &Period) -> Result<(), StoreError> {
        let reopened = period.reopened.as_ref();
        let saved = sqlx::query(
            "update ledger_periods set reopened_by = $2, reopened_at = $3, reopened_because = $4 where id = $1",
        )
        .bind(period.id.as_uuid())
        .bind(reopened.map(|reopened| reopened.by.as_uuid()))
        .bind(reopened.map(|reopened| reopened.at))
        .bind(reopened.map(|reopened| &reopened.because))
        .execute(self.connection())
        .await
        .store()?;
        if saved.rows_affected() == 1 {
            Ok(())
        } else {
            Err(StoreError::broken("a period that is saved is not there"))
        }
    }
}

#[async_trait]
impl PeriodQueries for Database {
    async fn periods(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<PeriodView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let text = format!("{PERIOD} and ($1::uuid is null or id < $1) order by id desc limit $2");
        let rows = sqlx::query(AssertSqlSafe(text))
            .bind(page.after_id())
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let view = |row| period(row).map(PeriodView::of);
        let views = rows.iter().map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn period(&self, scope: &SiteScope, id: PeriodId) -> Result<Option<PeriodView>, StoreError> {
        let found = self.read_site(scope).await?.find(id).await?;
        Ok(found.map(PeriodView::of))
    }

    async fn period_balances(
        &self,
        scope: &SiteScope,
        id: PeriodId,
    ) -> Result<Option<Vec<TrialBalanceRow>>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        if tx.find(id).await?.is_none() {
            return Ok(None);
        }
        stored_balances(&mut tx, id).await.map(Some)
    }
}

/// All that are closed, latest first.
pub(crate) async fn all_closed(tx: &mut SiteTx) -> Result<Vec<Period>, StoreError> {
    let text = format!("{PERIOD} and reopened_at is null order by number desc");
    let rows = sqlx::query(AssertSqlSafe(text))
        .fetch_all(tx.connection())
        .await
        .store()?;
    rows.iter().map(period).collect()
}

/// Of the accounts that were posted to before.
pub(crate) async fn balances_before(
    tx: &mut SiteTx,
    until: Timestamp,
) -> Result<Vec<TrialBalanceRow>, StoreError> {
    let mut rows = trial_balance(tx, Some(until)).await?;
    rows.retain(|row| row.debit != "0" || row.credit != "0");
    Ok(rows)
}

pub(crate) async fn stored_balances(
    tx: &mut SiteTx,
    id: PeriodId,
) -> Result<Vec<TrialBalanceRow>, StoreError> {
    let rows = sqlx::query(BALANCES)
        .bind(id.as_uuid())
        .fetch_all(tx.connection())
        .await
        .store()?;
    rows.iter().map(trial_balance_row).collect()
}

fn period(row: &PgRow) -> Result<Period, StoreError> {
    let hash = |column: &str| -> Result<Option<[u8; 32]>, StoreError> {
        let bytes: Option<Vec<u8>> = row.try_get(column).store()?;
        let hash = bytes.map(TryInto::try_into).transpose();
        hash.map_err(|_| StoreError::broken("a period's hash"))
    };
    let by: Option<Uuid> = row.try_get("reopened_by").store()?;
    let at: Option<Timestamp> = row.try_get("reopened_at").store()?;
    let because: Option<String> = row.try_get("reopened_because").store()?;
    Ok(Period {
        id: PeriodId::from_uuid(row.try_get("id").store()?),
        number: count(row.try_get("number").store()?)?,
        from: row.try_get("from_at").store()?,
        until: row.try_get("until_at").store()?,
        hash: hash("hash")?.ok_or_else(|| StoreError::broken("a period without a hash"))?,
        previous_hash: hash("previous_hash")?,
        closed_by: IdentityId::from_uuid(row.try_get("closed_by").store()?),
        closed_at: row.try_get("closed_at").store()?,
        reopened: by.zip(at).zip(because).map(|((by, at), because)| Reopened {
            by: IdentityId::from_uuid(by),
            at,
            because,
        }),
    })
}
