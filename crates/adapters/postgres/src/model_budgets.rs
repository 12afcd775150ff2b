//! Budgets of calls of language models, and the usage log: the truth behind every fast path.
//!
//! Whoever takes several counters takes them in the order of [`BudgetKey::of_call`], then the credits.

mod counters;
mod credits;
mod ending;
mod queries;
mod usage;

use async_trait::async_trait;
use chrono::NaiveDate;
use chrono_tz::Tz;
use posx_assistant::{
    Asker, BudgetKey, BudgetScope, Limits, Micros, Period, Price, Quota, QuotaError, Reservation, Spent,
};
use posx_kernel::{ModelCallId, SiteScope, StoreError, Timestamp, Transaction as _};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use self::ending::Back;
pub use self::usage::{ModelUsageBy, ModelUsageRow, UsageCallRow, UsageRefusalRow};
use crate::JobsDatabase;
use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// Budgets in PostgreSQL, with the operator's limits for what a site has not set.
#[derive(Debug, Clone)]
pub struct PgQuota {
    database: Database,
    defaults: Limits,
}

impl PgQuota {
    pub const fn new(database: Database, defaults: Limits) -> Self {
        Self { database, defaults }
    }
}

/// The row of the log, unless there is one, and what deciding needs. The site's time zone says which day it is.
const BEGIN: &str = "with site as (
       select s.time_zone, ($9::timestamptz at time zone s.time_zone)::date as day from app.site(app.current_site_id()) s),
     made as (
       insert into model_calls (id, purpose, member_id, visitor_id, provider, model, price_version, worst_case, month_held, state,
         day, made_at, expires_at, operator_pays)
       select $1, $2, $3, $4, $5, $6, $7, $8, $8, 'held', site.day, $9, $10, $11 from site
       on conflict (site_id, id) do nothing
       returning 1)
     select site.time_zone, site.day, exists (select from made) as made,
       (select c.state from model_calls c where c.id = $1) as before,
       (select b.limits from model_budgets b) as limits
     from site";

/// What a reservation begins with.
struct Begun {
    zone: Tz,
    keys: Vec<BudgetKey>,
    limits: Vec<Micros>,
}

impl PgQuota {
    /// `Err` of a refusal drops the transaction, and nothing of it is held.
    async fn try_reserve(&self, scope: &SiteScope, wish: &Reservation) -> Result<(), QuotaError> {
        let mut tx = self.database.begin_site(scope).await?;
        let Some(begun) = self.begin_in_tx(&mut tx, wish).await? else {
            return Ok(());
        };
        let refused = counters::hold_in_tx(&mut tx, &begun.keys, &begun.limits, wish.worst_case).await?;
        if let [at] = refused[..]
            && begun.keys[at].takes_credits()
        {
            credits::hold_in_tx(&mut tx, wish, &begun.keys[at], begun.limits[at])
                .await?
                .map_err(|left| begun.used_up(at, left))?;
        } else if let Some(at) = refused.first() {
            let left = counters::left_in_tx(&mut tx, &begun.keys[*at], begun.limits[*at]).await?;
            return Err(begun.used_up(*at, left));
        }
        Box::new(tx).commit().await?;
        Ok(())
    }

    /// None: the same call holds it already.
    async fn begin_in_tx(&self, tx: &mut SiteTx, wish: &Reservation) -> Result<Option<Begun>, StoreError> {
        let row = bind_call(sqlx::query(BEGIN), wish)
            .fetch_optional(tx.connection())
            .await
            .store()?
            .ok_or_else(|| StoreError::broken("there is no such site"))?;
        if !row.try_get::<bool, _>("made").store()? {
            let before: Option<String> = row.try_get("before").store()?;
            return match before.as_deref() {
                Some("held") => Ok(None),
                _ => Err(StoreError::broken("a call that has ended is reserved again")),
            };
        }
        let zone: String = row.try_get("time_zone").store()?;
        let keys = BudgetKey::of_call(wish.purpose, wish.asker, row.try_get("day").store()?);
        let own = own_limits(&row)?;
        Ok(Some(Begun {
            zone: zone.parse().map_err(|_| StoreError::broken("a time zone"))?,
            limits: self.in_force(&own, &keys, wish.operator_pays),
            keys,
        }))
    }
}

impl PgQuota {
    /// Of each of the keys.
    fn in_force(&self, own: &Limits, keys: &[BudgetKey], operator_pays: bool) -> Vec<Micros> {
        let limit = |key| own.in_force(&self.defaults, key, operator_pays);
        keys.iter().map(limit).collect()
    }
}

/// Of the site.
fn own_limits(row: &PgRow) -> Result<Limits, StoreError> {
    let own: Option<sqlx::types::Json<Limits>> = row.try_get("limits").store()?;
    Ok(own.map(|limits| limits.0).unwrap_or_default())
}

impl Begun {
    fn used_up(&self, at: usize, left: Micros) -> QuotaError {
        let key = &self.keys[at];
        QuotaError::UsedUp {
            scope: key.scope,
            period: key.period,
            resets_at: key.resets_at(self.zone),
            left,
        }
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// `$1` to `$11`.
fn bind_call<'q>(query: Query<'q>, wish: &'q Reservation) -> Query<'q> {
    let (member, visitor) = match wish.asker {
        Asker::Member(member) => (Some(member.as_uuid()), None),
        Asker::Visitor(visitor) => (None, Some(visitor.as_uuid())),
    };
    query
        .bind(wish.call.as_uuid())
        .bind(wish.purpose.as_str())
        .bind(member)
        .bind(visitor)
        .bind(&wish.provider)
        .bind(&wish.model)
        .bind(i64::from(wish.price_version))
        .bind(stored(wish.worst_case))
        .bind(wish.made_at)
        .bind(wish.expires_at)
        .bind(wish.operator_pays)
}

/// Of expired ones at a time.
const AT_ONCE: i64 = 100;

#[async_trait]
impl Quota for PgQuota {
    async fn reserve(&self, scope: &SiteScope, wish: &Reservation) -> Result<(), QuotaError> {
        let first = self.try_reserve(scope, wish).await;
        let refused = match first {
            // What is over holds nothing, whether a sweep came by or not.
            Err(QuotaError::UsedUp { .. }) if self.expire(scope, wish.made_at).await? > 0 => {
                self.try_reserve(scope, wish).await
            }
            other => other,
        };
        if let Err(QuotaError::UsedUp {
            scope: by, period, ..
        }) = &refused
        {
            metrics::counter!("posx_model_refusals_total", "scope" => by.as_str()).increment(1);
            // Who is refused is told so, whether it is in the log or not.
            if let Err(error) = self.note_refused(scope, wish, (*by, *period), 1).await {
                tracing::warn!(site = %scope.site(), %error, "a refusal of a model's budget is not in the log");
            }
        }
        refused
    }

    async fn settle(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        self.settle_once(scope, call, spent).await
    }

    async fn release(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        let released = Back::Released(spent);
        self.give_back(scope, call, &released).await.map(|_| ())
    }

    async fn note_refused(
        &self,
        scope: &SiteScope,
        wish: &Reservation,
        (by, period): (BudgetScope, Period),
        times: u32,
    ) -> Result<(), StoreError> {
        let mut tx = self.database.begin_site(scope).await?;
        let query = sqlx::query(
            "insert into model_calls (id, purpose, member_id, visitor_id, provider, model, price_version, worst_case, month_held,
               state, day, made_at, expires_at, operator_pays, ended_at, outcome, refused_scope, refused_period, refused_times)
             select $1, $2, $3, $4, $5, $6, $7, $8, 0, 'refused', ($9::timestamptz at time zone s.time_zone)::date, $9, $10, $11, $9,
               'model_budget_used_up', $12, $13, $14
             from app.site(app.current_site_id()) s
             on conflict (site_id, id) do nothing",
        );
        bind_call(query, wish)
            .bind(by.as_str())
            .bind(period.as_str())
            .bind(i64::from(times))
            .execute(tx.connection())
            .await
            .store()?;
        Box::new(tx).commit().await
    }

    async fn expire(&self, scope: &SiteScope, now: Timestamp) -> Result<usize, StoreError> {
        let mut expired = 0;
        loop {
            let mut tx = self.database.read_site(scope).await?;
            let due: Vec<Uuid> = sqlx::query_scalar(
                "select id from model_calls where state = 'held' and expires_at <= $1 order by expires_at limit $2",
            )
            .bind(now)
            .bind(AT_ONCE)
            .fetch_all(tx.connection())
            .await
            .store()?;
            drop(tx);
            for id in &due {
                let call = ModelCallId::from_uuid(*id);
                expired += usize::from(self.give_back(scope, call, &Back::Expired(now)).await?);
            }
            if due.len() < usize::try_from(AT_ONCE).unwrap_or(usize::MAX) {
                return Ok(expired);
            }
        }
    }
}

impl Database {
    /// Deletes what is older than `before` of the site's usage log and counters, 10,000 calls at most; returns how many.
    pub async fn purge_model_calls(&self, scope: &SiteScope, before: NaiveDate) -> Result<u64, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query("select app.purge_model_calls($1)")
            .bind(before)
            .fetch_one(tx.connection())
            .await
            .store()?;
        Box::new(tx).commit().await?;
        let gone: i64 = row.try_get(0).store()?;
        u64::try_from(gone).map_err(|_| StoreError::broken("a negative count"))
    }
}

impl JobsDatabase {
    /// Records what is new of the operator's book, and says which prices were recorded otherwise: a version is never edited.
    pub async fn record_model_prices(
        &self,
        prices: &[Price],
        at: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("select * from app.record_model_prices($1, $2)")
            .bind(sqlx::types::Json(prices))
            .bind(at)
            .fetch_all(self.pool())
            .await
            .store()
    }
}

fn stored(micros: Micros) -> i64 {
    i64::try_from(micros.get()).unwrap_or(i64::MAX)
}

fn tokens(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn micros(stored: i64) -> Result<Micros, StoreError> {
    let micros = u64::try_from(stored).ok().and_then(Micros::new);
    micros.ok_or_else(|| StoreError::broken("a negative amount"))
}

fn read(row: &PgRow, column: &str) -> Result<Micros, StoreError> {
    micros(row.try_get(column).store()?)
}
