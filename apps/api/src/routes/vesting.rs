//! Vesting: policies, what tiers say of it, schedules, the calendar.

mod schedules;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post, put};
use chrono::NaiveDate;
use posx_allocations::{CreatePolicy, PeriodUnit, PolicyView, TierVestingView, VestingError};
use posx_kernel::{Page, Rate, SiteScope, TierId, VestingPolicyId};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page, whole};
use crate::extract::{
    Allowed, Guarded, Id, Idempotent, IfMatch, Json, Policy as _, Query, Visitor, can, created, etag,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(policies)
        .service(get_policy)
        .service(create_policy)
        .service(move_start);
    config
        .service(tier_vesting)
        .service(set_tier_vesting)
        .service(request_unlock);
    schedules::routes(config);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyBody {
    /// A name that is there already gets its next version.
    name: String,
    /// Unlocks on the day of the start.
    share_at_start: Rate,
    /// 0 to 120; the first period begins at the end of the cliff.
    #[serde(default)]
    cliff_months: u16,
    /// 1 to 366 equal parts of the rest; 0 if all of it unlocks at the start.
    periods: u16,
    unit: PeriodUnit,
    /// Whether staff may take back what is still locked.
    #[serde(default)]
    revocable: bool,
    /// A day by UTC; without one nothing unlocks yet.
    starts_on: Option<NaiveDate>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBody {
    /// A day by UTC; `null`: not known yet.
    // So that leaving it out is not taken for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    starts_on: Option<NaiveDate>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TierVestingBody {
    /// `null`: what is sold from now on is not vested.
    // So that leaving it out is not taken for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required = true)]
    policy: Option<VestingPolicyId>,
}

/// Every version of every policy, newest first.
#[utoipa::path(tag = "vesting", operation_id = "list_vesting_policies", params(PageQuery),
    extensions(("x-capability" = json!(can::SeeVesting::names()))), responses((status = 200, body = Page<PolicyView>)))]
#[get("/api/v1/vesting-policies")]
async fn policies(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::SeeVesting>, Query<PageQuery>>,
) -> Result<Answer<Page<PolicyView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.vesting_queries.policies(staff.scope(), page).await?))
}

#[utoipa::path(tag = "vesting", operation_id = "get_vesting_policy", params(("id" = VestingPolicyId, Path)),
    extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = PolicyView, headers(("ETag" = String, description = "Of the start, for If-Match.")))))]
#[get("/api/v1/vesting-policies/{id}")]
async fn get_policy(
    api: Api,
    Guarded(visitor, Id(id)): Guarded<Visitor, Id<VestingPolicyId>>,
) -> Result<HttpResponse, ApiError> {
    show(&api, &visitor.context.scope, id).await
}

/// Makes a policy, or the next version of one. A version is never edited; only its start is moved.
#[utoipa::path(tag = "vesting", operation_id = "create_vesting_policy", request_body = PolicyBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageVesting::names()))),
    responses((status = 201, body = PolicyView, headers(("ETag" = String), ("Location" = String)))))]
#[post("/api/v1/vesting-policies")]
async fn create_policy(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManageVesting>, Idempotent<PolicyBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/vesting-policies", api.clock.now());
    let body = request.body;
    let wish = CreatePolicy {
        name: body.name,
        share_at_start: body.share_at_start,
        cliff_months: body.cliff_months,
        periods: body.periods,
        unit: body.unit,
        revocable: body.revocable,
        starts_on: body.starts_on,
    };
    let made = api
        .allocations
        .create_policy(staff.scope(), wish, Some(&call))
        .await?;
    let view = view(&api, staff.scope(), made.id).await?;
    Ok(created(&made)
        .insert_header(etag(view.revision))
        .insert_header(("location", format!("/api/v1/vesting-policies/{}", view.id)))
        .json(view))
}

/// Moves the day on which the policy starts. What is still locked follows it; what is due or sent stays as it is.
#[utoipa::path(tag = "vesting", operation_id = "move_vesting_start", request_body = StartBody,
    params(("id" = VestingPolicyId, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageVesting::names()))),
    responses((status = 200, body = PolicyView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/vesting-policies/{id}/start")]
async fn move_start(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageVesting>,
        (Id<VestingPolicyId>, IfMatch, Json<StartBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    api.allocations
        .move_start(staff.scope(), id, seen, body.starts_on)
        .await?;
    show(&api, staff.scope(), id).await
}

/// By which policy what the tier sells is vested, and was before; the newest first, none if it never was.
#[utoipa::path(tag = "vesting", operation_id = "list_tier_vesting", params(("id" = TierId, Path)),
    extensions(("x-capability" = json!("public"))), responses((status = 200, body = Page<TierVestingView>)))]
#[get("/api/v1/tiers/{id}/vesting")]
async fn tier_vesting(
    api: Api,
    Guarded(visitor, Id(id)): Guarded<Visitor, Id<TierId>>,
) -> Result<Answer<Page<TierVestingView>>, ApiError> {
    let scope = &visitor.context.scope;
    Ok(Answer(whole(tier_vesting_of(&api, scope, id).await?)))
}

/// From now on what the tier sells is vested by this policy, or is not vested. Orders that are placed keep what held.
#[utoipa::path(tag = "vesting", operation_id = "set_tier_vesting", request_body = TierVestingBody,
    params(("id" = TierId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageVesting::names()))),
    responses((status = 201, body = Page<TierVestingView>)))]
#[post("/api/v1/tiers/{id}/vesting")]
async fn set_tier_vesting(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        Allowed<can::ManageVesting>,
        (Id<TierId>, Idempotent<TierVestingBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let operation = "POST /api/v1/tiers/{id}/vesting";
    let call = request.call(staff.who(), operation, api.clock.now());
    let policy = request.body.policy;
    let made = api
        .allocations
        .set_tier_vesting(staff.scope(), id, policy, Some(&call))
        .await?;
    let terms = tier_vesting_of(&api, staff.scope(), id).await?;
    Ok(created(&made).json(whole(terms)))
}

/// Asks for what the daily job does: everything whose day has come becomes allocations.
#[utoipa::path(tag = "vesting", operation_id = "request_vesting_unlock",
    extensions(("x-capability" = json!(can::ManageVesting::names()))),
    responses((status = 202, description = "The job is asked for.")))]
#[post("/api/v1/vesting-unlocks")]
async fn request_unlock(api: Api, staff: Allowed<can::ManageVesting>) -> Result<HttpResponse, ApiError> {
    api.allocations.request_unlock(staff.scope()).await?;
    Ok(HttpResponse::Accepted().finish())
}

async fn tier_vesting_of(api: &Api, scope: &SiteScope, id: TierId) -> Result<Vec<TierVestingView>, ApiError> {
    let terms = api.vesting_queries.tier_vesting(scope, id).await?;
    Ok(terms.ok_or(VestingError::NoSuchTier)?)
}

async fn view(api: &Api, scope: &SiteScope, id: VestingPolicyId) -> Result<PolicyView, ApiError> {
    let policy = api.vesting_queries.policy(scope, id).await?;
    Ok(policy.ok_or(VestingError::NoSuchPolicy)?)
}

async fn show(api: &Api, scope: &SiteScope, id: VestingPolicyId) -> Result<HttpResponse, ApiError> {
    let view = view(api, scope, id).await?;
    Ok(HttpResponse::Ok().insert_header(etag(view.revision)).json(view))
}
