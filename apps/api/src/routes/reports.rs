//! Reports for staff, as JSON or as CSV, sent while they are read.

mod rows;
pub(super) mod streamed;

use actix_web::{HttpRequest, HttpResponse, get};
use chrono::{Days, NaiveDate};
use futures::stream;
use posx_postgres::{
    AnomalyPlace, AnomalyRow, CommissionRow, LeadersBy, LeadersOf, OverviewRow, Period, RankedRow, SalesRow,
};
use posx_tenancy::Site;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use self::streamed::{Format, Rows, streamed};
use crate::extract::{Allowed, Guarded, Policy as _, Query, can};
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

/// Days of the longest period that a report is made for.
const DAYS_MAX: i64 = 1_100;
/// Of a period that is not named.
const DAYS: Days = Days::new(29);

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(overview).service(sales).service(leaderboard);
    config.service(commissions).service(anomalies);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Days30 {
    /// The first day, in the site's time zone; else the thirty days to today.
    from: Option<NaiveDate>,
    /// The day behind the last one.
    until: Option<NaiveDate>,
    /// Else as `Accept` asks for, and JSON.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Leaders {
    /// The first day, in the site's time zone; else the thirty days to today.
    from: Option<NaiveDate>,
    /// The day behind the last one.
    until: Option<NaiveDate>,
    /// Tiers when it is left out.
    #[param(inline)]
    of: Option<LeadersOf>,
    /// Net sales when it is left out.
    #[param(inline)]
    by: Option<LeadersBy>,
    /// 1 to 100, else 25.
    limit: Option<u16>,
    /// Else as `Accept` asks for, and JSON.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Shape {
    /// Else as `Accept` asks for, and JSON.
    #[param(inline)]
    format: Option<Format>,
}

/// A period in figures, and what is open now.
#[utoipa::path(tag = "reports", operation_id = "report_overview", params(Days30),
    extensions(("x-capability" = json!(can::ReadReports::names()))),
    responses((status = 200, content((Rows<OverviewRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/reports/overview")]
async fn overview(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<Allowed<can::ReadReports>, (HttpRequest, Query<Days30>)>,
) -> Result<HttpResponse, ApiError> {
    let period = period(&api, staff.site(), query.from, query.until)?;
    let format = Format::of(&request, query.format);
    let rows = api.database.overview(staff.scope(), &period).await?;
    streamed(format, "overview", stream::iter([Ok(rows)])).await
}

/// What each tier sold on each day, by when the orders were paid, less what went back since.
#[utoipa::path(tag = "reports", operation_id = "report_sales", params(Days30),
    extensions(("x-capability" = json!(can::ReadReports::names()))),
    responses((status = 200, content((Rows<SalesRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/reports/sales")]
async fn sales(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<Allowed<can::ReadReports>, (HttpRequest, Query<Days30>)>,
) -> Result<HttpResponse, ApiError> {
    let period = period(&api, staff.site(), query.from, query.until)?;
    let format = Format::of(&request, query.format);
    let scope = staff.scope().clone();
    let steps = stream::try_unfold(Some(period), move |left| {
        let (api, scope) = (api.clone(), scope.clone());
        async move {
            let Some(left) = left else { return Ok(None) };
            let (now, later) = left.step();
            let rows = api.database.sales_by_day_and_tier(&scope, &now).await?;
            Ok(Some((rows, later)))
        }
    });
    streamed(format, "sales", steps).await
}

/// Which tiers sold best, or who bought most. Agents have a leaderboard of their own.
#[utoipa::path(tag = "reports", operation_id = "report_leaderboard", params(Leaders),
    extensions(("x-capability" = json!(can::ReadReports::names()))),
    responses((status = 200, content((Rows<RankedRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/reports/leaderboard")]
async fn leaderboard(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<
        Allowed<can::ReadReports>,
        (HttpRequest, Query<Leaders>),
    >,
) -> Result<HttpResponse, ApiError> {
    let period = period(&api, staff.site(), query.from, query.until)?;
    let format = Format::of(&request, query.format);
    let list = (
        query.of.unwrap_or(LeadersOf::Tiers),
        query.by.unwrap_or(LeadersBy::Net),
    );
    let limit = super::page(query.limit, None).limit();
    let rows = api
        .database
        .ranked_sales(staff.scope(), &period, list, limit)
        .await?;
    streamed(format, "leaderboard", stream::iter([Ok(rows)])).await
}

/// Commissions by state and level, and what the books have of them: `difference` is zero, or something is wrong.
#[utoipa::path(tag = "reports", operation_id = "report_commissions", params(Shape),
    extensions(("x-capability" = json!(can::ReadReports::names()))),
    responses((status = 200, content((Rows<CommissionRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/reports/commissions")]
async fn commissions(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<Allowed<can::ReadReports>, (HttpRequest, Query<Shape>)>,
) -> Result<HttpResponse, ApiError> {
    let format = Format::of(&request, query.format);
    let rows = api.database.commissions_by_state_and_level(staff.scope()).await?;
    streamed(format, "commissions", stream::iter([Ok(rows)])).await
}

/// What a person should look at, kind by kind, oldest first: shares, allocations, refunds and payouts that do not move, open
/// disputes, withdrawals that nobody decides, idle agents, orders with a flag.
#[utoipa::path(tag = "reports", operation_id = "report_anomalies", params(Shape),
    extensions(("x-capability" = json!(can::ReadReports::names()))),
    responses((status = 200, content((Rows<AnomalyRow> = "application/json"), (String = "text/csv")))))]
#[get("/api/v1/reports/anomalies")]
async fn anomalies(
    api: Api,
    Guarded(staff, (request, Query(query))): Guarded<Allowed<can::ReadReports>, (HttpRequest, Query<Shape>)>,
) -> Result<HttpResponse, ApiError> {
    let format = Format::of(&request, query.format);
    let (scope, now) = (staff.scope().clone(), api.clock.now());
    let steps = stream::try_unfold(Some(AnomalyPlace::START), move |place| {
        let (api, scope) = (api.clone(), scope.clone());
        async move {
            let Some(place) = place else { return Ok(None) };
            let step = api.database.anomalies(&scope, now, place).await?;
            Ok(Some(step))
        }
    });
    streamed(format, "anomalies", steps).await
}

/// Today is in it, when it is not named.
pub fn period(
    api: &Api,
    site: &Site,
    from: Option<NaiveDate>,
    until: Option<NaiveDate>,
) -> Result<Period, EdgeError> {
    let wrong = |message: &str| EdgeError::QueryInvalid {
        message: message.to_owned(),
    };
    let today = api.clock.now().with_timezone(&site.time_zone).date_naive();
    let until = match until.or_else(|| today.succ_opt()) {
        Some(until) if (1970..=9998).contains(&chrono::Datelike::year(&until)) => until,
        _ => return Err(wrong("until: a day of the years 1970 to 9998")),
    };
    let last = until.pred_opt().unwrap_or(until);
    let from = from.or_else(|| last.checked_sub_days(DAYS)).unwrap_or(last);
    let days = (until - from).num_days();
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(wrong("a report is made for 1 to 1100 days: from is before until"));
    }
    Ok(Period {
        from,
        until,
        time_zone: site.time_zone,
        currency: site.currency,
    })
}
