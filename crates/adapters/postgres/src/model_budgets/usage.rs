//! The usage log as reports. Days are those that the calls were counted on.

use chrono::{DateTime, NaiveDate, Utc};
use posx_assistant::{BudgetScope, Micros, Period as BudgetPeriod, Purpose};
use posx_kernel::{IdentityId, ModelCallId, SiteScope, StoreError, VisitorId};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{micros, read};
use crate::Period;
use crate::connection::Database;
use crate::error::StoreResult;

/// What the rows of a report are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelUsageBy {
    #[default]
    Day,
    Purpose,
    /// `provider/model`.
    Model,
    /// All visitors are one row.
    Member,
}

/// Calls of one day, purpose, model or member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ModelUsageRow {
    /// `2026-03-01`, `staff_chat`, `groq/large`, a member's id or `visitors`.
    pub of: String,
    /// Calls that a budget let through.
    pub calls: i64,
    /// Of these: with a whole answer.
    pub answered: i64,
    /// Calls that a budget refused, beside those.
    pub refused: i64,
    pub input_tokens: i64,
    /// Of the input.
    pub cached_input_tokens: i64,
    pub output_tokens: i64,
    /// Of the output.
    pub reasoning_tokens: i64,
    /// Millionths of the price book's currency.
    pub cost_micros: Micros,
    /// Of settled calls, the median; absent when there is none.
    pub latency_ms_p50: Option<i64>,
    pub latency_ms_p95: Option<i64>,
}

/// One call, or calls that were refused together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UsageCallRow {
    pub id: ModelCallId,
    pub made_at: DateTime<Utc>,
    pub purpose: Purpose,
    pub member_id: Option<IdentityId>,
    pub visitor_id: Option<VisitorId>,
    pub provider: String,
    pub model: String,
    pub price_version: i32,
    /// `held`, `spent`, `released`, `expired` or `refused`.
    pub state: String,
    /// How it ended: `answered`, or a code.
    pub outcome: Option<String>,
    pub worst_case_micros: Micros,
    pub cost_micros: Option<Micros>,
    /// False: the provider did not say how much it was, and we counted.
    pub by_provider: Option<bool>,
    pub input_tokens: Option<i64>,
    pub cached_input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub reasoning_tokens: Option<i64>,
    pub latency_ms: Option<i64>,
    pub tries: Option<i32>,
    /// How many calls were refused.
    pub refused: i64,
}

/// Calls of a day that one budget refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UsageRefusalRow {
    pub day: NaiveDate,
    pub scope: BudgetScope,
    pub period: BudgetPeriod,
    pub purpose: Purpose,
    /// Absent: visitors.
    pub member_id: Option<IdentityId>,
    pub refused: i64,
}

/// `{key}` of the calls of days `$1` to `$2`. A sum that is too large to count is shown as the largest.
macro_rules! usage {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            " as of, count(*) filter (where state <> 'refused') as calls,
               count(*) filter (where outcome = 'answered') as answered, sum(refused_times)::bigint as refused,
               least(coalesce(sum(input_tokens), 0), 9223372036854775807)::bigint as input_tokens,
               least(coalesce(sum(cached_input_tokens), 0), 9223372036854775807)::bigint as cached_input_tokens,
               least(coalesce(sum(output_tokens), 0), 9223372036854775807)::bigint as output_tokens,
               least(coalesce(sum(reasoning_tokens), 0), 9223372036854775807)::bigint as reasoning_tokens,
               least(coalesce(sum(cost), 0), 9223372036854775807)::bigint as cost,
               percentile_disc(0.5) within group (order by latency_ms) filter (where cost is not null) as p50,
               percentile_disc(0.95) within group (order by latency_ms) filter (where cost is not null) as p95
             from model_calls where day >= $1 and day < $2 group by 1 order by 1"
        )
    };
}

const fn usage_sql(by: ModelUsageBy) -> &'static str {
    match by {
        ModelUsageBy::Day => usage!("day::text"),
        ModelUsageBy::Purpose => usage!("purpose"),
        ModelUsageBy::Model => usage!("provider || '/' || model"),
        ModelUsageBy::Member => usage!("coalesce('idn_' || replace(member_id::text, '-', ''), 'visitors')"),
    }
}

fn usage_of(row: &PgRow) -> Result<ModelUsageRow, StoreError> {
    let number = |column: &str| row.try_get::<i64, _>(column).store();
    Ok(ModelUsageRow {
        of: row.try_get("of").store()?,
        calls: number("calls")?,
        answered: number("answered")?,
        refused: number("refused")?,
        input_tokens: number("input_tokens")?,
        cached_input_tokens: number("cached_input_tokens")?,
        output_tokens: number("output_tokens")?,
        reasoning_tokens: number("reasoning_tokens")?,
        cost_micros: read(row, "cost")?,
        latency_ms_p50: row.try_get("p50").store()?,
        latency_ms_p95: row.try_get("p95").store()?,
    })
}

/// Rows of the log that one step reads.
const STEP: i64 = 500;

fn call_of(row: &PgRow) -> Result<UsageCallRow, StoreError> {
    let (id, purpose): (Uuid, String) = (row.try_get("id").store()?, row.try_get("purpose").store()?);
    let (member, visitor): (Option<Uuid>, Option<Uuid>) = (
        row.try_get("member_id").store()?,
        row.try_get("visitor_id").store()?,
    );
    let cost: Option<i64> = row.try_get("cost").store()?;
    Ok(UsageCallRow {
        id: ModelCallId::from_uuid(id),
        made_at: row.try_get("made_at").store()?,
        purpose: purpose_of(&purpose)?,
        member_id: member.map(IdentityId::from_uuid),
        visitor_id: visitor.map(VisitorId::from_uuid),
        provider: row.try_get("provider").store()?,
        model: row.try_get("model").store()?,
        price_version: row.try_get("price_version").store()?,
        state: row.try_get("state").store()?,
        outcome: row.try_get("outcome").store()?,
        worst_case_micros: read(row, "worst_case")?,
        cost_micros: cost.map(micros).transpose()?,
        by_provider: row.try_get("by_provider").store()?,
        input_tokens: row.try_get("input_tokens").store()?,
        cached_input_tokens: row.try_get("cached_input_tokens").store()?,
        output_tokens: row.try_get("output_tokens").store()?,
        reasoning_tokens: row.try_get("reasoning_tokens").store()?,
        latency_ms: row.try_get("latency_ms").store()?,
        tries: row.try_get("tries").store()?,
        refused: row.try_get("refused_times").store()?,
    })
}

fn refusal_of(row: &PgRow) -> Result<UsageRefusalRow, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column).store();
    let (scope, period) = (text("refused_scope")?, text("refused_period")?);
    let member: Option<Uuid> = row.try_get("member_id").store()?;
    Ok(UsageRefusalRow {
        day: row.try_get("day").store()?,
        scope: BudgetScope::ALL
            .into_iter()
            .find(|known| known.as_str() == scope)
            .ok_or_else(|| StoreError::broken("a scope of budgets"))?,
        period: BudgetPeriod::ALL
            .into_iter()
            .find(|known| known.as_str() == period)
            .ok_or_else(|| StoreError::broken("a period of budgets"))?,
        purpose: purpose_of(&text("purpose")?)?,
        member_id: member.map(IdentityId::from_uuid),
        refused: row.try_get("refused").store()?,
    })
}

fn purpose_of(text: &str) -> Result<Purpose, StoreError> {
    Purpose::from_name(text).ok_or_else(|| StoreError::broken("a purpose"))
}

impl Database {
    pub async fn model_usage(
        &self,
        scope: &SiteScope,
        period: &Period,
        by: ModelUsageBy,
    ) -> Result<Vec<ModelUsageRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(usage_sql(by))
            .bind(period.from)
            .bind(period.until)
            .fetch_all(tx.connection())
            .await
            .store()?;
        rows.iter().map(usage_of).collect()
    }

    /// A step of the log, oldest day first, and where the next one begins.
    pub async fn model_calls(
        &self,
        scope: &SiteScope,
        period: &Period,
        after: Option<(NaiveDate, Uuid)>,
    ) -> Result<(Vec<UsageCallRow>, Option<(NaiveDate, Uuid)>), StoreError> {
        let mut tx = self.read_site(scope).await?;
        let (day, id) = after.unzip();
        let rows = sqlx::query(
            "select * from model_calls where day >= $1 and day < $2 and ($3::date is null or (day, id) > ($3, $4))
             order by day, id limit $5",
        )
        .bind(period.from)
        .bind(period.until)
        .bind(day)
        .bind(id)
        .bind(STEP)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let next = match rows.last() {
            Some(last) if i64::try_from(rows.len()).is_ok_and(|read| read == STEP) => {
                Some((last.try_get("day").store()?, last.try_get("id").store()?))
            }
            _ => None,
        };
        Ok((rows.iter().map(call_of).collect::<Result<_, _>>()?, next))
    }

    pub async fn model_refusals(
        &self,
        scope: &SiteScope,
        period: &Period,
    ) -> Result<Vec<UsageRefusalRow>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select day, refused_scope, refused_period, purpose, member_id, sum(refused_times)::bigint as refused
             from model_calls where state = 'refused' and day >= $1 and day < $2
             group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5",
        )
        .bind(period.from)
        .bind(period.until)
        .fetch_all(tx.connection())
        .await
        .store()?;
        rows.iter().map(refusal_of).collect()
    }
}
