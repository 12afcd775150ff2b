//! Commission plans.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_commissions::{NewPlan, PlanError, PlanLevel, PlanView};
use posx_kernel::{Page, PlanId, SiteScope};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::whole;
use crate::extract::{Allowed, Guarded, Id, Idempotent, Policy as _, can, created};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(create).service(activate);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanBody {
    /// A name that is there already gets its next version.
    name: String,
    /// 1 to 10, numbered from 1.
    levels: Vec<PlanLevel>,
    /// 0 to 365.
    hold_days: u16,
}

/// Every version of every plan, newest first.
#[utoipa::path(tag = "commission-plans", operation_id = "list_commission_plans",
    extensions(("x-capability" = json!(can::SeePlans::names()))), responses((status = 200, body = Page<PlanView>)))]
#[get("/api/v1/commission-plans")]
async fn list(api: Api, staff: Allowed<can::SeePlans>) -> Result<Answer<Page<PlanView>>, ApiError> {
    Ok(Answer(whole(api.commission_queries.plans(staff.scope()).await?)))
}

/// Makes a plan, or the next version of one, not active yet.
#[utoipa::path(tag = "commission-plans", operation_id = "create_commission_plan", request_body = PlanBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePlans::names()))),
    responses((status = 201, body = PlanView), (status = 409, description = "Someone else is versioning it.")))]
#[post("/api/v1/commission-plans")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManagePlans>, Idempotent<PlanBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/commission-plans", api.clock.now());
    let body = request.body;
    let wish = NewPlan {
        name: body.name,
        levels: body.levels,
        hold_days: body.hold_days,
    };
    let made = api
        .commissions
        .create_plan(staff.scope(), staff.site().currency, wish, Some(&call))
        .await?;
    Ok(created(&made).json(view(&api, staff.scope(), made.id).await?))
}

/// Orders that are placed from now on freeze this version; placed ones keep theirs.
#[utoipa::path(tag = "commission-plans", operation_id = "activate_commission_plan", params(("id" = PlanId, Path)),
    extensions(("x-capability" = json!(can::ManagePlans::names()))), responses((status = 200, body = PlanView)))]
#[post("/api/v1/commission-plans/{id}/activate")]
async fn activate(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ManagePlans>, Id<PlanId>>,
) -> Result<Answer<PlanView>, ApiError> {
    api.commissions.activate_plan(staff.scope(), id).await?;
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

async fn view(api: &Api, scope: &SiteScope, id: PlanId) -> Result<PlanView, ApiError> {
    Ok(api
        .commission_queries
        .plan(scope, id)
        .await?
        .ok_or(PlanError::NotFound)?)
}
