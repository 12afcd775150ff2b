//! What staff see and set of budgets.

use async_trait::async_trait;
use chrono_tz::Tz;
use posx_assistant::{
    BudgetKey, BudgetQueries, BudgetRepository, BudgetScope, BudgetView, BudgetsTx, Credit, CreditKind,
    CreditQueries, CreditView, Limits, Micros, Period, Purpose, SiteLimits, Subject, day_of,
};
use posx_kernel::{Begin, CreditId, Outbox, Page, PageRequest, SiteScope, StoreError, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{PgQuota, read, stored};
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

impl BudgetsTx for SiteTx {
    fn budgets(&mut self) -> &mut dyn BudgetRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

#[async_trait]
impl Begin<dyn BudgetsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn BudgetsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

#[async_trait]
impl BudgetRepository for SiteTx {
    async fn limits(&mut self) -> Result<SiteLimits, StoreError> {
        let row = sqlx::query("select limits, version from model_budgets")
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else {
            return Ok(SiteLimits::default());
        };
        let limits: sqlx::types::Json<Limits> = row.try_get("limits").store()?;
        Ok(SiteLimits {
            limits: limits.0,
            version: row.try_get("version").store()?,
        })
    }

    async fn save_limits(&mut self, new: &SiteLimits, seen: i32, at: Timestamp) -> Result<bool, StoreError> {
        let text = if seen == SiteLimits::FIRST_VERSION {
            "insert into model_budgets (limits, version, updated_at) values ($1, $2, $3) on conflict do nothing"
        } else {
            "update model_budgets set limits = $1, version = $2, updated_at = $3 where version = $2 - 1"
        };
        let done = sqlx::query(text)
            .bind(sqlx::types::Json(&new.limits))
            .bind(new.version)
            .bind(at)
            .execute(self.connection())
            .await
            .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn insert_credit(&mut self, credit: &Credit) -> Result<(), StoreError> {
        sqlx::query(
            "insert into model_credits (id, kind, amount, note, expires_at, created_at) values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(credit.id.as_uuid())
        .bind(credit.kind.as_str())
        .bind(stored(credit.amount))
        .bind(credit.note.as_deref())
        .bind(credit.expires_at)
        .bind(credit.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }
}

/// Every budget that there may be a limit of: those of one purpose for each.
fn listed(at: Timestamp, zone: Tz) -> Vec<BudgetKey> {
    let day = day_of(at, zone);
    let of_scope = |scope| match scope {
        BudgetScope::Purpose => Purpose::ALL.iter().copied().map(Subject::Purpose).collect(),
        _ => vec![Subject::All],
    };
    let mut keys = Vec::new();
    for scope in BudgetScope::ALL {
        for subject in of_scope(scope) {
            for period in Period::ALL {
                let starts_on = period.starts_on(day);
                keys.push(BudgetKey {
                    scope,
                    subject,
                    period,
                    starts_on,
                });
            }
        }
    }
    keys
}

#[async_trait]
impl BudgetQueries for PgQuota {
    async fn site_limits(&self, scope: &SiteScope) -> Result<SiteLimits, StoreError> {
        self.database.read_site(scope).await?.limits().await
    }

    async fn budgets(&self, scope: &SiteScope, at: Timestamp) -> Result<Vec<BudgetView>, StoreError> {
        let mut tx = self.database.read_site_at_once(scope).await?;
        let own = tx.limits().await?.limits;
        let zone: String = sqlx::query_scalar("select time_zone from app.site(app.current_site_id())")
            .fetch_one(tx.connection())
            .await
            .store()?;
        let zone: Tz = zone.parse().map_err(|_| StoreError::broken("a time zone"))?;
        let keys = listed(at, zone);
        let rows = sqlx::query(
            "select scope, subject, period, starts_on, reserved, spent from model_counters
             where scope in ('site', 'purpose', 'visitors') and starts_on >= $1",
        )
        .bind(Period::Month.starts_on(day_of(at, zone)))
        .fetch_all(tx.connection())
        .await
        .store()?;
        let view = |key: &BudgetKey| self.view(key, &own, &rows, zone);
        keys.iter().map(view).collect()
    }
}

impl PgQuota {
    fn view(
        &self,
        key: &BudgetKey,
        own: &Limits,
        rows: &[PgRow],
        zone: Tz,
    ) -> Result<BudgetView, StoreError> {
        let limit = own.in_force(&self.defaults, key, true);
        let purpose = match key.subject {
            Subject::Purpose(purpose) => Some(purpose),
            _ => None,
        };
        let counted = !matches!(key.scope, BudgetScope::Member | BudgetScope::Visitor);
        let mut of_key = rows.iter();
        let row = of_key.find(|row| {
            let is = |column, text: &str| row.try_get::<String, _>(column).is_ok_and(|found| found == text);
            is("scope", key.scope.as_str())
                && is("subject", &key.subject.to_string())
                && is("period", key.period.as_str())
                && row
                    .try_get::<chrono::NaiveDate, _>("starts_on")
                    .is_ok_and(|found| found == key.starts_on)
        });
        let amount = |column| row.map_or(Ok(Micros::ZERO), |row| read(row, column));
        let of_counter = |column| counted.then(|| amount(column)).transpose();
        Ok(BudgetView {
            scope: key.scope,
            purpose,
            period: key.period,
            limit_micros: (limit < Micros::MAX).then_some(limit),
            own: own.of(key.scope, purpose, key.period) == Some(limit),
            spent_micros: of_counter("spent")?,
            reserved_micros: of_counter("reserved")?,
            resets_at: key.resets_at(zone),
        })
    }
}

macro_rules! credits {
    () => {
        "select id, kind, amount, reserved, spent, note, expires_at, created_at from model_credits"
    };
}

fn credit(row: &PgRow) -> Result<CreditView, StoreError> {
    let kind: String = row.try_get("kind").store()?;
    let kinds = [CreditKind::Grant, CreditKind::TopUp];
    let id: Uuid = row.try_get("id").store()?;
    Ok(CreditView {
        id: CreditId::from_uuid(id),
        kind: kinds
            .into_iter()
            .find(|known| known.as_str() == kind)
            .ok_or_else(|| StoreError::broken("a kind of credit"))?,
        amount_micros: read(row, "amount")?,
        spent_micros: read(row, "spent")?,
        reserved_micros: read(row, "reserved")?,
        note: row.try_get("note").store()?,
        expires_at: row.try_get("expires_at").store()?,
        created_at: row.try_get("created_at").store()?,
    })
}

#[async_trait]
impl CreditQueries for Database {
    async fn credits(&self, scope: &SiteScope, page: PageRequest) -> Result<Page<CreditView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(concat!(
            credits!(),
            " where ($1::uuid is null or id < $1) order by id desc limit $2"
        ))
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let found = rows.iter().map(credit).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page, |credit| credit.id.as_uuid()))
    }

    async fn credit(&self, scope: &SiteScope, id: CreditId) -> Result<Option<CreditView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let row = sqlx::query(concat!(credits!(), " where id = $1"))
            .bind(id.as_uuid())
            .fetch_optional(tx.connection())
            .await
            .store()?;
        row.as_ref().map(credit).transpose()
    }
}
