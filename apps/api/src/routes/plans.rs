//! Commission plans.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_commissions::{DifferenceTerms, NewPlan, PlanError, PlanLevel, PlanView, Schedule};
use posx_kernel::{Page, PlanId, Review, SiteScope};
use posx_tenancy::ReviewedOperation;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::approvals::{Asked, Maker};
use super::whole;
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, ReviewedPath, can, created,
};
use crate::problem::ApiError;
use crate::state::Api;

mod simulate;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(create).service(get_plan);
    config.service(activate).service(schedule).service(end);
    simulate::routes(config);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanBody {
    /// A name that is there already gets its next version.
    name: String,
    /// 1 to 10, numbered from 1; absent in a plan by difference.
    #[serde(default)]
    levels: Vec<PlanLevel>,
    /// Grades in place of levels.
    #[serde(default)]
    difference: Option<DifferenceTerms>,
    /// 0 to 365.
    hold_days: u16,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    /// Now or later.
    from: DateTime<Utc>,
    /// Not at that moment any more; absent: until a later version begins.
    until: Option<DateTime<Utc>>,
}

/// Every version of every plan, newest first.
#[utoipa::path(tag = "commission-plans", operation_id = "list_commission_plans",
    extensions(("x-capability" = json!(can::SeePlans::names()))), responses((status = 200, body = Page<PlanView>)))]
#[get("/api/v1/commission-plans")]
async fn list(api: Api, staff: Allowed<can::SeePlans>) -> Result<Answer<Page<PlanView>>, ApiError> {
    let plans = api
        .commission_queries
        .plans(staff.scope(), api.clock.now())
        .await?;
    Ok(Answer(whole(plans)))
}

#[utoipa::path(tag = "commission-plans", operation_id = "get_commission_plan", params(("id" = PlanId, Path)),
    extensions(("x-capability" = json!(can::SeePlans::names()))), responses((status = 200, body = PlanView)))]
#[get("/api/v1/commission-plans/{id}")]
async fn get_plan(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::SeePlans>, Id<PlanId>>,
) -> Result<Answer<PlanView>, ApiError> {
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Makes a plan, or the next version of one, not active yet.
#[utoipa::path(tag = "commission-plans", operation_id = "create_commission_plan", request_body = PlanBody,
    params(("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::ManagePlans::names()))),
    responses((status = 201, body = PlanView),
        (status = 409, description = "Someone else is versioning it, or a second person must agree.")))]
#[post("/api/v1/commission-plans")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ManagePlans>, Idempotent<PlanBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/commission-plans", api.clock.now());
    let body = &request.body;
    let wish = NewPlan {
        name: body.name.clone(),
        levels: body.levels.clone(),
        difference: body.difference.clone(),
        hold_days: body.hold_days,
    };
    let asked = Asked {
        operation: ReviewedOperation::PlanCreation,
        quantity: 1,
    };
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            let (scope, currency) = (staff.scope(), staff.site().currency);
            api.commissions
                .create_plan(scope, currency, wish, Some(call))
                .await
        })
        .await?;
    Ok(created(&made).json(view(&api, staff.scope(), made.id).await?))
}

/// Orders that are placed from now on freeze this version; placed ones keep theirs.
#[utoipa::path(tag = "commission-plans", operation_id = "activate_commission_plan", 
    params(("id" = PlanId, Path),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::ManagePlans::names()))),
    responses((status = 200, body = PlanView), (status = 409, description = "A second person must agree.")))]
#[post("/api/v1/commission-plans/{id}/activate")]
async fn activate(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<AllowedMember<can::ManagePlans>, (Id<PlanId>, ReviewedPath)>,
) -> Result<Answer<PlanView>, ApiError> {
    let operation = "POST /api/v1/commission-plans/{id}/activate";
    let call = request.labelled().call(staff.who(), operation, api.clock.now());
    let asked = Asked {
        operation: ReviewedOperation::PlanActivation,
        quantity: 1,
    };
    Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            // Activating twice is activating once: only an approval is remembered.
            let call = Some(call).filter(|call| call.review != Review::NotNeeded);
            api.commissions.activate_plan(staff.scope(), id, call).await
        })
        .await?;
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Orders that are placed in the window freeze this version, unless another one begins in it. A window that has not begun can be
/// set again.
#[utoipa::path(tag = "commission-plans", operation_id = "schedule_commission_plan", request_body = ScheduleBody,
    params(("id" = PlanId, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::ManagePlans::names()))),
    responses((status = 200, body = PlanView),
        (status = 409, description = "This version has been in force, or a second person must agree.")))]
#[post("/api/v1/commission-plans/{id}/schedule")]
async fn schedule(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePlans>,
        (Id<PlanId>, Idempotent<ScheduleBody>),
    >,
) -> Result<Answer<PlanView>, ApiError> {
    let operation = "POST /api/v1/commission-plans/{id}/schedule";
    let call = request.call(staff.who(), operation, api.clock.now());
    let asked = Asked {
        operation: ReviewedOperation::PlanActivation,
        quantity: 1,
    };
    let schedule = Schedule {
        from: request.body.from,
        until: request.body.until,
    };
    Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            api.commissions
                .schedule_plan(staff.scope(), id, schedule, Some(call))
                .await
        })
        .await?;
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Takes a version out of force now, or off the schedule. No other version takes its place.
#[utoipa::path(tag = "commission-plans", operation_id = "end_commission_plan",
    params(("id" = PlanId, Path),
        ("Approval" = Option<String>, Header, description = "Of a second person, where the site wants one.")),
    extensions(("x-capability" = json!(can::ManagePlans::names()))),
    responses((status = 200, body = PlanView),
        (status = 409, description = "It is not in force and not to be, or a second person must agree.")))]
#[post("/api/v1/commission-plans/{id}/end")]
async fn end(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<AllowedMember<can::ManagePlans>, (Id<PlanId>, ReviewedPath)>,
) -> Result<Answer<PlanView>, ApiError> {
    let operation = "POST /api/v1/commission-plans/{id}/end";
    let call = request.labelled().call(staff.who(), operation, api.clock.now());
    let asked = Asked {
        operation: ReviewedOperation::PlanActivation,
        quantity: 1,
    };
    Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            let call = Some(call).filter(|call| call.review != Review::NotNeeded);
            api.commissions.end_plan(staff.scope(), id, call).await
        })
        .await?;
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

async fn view(api: &Api, scope: &SiteScope, id: PlanId) -> Result<PlanView, ApiError> {
    Ok(api
        .commission_queries
        .plan(scope, id, api.clock.now())
        .await?
        .ok_or(PlanError::NotFound)?)
}
