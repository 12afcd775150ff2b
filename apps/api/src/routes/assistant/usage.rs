//! What calls of models were made, what they cost, and what was refused: reports, as the others are.

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::NaiveDate;
use futures::stream;
use posx_assistant::Micros;
use posx_postgres::{ModelUsageBy, ModelUsageRow, UsageCallRow, UsageRefusalRow};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::on;
use crate::extract::{Allowed, Guarded, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::routes::reports::period;
use crate::routes::reports::streamed::{Cell, Format, Row, Rows, streamed};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(usage).service(calls).service(refusals);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct UsageQuery {
    /// The first day, in the site's time zone; else the thirty days to today.
    from: Option<NaiveDate>,
    /// The day behind the last one.
    until: Option<NaiveDate>,
    /// What a row is of; days when it is left out.
    #[param(inline)]
    by: Option<ModelUsageBy>,
    /// Else as `Accept` asks for, and JSON.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// The first day, in the site's time zone; else the thirty days to today.
    from: Option<NaiveDate>,
    /// The day behind the last one.
    until: Option<NaiveDate>,
    /// Else as `Accept` asks for, and JSON.
    #[param(inline)]
    format: Option<Format>,
}

/// Calls, tokens, cost and latency by day, purpose, model or member.
#[utoipa::path(tag = "assistant", operation_id = "report_model_usage", params(UsageQuery),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, content((Rows<ModelUsageRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/assistant/usage")]
async fn usage(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<
        Allowed<can::ManageAssistant>,
        (HttpRequest, Query<UsageQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let period = period(&api, staff.site(), query.from, query.until)?;
    let format = Format::of(&request, query.format);
    let by = query.by.unwrap_or_default();
    let rows = api.database.model_usage(staff.scope(), &period, by).await?;
    streamed(format, "model-usage", stream::iter([Ok(rows)])).await
}

/// The log: one row for each call, and one for each asker whom a budget refused meanwhile, however often. By day.
#[utoipa::path(tag = "assistant", operation_id = "report_model_calls", params(LogQuery),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, content((Rows<UsageCallRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/assistant/usage/calls")]
async fn calls(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<
        Allowed<can::ManageAssistant>,
        (HttpRequest, Query<LogQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let period = period(&api, staff.site(), query.from, query.until)?;
    let format = Format::of(&request, query.format);
    let scope = staff.scope().clone();
    let steps = stream::try_unfold(Some(None), move |place| {
        let (api, scope) = (api.clone(), scope.clone());
        async move {
            let Some(after) = place else { return Ok(None) };
            let (rows, next) = api.database.model_calls(&scope, &period, after).await?;
            Ok(Some((rows, next.map(Some))))
        }
    });
    streamed(format, "model-calls", steps).await
}

/// Who was refused, and by which budget, day by day.
#[utoipa::path(tag = "assistant", operation_id = "report_model_refusals", params(LogQuery),
    extensions(("x-capability" = json!(can::ManageAssistant::names()))),
    responses((status = 200, content((Rows<UsageRefusalRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/assistant/usage/refusals")]
async fn refusals(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<
        Allowed<can::ManageAssistant>,
        (HttpRequest, Query<LogQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    on(staff.site())?;
    let period = period(&api, staff.site(), query.from, query.until)?;
    let format = Format::of(&request, query.format);
    let rows = api.database.model_refusals(staff.scope(), &period).await?;
    streamed(format, "model-refusals", stream::iter([Ok(rows)])).await
}

/// Absent: an empty cell.
fn maybe<T: ToString>(value: Option<&T>) -> Cell {
    Cell::Plain(value.map(T::to_string).unwrap_or_default())
}

fn micros(value: Micros) -> Cell {
    Cell::plain(&value.get())
}

impl Row for ModelUsageRow {
    const COLUMNS: &'static [&'static str] = &[
        "of",
        "calls",
        "answered",
        "refused",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_micros",
        "latency_ms_p50",
        "latency_ms_p95",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            // Somebody has named the model.
            Cell::Text(self.of.clone()),
            Cell::plain(&self.calls),
            Cell::plain(&self.answered),
            Cell::plain(&self.refused),
            Cell::plain(&self.input_tokens),
            Cell::plain(&self.cached_input_tokens),
            Cell::plain(&self.output_tokens),
            Cell::plain(&self.reasoning_tokens),
            micros(self.cost_micros),
            maybe(self.latency_ms_p50.as_ref()),
            maybe(self.latency_ms_p95.as_ref()),
        ]
    }
}

impl Row for UsageCallRow {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "made_at",
        "purpose",
        "member_id",
        "visitor_id",
        "provider",
        "model",
        "price_version",
        "state",
        "outcome",
        "worst_case_micros",
        "cost_micros",
        "by_provider",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "reasoning_tokens",
        "latency_ms",
        "tries",
        "refused",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.id),
            Cell::plain(&self.made_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)),
            Cell::plain(&self.purpose.as_str()),
            maybe(self.member_id.as_ref()),
            maybe(self.visitor_id.as_ref()),
            Cell::Text(self.provider.clone()),
            Cell::Text(self.model.clone()),
            Cell::plain(&self.price_version),
            Cell::plain(&self.state),
            maybe(self.outcome.as_ref()),
            micros(self.worst_case_micros),
            maybe(self.cost_micros.map(Micros::get).as_ref()),
            maybe(self.by_provider.as_ref()),
            maybe(self.input_tokens.as_ref()),
            maybe(self.cached_input_tokens.as_ref()),
            maybe(self.output_tokens.as_ref()),
            maybe(self.reasoning_tokens.as_ref()),
            maybe(self.latency_ms.as_ref()),
            maybe(self.tries.as_ref()),
            Cell::plain(&self.refused),
        ]
    }
}

impl Row for UsageRefusalRow {
    const COLUMNS: &'static [&'static str] = &["day", "scope", "period", "purpose", "member_id", "refused"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.day),
            Cell::plain(&self.scope.as_str()),
            Cell::plain(&self.period.as_str()),
            Cell::plain(&self.purpose.as_str()),
            maybe(self.member_id.as_ref()),
            Cell::plain(&self.refused),
        ]
    }
}
