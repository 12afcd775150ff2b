//! Schedules and the calendar.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_allocations::{CalendarRow, Granularity, ScheduleFilter, ScheduleView, VestingError, calendar};
use posx_kernel::{Cursor, OrderId, Page, PartyId, SiteScope, VestingPolicyId, VestingScheduleId};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{page, whole};
use crate::extract::{Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, Query, can, created};
use crate::problem::ApiError;
use crate::routes::PageQuery;
use crate::state::Api;

pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_schedule).service(revoke);
    config.service(unlocks).service(mine).service(my_unlocks);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Schedules {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    order: Option<OrderId>,
    policy: Option<VestingPolicyId>,
    party: Option<PartyId>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Calendar {
    /// By month, or by day.
    #[serde(default)]
    #[param(inline)]
    by: Granularity,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeBody {
    /// 1 to 500 characters.
    reason: String,
}

/// With their releases, newest first.
#[utoipa::path(tag = "vesting", operation_id = "list_vesting_schedules", params(Schedules),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))), responses((status = 200, body = Page<ScheduleView>)))]
#[get("/api/v1/vesting-schedules")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAllocations>, Query<Schedules>>,
) -> Result<Answer<Page<ScheduleView>>, ApiError> {
    let filter = ScheduleFilter {
        order: query.order,
        policy: query.policy,
        party: query.party,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.vesting_queries
            .schedules(staff.scope(), &filter, page)
            .await?,
    ))
}

#[utoipa::path(tag = "vesting", operation_id = "get_vesting_schedule", params(("id" = VestingScheduleId, Path)),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))), responses((status = 200, body = ScheduleView)))]
#[get("/api/v1/vesting-schedules/{id}")]
async fn get_schedule(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadAllocations>, Id<VestingScheduleId>>,
) -> Result<Answer<ScheduleView>, ApiError> {
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Takes back what is still locked, if the policy is revocable. What is due or sent stays.
#[utoipa::path(tag = "vesting", operation_id = "revoke_vesting", request_body = RevokeBody,
    params(("id" = VestingScheduleId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageVesting::names()))),
    responses((status = 201, body = ScheduleView), (status = 409, description = "The policy is not revocable.")))]
#[post("/api/v1/vesting-schedules/{id}/revoke")]
async fn revoke(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        Allowed<can::ManageVesting>,
        (Id<VestingScheduleId>, Idempotent<RevokeBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let operation = "POST /api/v1/vesting-schedules/{id}/revoke";
    let call = request.call(staff.who(), operation, api.clock.now());
    let reason = &request.body.reason;
    let made = api
        .allocations
        .revoke_vesting(staff.scope(), id, reason, Some(&call))
        .await?;
    Ok(created(&made).json(view(&api, staff.scope(), id).await?))
}

/// What unlocks when, of all that is still locked, for each asset.
#[utoipa::path(tag = "vesting", operation_id = "get_vesting_calendar", params(Calendar),
    extensions(("x-capability" = json!(can::ReadAllocations::names()))), responses((status = 200, body = Page<CalendarRow>)))]
#[get("/api/v1/vesting-calendar")]
async fn unlocks(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAllocations>, Query<Calendar>>,
) -> Result<Answer<Page<CalendarRow>>, ApiError> {
    let rows = api.vesting_queries.unlocks(staff.scope(), None).await?;
    Ok(Answer(whole(calendar(rows, query.by))))
}

/// What the caller gets little by little, newest first.
#[utoipa::path(tag = "me", operation_id = "list_my_vesting", params(PageQuery),
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 200, body = Page<ScheduleView>)))]
#[get("/api/v1/me/vesting")]
async fn mine(
    api: Api,
    Guarded(me, Query(query)): Guarded<AllowedMember<can::Buy>, Query<PageQuery>>,
) -> Result<Answer<Page<ScheduleView>>, ApiError> {
    let filter = ScheduleFilter {
        party: Some(me.party()),
        ..ScheduleFilter::default()
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.vesting_queries.schedules(me.scope(), &filter, page).await?,
    ))
}

/// What unlocks for the caller, and when.
#[utoipa::path(tag = "me", operation_id = "get_my_vesting_calendar", params(Calendar),
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 200, body = Page<CalendarRow>)))]
#[get("/api/v1/me/vesting/calendar")]
async fn my_unlocks(
    api: Api,
    Guarded(me, Query(query)): Guarded<AllowedMember<can::Buy>, Query<Calendar>>,
) -> Result<Answer<Page<CalendarRow>>, ApiError> {
    let rows = api.vesting_queries.unlocks(me.scope(), Some(me.party())).await?;
    Ok(Answer(whole(calendar(rows, query.by))))
}

async fn view(api: &Api, scope: &SiteScope, id: VestingScheduleId) -> Result<ScheduleView, ApiError> {
    let schedule = api.vesting_queries.schedule(scope, id).await?;
    Ok(schedule.ok_or(VestingError::NoSuchSchedule)?)
}
