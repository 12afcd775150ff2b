//! Settlement batches: a preview, a second person's word, and what becomes of it.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_commissions::{PayoutError, PayoutMethod, SettlementLineView, SettlementView};
use posx_kernel::{Cursor, Page, SettlementId, SiteScope};
use posx_tenancy::Capability;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page};
use crate::extract::{Allowed, AllowedMember, Guarded, Id, Idempotent, Policy as _, Query, can, created};
use crate::problem::{ApiError, EdgeError};
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_settlement).service(lines);
    config
        .service(create)
        .service(preview)
        .service(approve)
        .service(discard);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LineListing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// Only those who are not paid, or only those who are.
    left: Option<bool>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettlementBody {
    method: PayoutMethod,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveSettlementBody {
    /// Of the preview that was looked at, as the settlement shows it.
    hash: String,
}

/// Newest first.
#[utoipa::path(tag = "payouts", operation_id = "list_settlements", params(PageQuery),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = Page<SettlementView>)))]
#[get("/api/v1/settlements")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadPayouts>, Query<PageQuery>>,
) -> Result<Answer<Page<SettlementView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.payout_queries.settlements(staff.scope(), page).await?))
}

#[utoipa::path(tag = "payouts", operation_id = "get_settlement", params(("id" = SettlementId, Path)),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))), responses((status = 200, body = SettlementView)))]
#[get("/api/v1/settlements/{id}")]
async fn get_settlement(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ReadPayouts>, Id<SettlementId>>,
) -> Result<Answer<SettlementView>, ApiError> {
    Ok(Answer(found(&api, staff.scope(), id).await?))
}

/// Everybody who has or owes something: what they are paid, or why not.
#[utoipa::path(tag = "payouts", operation_id = "list_settlement_lines", params(("id" = SettlementId, Path), LineListing),
    extensions(("x-capability" = json!(can::ReadPayouts::names()))),
    responses((status = 200, body = Page<SettlementLineView>)))]
#[get("/api/v1/settlements/{id}/lines")]
async fn lines(
    api: Api,
    Guarded(staff, (Id(id), Query(query))): Guarded<
        Allowed<can::ReadPayouts>,
        (Id<SettlementId>, Query<LineListing>),
    >,
) -> Result<Answer<Page<SettlementLineView>>, ApiError> {
    found(&api, staff.scope(), id).await?;
    let page = page(query.limit, query.after);
    let lines = api
        .payout_queries
        .settlement_lines(staff.scope(), id, query.left, page);
    Ok(Answer(lines.await?))
}

/// A preview of what every agent would be paid now. Nothing is taken from anybody yet; there is one draft at a time.
#[utoipa::path(tag = "payouts", operation_id = "create_settlement", request_body = SettlementBody,
    params(("Idempotency-Key" = String, Header)), extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 201, body = SettlementView),
        (status = 409, description = "There is a draft already, or nobody has anything.")))]
#[post("/api/v1/settlements")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ManagePayouts>, Idempotent<SettlementBody>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let call = request.call(staff.who(), "POST /api/v1/settlements", api.clock.now());
    let (scope, by) = (staff.scope(), staff.identity());
    let made = api
        .payouts
        .preview(scope, request.body.method, by, Some(&call))
        .await?;
    Ok(created(&made).json(found(&api, scope, made.id).await?))
}

/// Makes a draft's preview anew. Who does so has made it, and does not approve it.
#[utoipa::path(tag = "payouts", operation_id = "preview_settlement", params(("id" = SettlementId, Path)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = SettlementView), (status = 409, description = "It is no draft any more.")))]
#[post("/api/v1/settlements/{id}/preview")]
async fn preview(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManagePayouts>, Id<SettlementId>>,
) -> Result<Answer<SettlementView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    api.payouts
        .preview_again(staff.scope(), id, staff.identity())
        .await?;
    Ok(Answer(found(&api, staff.scope(), id).await?))
}

/// Agrees to exactly the preview whose hash is named, and takes its money from the balances. Nobody approves what they made,
/// however small it is.
#[utoipa::path(tag = "payouts", operation_id = "approve_settlement", request_body = ApproveSettlementBody,
    params(("id" = SettlementId, Path), ("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = SettlementView),
        (status = 409, description = "The hash is another's, or something changed since: then the preview was made anew.")))]
#[post("/api/v1/settlements/{id}/approve")]
async fn approve(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::ManagePayouts>,
        (Id<SettlementId>, Idempotent<ApproveSettlementBody>),
    >,
) -> Result<Answer<SettlementView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    let mut seen = [0; 32];
    hex::decode_to_slice(&request.body.hash, &mut seen).map_err(|_| EdgeError::FieldInvalid {
        field: "hash".to_owned(),
        message: "a hash is 64 hexadecimal digits".to_owned(),
    })?;
    let call = request.call(
        staff.who(),
        "POST /api/v1/settlements/{id}/approve",
        api.clock.now(),
    );
    let (scope, by) = (staff.scope(), staff.identity());
    api.payouts
        .approve_settlement(scope, id, &seen, by, Some(&call))
        .await?;
    Ok(Answer(found(&api, scope, id).await?))
}

/// Gives the draft up, and its commissions back.
#[utoipa::path(tag = "payouts", operation_id = "discard_settlement", params(("id" = SettlementId, Path)),
    extensions(("x-capability" = json!(can::ManagePayouts::names()))),
    responses((status = 200, body = SettlementView), (status = 409, description = "It is approved.")))]
#[post("/api/v1/settlements/{id}/discard")]
async fn discard(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManagePayouts>, Id<SettlementId>>,
) -> Result<Answer<SettlementView>, ApiError> {
    staff.require_everywhere(Capability::PayoutsManage)?;
    api.payouts.discard(staff.scope(), id).await?;
    Ok(Answer(found(&api, staff.scope(), id).await?))
}

async fn found(api: &Api, scope: &SiteScope, id: SettlementId) -> Result<SettlementView, ApiError> {
    let view = api.payout_queries.settlement(scope, id).await?;
    Ok(view.ok_or(PayoutError::SettlementNotFound)?)
}
