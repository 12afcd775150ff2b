//! Closing the books.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_kernel::{Page, PeriodId, SiteScope};
use posx_ledger::{PeriodError, PeriodView, ReopenPeriod, TrialBalanceRow};
use posx_tenancy::{Capability, ReviewedOperation};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{page, whole};
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, Query, can, created, instant,
};
use crate::problem::ApiError;
use crate::routes::PageQuery;
use crate::routes::approvals::{Asked, Maker};
use crate::state::Api;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_period).service(balances);
    config.service(close).service(reopen);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodBody {
    /// Up to this instant, which is not part of it; an hour ago at the latest.
    #[serde(deserialize_with = "instant")]
    until: DateTime<Utc>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReopenPeriodBody {
    /// 1 to 500 characters.
    reason: String,
}

/// Closed periods, the latest first, and those that were opened again.
#[utoipa::path(tag = "ledger", operation_id = "list_ledger_periods", params(PageQuery),
    extensions(("x-capability" = json!(can::ReadLedger::names()))), responses((status = 200, body = Page<PeriodView>)))]
#[get("/api/v1/ledger/periods")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadLedger>, Query<PageQuery>>,
) -> Result<Answer<Page<PeriodView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.period_queries.periods(staff.scope(), page).await?))
}

#[utoipa::path(tag = "ledger", operation_id = "get_ledger_period", params(("id" = PeriodId, Path)),
    extensions(("x-capability" = json!(can::ReadLedger::names()))), responses((status = 200, body = PeriodView)))]
#[get("/api/v1/ledger/periods/{id}")]
async fn get_period(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadLedger>, Id<PeriodId>>,
) -> Result<Answer<PeriodView>, ApiError> {
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// What every account held at the period's end, as it was when the period was closed.
#[utoipa::path(tag = "ledger", operation_id = "list_ledger_period_balances", params(("id" = PeriodId, Path)),
    extensions(("x-capability" = json!(can::ReadLedger::names()))),
    responses((status = 200, body = Page<TrialBalanceRow>)))]
#[get("/api/v1/ledger/periods/{id}/balances")]
async fn balances(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadLedger>, Id<PeriodId>>,
) -> Result<Answer<Page<TrialBalanceRow>>, ApiError> {
    let found = api.period_queries.period_balances(staff.scope(), id).await?;
    Ok(Answer(whole(found.ok_or(PeriodError::NotFound)?)))
}

/// Closes the books from where they are closed up to `until`: what every account held then is kept with its hash, and no entry
/// is dated before it any more.
#[utoipa::path(tag = "ledger", operation_id = "close_ledger_period", request_body = PeriodBody,
    params(("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::ClosePeriods::names()))),
    responses((status = 201, body = PeriodView),
        (status = 409, description = "The books are closed up to then already, or a second person must agree.")))]
#[post("/api/v1/ledger/periods")]
async fn close(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ClosePeriods>, Idempotent<PeriodBody>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::PeriodsClose)?;
    let call = request.call(staff.who(), "POST /api/v1/ledger/periods", api.clock.now());
    let asked = Asked {
        operation: ReviewedOperation::PeriodClosing,
        quantity: 1,
    };
    let (scope, by, until) = (staff.scope(), staff.identity(), request.body.until);
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            api.books.close_period(scope, until, by, Some(call)).await
        })
        .await?;
    Ok(created(&made).json(view(&api, scope, made.id).await?))
}

/// Opens the last closed period again: entries may be dated into it, and the next closing begins where it began.
#[utoipa::path(tag = "ledger", operation_id = "reopen_ledger_period", request_body = ReopenPeriodBody,
    params(("id" = PeriodId, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::ClosePeriods::names()))),
    responses((status = 200, body = PeriodView),
        (status = 409, description = "It is not the last one that is closed, or a second person must agree.")))]
#[post("/api/v1/ledger/periods/{id}/reopen")]
async fn reopen(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ClosePeriods>,
        (Id<PeriodId>, Idempotent<ReopenPeriodBody>),
    >,
) -> Result<Answer<PeriodView>, ApiError> {
    staff.require_everywhere(Capability::PeriodsClose)?;
    let operation = "POST /api/v1/ledger/periods/{id}/reopen";
    let call = request.call(staff.who(), operation, api.clock.now());
    let asked = Asked {
        operation: ReviewedOperation::PeriodReopening,
        quantity: 1,
    };
    let scope = staff.scope();
    let wish = ReopenPeriod {
        id,
        because: &request.body.reason,
        by: staff.identity(),
    };
    Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            api.books.reopen_period(scope, wish, Some(call)).await
        })
        .await?;
    Ok(Answer(view(&api, scope, id).await?))
}

async fn view(api: &Api, scope: &SiteScope, id: PeriodId) -> Result<PeriodView, ApiError> {
    let found = api.period_queries.period(scope, id).await?;
    Ok(found.ok_or(PeriodError::NotFound)?)
}
