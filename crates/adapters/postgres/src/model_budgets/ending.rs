//! The end of a call: what it held goes back, what it cost is counted, by the limits that are in force now.

use chrono::NaiveDate;
use posx_assistant::{Asker, BudgetKey, Micros, Purpose, Spent};
use posx_kernel::{
    IdentityId, ModelCallId, Outbox as _, SiteScope, StoreError, Timestamp, Transaction as _, VisitorId,
};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{PgQuota, counters, credits, micros, own_limits, read, stored, tokens};
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// A call that has ended, and what it held until then.
pub(super) struct Ended {
    pub(super) call: ModelCallId,
    /// False: it had expired, and what it held went back.
    held: bool,
    pub(super) keys: Vec<BudgetKey>,
    /// In force now, of each of the keys.
    pub(super) limits: Vec<Micros>,
    pub(super) operator_pays: bool,
    pub(super) worst_case: Micros,
    pub(super) month_held: Micros,
    /// At most the worst case.
    pub(super) cost: Micros,
    pub(super) at: Timestamp,
}

macro_rules! ended {
    () => {
        " c.purpose, c.member_id, c.visitor_id, c.day, c.worst_case, c.month_held, c.cost, c.operator_pays,
           (select b.limits from model_budgets b) as limits"
    };
}

/// Who settles an expired call finds it once: its cost is null until then.
const SETTLE: &str = concat!(
    "with old as (
       select * from model_calls where id = $1 and (state = 'held' or (state = 'expired' and cost is null)) for update)
     update model_calls c set state = case old.state when 'held' then 'spent' else 'expired' end, ended_at = $2,
       input_tokens = $3, cached_input_tokens = $4, output_tokens = $5, reasoning_tokens = $6, by_provider = $7,
       cost = least($8, c.worst_case), latency_ms = $9, outcome = $10, tries = $11, provider = $12, model = $13, price_version = $14
     from old where c.id = old.id
     returning old.state as before,",
    ended!()
);

const RELEASE: &str = concat!(
    "update model_calls c set state = 'released', ended_at = $2, latency_ms = $3, outcome = $4, tries = $5, provider = $6,
       model = $7, price_version = $8
     where id = $1 and state = 'held'
     returning 'held' as before,",
    ended!()
);

const EXPIRE: &str = concat!(
    "update model_calls c set state = 'expired', ended_at = $2, outcome = 'expired'
     where id = $1 and state = 'held' and expires_at <= $2
     returning 'held' as before,",
    ended!()
);

/// Why a call gives back what it holds.
pub(super) enum Back<'a> {
    Released(&'a Spent),
    Expired(Timestamp),
}

impl PgQuota {
    pub(super) async fn settle_once(
        &self,
        scope: &SiteScope,
        call: ModelCallId,
        spent: &Spent,
    ) -> Result<(), StoreError> {
        let mut tx = self.database.begin_site(scope).await?;
        let row = sqlx::query(SETTLE)
            .bind(call.as_uuid())
            .bind(spent.ended_at)
            .bind(tokens(spent.usage.input))
            .bind(tokens(spent.usage.cached_input))
            .bind(tokens(spent.usage.output))
            .bind(tokens(spent.usage.reasoning))
            .bind(spent.by_provider)
            .bind(stored(spent.cost))
            .bind(i64::from(spent.latency_ms))
            .bind(spent.outcome)
            .bind(i32::from(spent.tries))
            .bind(&spent.provider)
            .bind(&spent.model)
            .bind(i64::from(spent.price_version))
            .fetch_optional(tx.connection())
            .await
            .store()?;
        let Some(row) = row else {
            let known = sqlx::query("select from model_calls where id = $1").bind(call.as_uuid());
            return match known.fetch_optional(tx.connection()).await.store()? {
                Some(_) => Ok(()),
                None => Err(StoreError::broken("a call is settled that was not reserved")),
            };
        };
        end_in_tx(&mut tx, &self.ended(&row, call, spent.ended_at)?).await?;
        Box::new(tx).commit().await
    }

    /// False: it holds nothing.
    pub(super) async fn give_back(
        &self,
        scope: &SiteScope,
        call: ModelCallId,
        back: &Back<'_>,
    ) -> Result<bool, StoreError> {
        let (query, at) = match back {
            Back::Released(spent) => {
                let query = sqlx::query(RELEASE)
                    .bind(call.as_uuid())
                    .bind(spent.ended_at)
                    .bind(i64::from(spent.latency_ms))
                    .bind(spent.outcome)
                    .bind(i32::from(spent.tries))
                    .bind(&spent.provider)
                    .bind(&spent.model)
                    .bind(i64::from(spent.price_version));
                (query, spent.ended_at)
            }
            Back::Expired(at) => (sqlx::query(EXPIRE).bind(call.as_uuid()).bind(at), *at),
        };
        let mut tx = self.database.begin_site(scope).await?;
        let row = query.fetch_optional(tx.connection()).await.store()?;
        let Some(row) = row else { return Ok(false) };
        end_in_tx(&mut tx, &self.ended(&row, call, at)?).await?;
        Box::new(tx).commit().await?;
        Ok(true)
    }

    fn ended(&self, row: &PgRow, call: ModelCallId, at: Timestamp) -> Result<Ended, StoreError> {
        let text = |column| row.try_get::<String, _>(column).store();
        let member: Option<Uuid> = row.try_get("member_id").store()?;
        let visitor: Option<Uuid> = row.try_get("visitor_id").store()?;
        let asker = match (member, visitor) {
            (Some(member), None) => Asker::Member(IdentityId::from_uuid(member)),
            (None, Some(visitor)) => Asker::Visitor(VisitorId::from_uuid(visitor)),
            _ => return Err(StoreError::broken("an asker")),
        };
        let purpose = Purpose::from_name(&text("purpose")?).ok_or_else(|| StoreError::broken("a purpose"))?;
        let day: NaiveDate = row.try_get("day").store()?;
        let keys = BudgetKey::of_call(purpose, asker, day);
        let operator_pays = row.try_get("operator_pays").store()?;
        Ok(Ended {
            call,
            held: text("before")? == "held",
            limits: self.in_force(&own_limits(row)?, &keys, operator_pays),
            keys,
            operator_pays,
            worst_case: read(row, "worst_case")?,
            month_held: read(row, "month_held")?,
            cost: row
                .try_get::<Option<i64>, _>("cost")
                .store()?
                .map_or(Ok(Micros::ZERO), micros)?,
            at,
        })
    }
}

/// The contended counters come last.
async fn end_in_tx(tx: &mut SiteTx, ended: &Ended) -> Result<(), StoreError> {
    let warned = if ended.held && ended.month_held < ended.worst_case {
        credits::end_in_tx(tx, ended).await?
    } else {
        let back = if ended.held {
            ended.worst_case
        } else {
            Micros::ZERO
        };
        counters::end_in_tx(tx, ended, 0..ended.keys.len(), back, ended.cost).await?
    };
    for (scope, event) in warned {
        tx.append(event).await?;
        metrics::counter!("posx_model_budget_warnings_total", "scope" => scope.as_str()).increment(1);
    }
    Ok(())
}
