//! Tiers, and the chain assets that they sell.

mod assets;
mod body;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post, put};
use posx_kernel::{Page, SiteScope, TierId};
use posx_tenancy::{Capability, ReviewedOperation};
use posx_tiers::{CorrectSupply, TierError, TierView};
use utoipa_actix_web::service_config::ServiceConfig;

use self::body::{CorrectionBody, NewTierBody, TierBody};
use super::approvals::{Asked, Maker};
use super::whole;
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IfMatch, Json, Policy as _, Visitor, can, created, etag,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list)
        .service(get_tier)
        .service(create)
        .service(edit);
    config
        .service(activate)
        .service(deactivate)
        .service(correct_supply);
    assets::routes(config);
}

/// The tiers on sale, in the site's order. With `tiers:manage`: all of them, with their counters.
#[utoipa::path(tag = "tiers", operation_id = "list_tiers", extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = Page<TierView>)))]
#[get("/api/v1/tiers")]
async fn list(api: Api, visitor: Visitor) -> Result<Answer<Page<TierView>>, ApiError> {
    let staff = visitor.may(Capability::TiersManage);
    let tiers = api
        .tier_queries
        .tiers(&visitor.context.scope, staff, api.clock.now())
        .await?;
    Ok(Answer(whole(tiers)))
}

#[utoipa::path(tag = "tiers", operation_id = "get_tier", params(("id" = TierId, Path)),
    extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = TierView, headers(("ETag" = String, description = "The version, for If-Match.")))))]
#[get("/api/v1/tiers/{id}")]
async fn get_tier(
    api: Api,
    Guarded(visitor, Id(id)): Guarded<Visitor, Id<TierId>>,
) -> Result<HttpResponse, ApiError> {
    show(
        &api,
        &visitor.context.scope,
        id,
        visitor.may(Capability::TiersManage),
    )
    .await
}

#[utoipa::path(tag = "tiers", operation_id = "create_tier", request_body = NewTierBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageTiers::names()))),
    responses((status = 201, body = TierView, headers(("ETag" = String), ("Location" = String)))))]
#[post("/api/v1/tiers")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManageTiers>, Idempotent<NewTierBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/tiers", api.clock.now());
    let (wish, currency) = (request.body.into_wish()?, staff.site().currency);
    let made = api
        .tiers
        .create(staff.scope(), currency, wish, Some(&call))
        .await?;
    let view = view(&api, staff.scope(), made.id, true).await?;
    Ok(created(&made)
        .insert_header(etag(view.version))
        .insert_header(("location", format!("/api/v1/tiers/{}", view.id)))
        .json(view))
}

/// Replaces what an admin decides about the tier. What it sells, and how many, is not edited here.
#[utoipa::path(tag = "tiers", operation_id = "edit_tier", request_body = TierBody,
    params(("id" = TierId, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageTiers::names()))),
    responses((status = 200, body = TierView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/tiers/{id}")]
async fn edit(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManageTiers>,
        (Id<TierId>, IfMatch, Json<TierBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let terms = body.into_terms()?;
    api.tiers
        .edit(staff.scope(), staff.site().currency, id, seen, terms)
        .await?;
    show(&api, staff.scope(), id, true).await
}

#[utoipa::path(tag = "tiers", operation_id = "activate_tier",
    params(("id" = TierId, Path), ("If-Match" = String, Header)),
    extensions(("x-capability" = json!(can::ManageTiers::names()))),
    responses((status = 200, body = TierView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/tiers/{id}/activate")]
async fn activate(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen))): Guarded<Allowed<can::ManageTiers>, (Id<TierId>, IfMatch)>,
) -> Result<HttpResponse, ApiError> {
    api.tiers.set_active(staff.scope(), id, seen, true).await?;
    show(&api, staff.scope(), id, true).await
}

/// Takes the tier off sale. Placed orders go on.
#[utoipa::path(tag = "tiers", operation_id = "deactivate_tier",
    params(("id" = TierId, Path), ("If-Match" = String, Header)),
    extensions(("x-capability" = json!(can::ManageTiers::names()))),
    responses((status = 200, body = TierView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/tiers/{id}/deactivate")]
async fn deactivate(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen))): Guarded<Allowed<can::ManageTiers>, (Id<TierId>, IfMatch)>,
) -> Result<HttpResponse, ApiError> {
    api.tiers.set_active(staff.scope(), id, seen, false).await?;
    show(&api, staff.scope(), id, true).await
}

/// Adds to or takes from the supply, with a reason. What is reserved or sold is never taken.
#[utoipa::path(tag = "tiers", operation_id = "correct_tier_supply", request_body = CorrectionBody,
    params(("id" = TierId, Path), ("Idempotency-Key" = String, Header),
        ("Approval" = Option<String>, Header, description = "Of a second person, above the site's limit.")),
    extensions(("x-capability" = json!(can::CorrectSupply::names()))),
    responses((status = 201, body = TierView), (status = 409, description = "Fewer are free, or a second person must agree.")))]
#[post("/api/v1/tiers/{id}/supply-corrections")]
async fn correct_supply(
    api: Api,
    Guarded(staff, (Id(id), request)): Guarded<
        AllowedMember<can::CorrectSupply>,
        (Id<TierId>, Idempotent<CorrectionBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let operation = "POST /api/v1/tiers/{id}/supply-corrections";
    let call = request.call(staff.who(), operation, api.clock.now());
    let wish = CorrectSupply {
        tier: id,
        quantity: request.body.quantity,
        reason: request.body.reason.clone(),
    };
    let asked = Asked {
        operation: ReviewedOperation::SupplyCorrection,
        quantity: i64::try_from(wish.quantity.unsigned_abs()).unwrap_or(i64::MAX),
    };
    let made = Maker::of(&staff, request.labelled())
        .reviewed(&api, asked, call, async |call| {
            let (scope, by) = (staff.scope(), staff.identity());
            api.tiers.correct_supply(scope, by, wish, Some(call)).await
        })
        .await?;
    let view = view(&api, staff.scope(), id, true).await?;
    Ok(created(&made).insert_header(etag(view.version)).json(view))
}

async fn view(api: &Api, scope: &SiteScope, id: TierId, staff: bool) -> Result<TierView, ApiError> {
    let tier = api.tier_queries.tier(scope, id, staff, api.clock.now()).await?;
    Ok(tier.ok_or(TierError::NotFound)?)
}

async fn show(api: &Api, scope: &SiteScope, id: TierId, staff: bool) -> Result<HttpResponse, ApiError> {
    let view = view(api, scope, id, staff).await?;
    Ok(HttpResponse::Ok().insert_header(etag(view.version)).json(view))
}
