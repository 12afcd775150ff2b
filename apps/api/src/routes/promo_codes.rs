//! Promo codes: what staff do with them, and what a buyer may ask about one.

mod body;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post, put};
use posx_kernel::{Page, PromoCodeId, SiteScope};
use posx_tiers::{PromoCodeError, PromoCodeTotals, PromoCodeView, PromoRefusal, PromoUsageView};
use utoipa_actix_web::service_config::ServiceConfig;

use self::body::{Listing, NewPromoCodeBody, PromoCheckView, PromoTermsBody, ValidateBody};
use super::orders::wished;
use super::{PageQuery, page};
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, IfMatch, Json, Policy as _, Query, can, created, etag,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(validate).service(list).service(create);
    config.service(get_code).service(edit);
    config.service(activate).service(deactivate);
    config.service(usages).service(totals);
}

/// What a code would do to an order of these lines. Counts no use; `reason` says why it would do nothing.
#[utoipa::path(tag = "promo codes", operation_id = "validate_promo_code", request_body = ValidateBody,
    extensions(("x-capability" = json!(can::Buy::names()))),
    responses((status = 200, body = PromoCheckView), (status = 409, description = "Not enough is left of a tier.")))]
#[post("/api/v1/promo-code-validations")]
async fn validate(
    api: Api,
    Guarded(buyer, Json(body)): Guarded<AllowedMember<can::Buy>, Json<ValidateBody>>,
) -> Result<Answer<PromoCheckView>, ApiError> {
    let (scope, site, code) = (buyer.scope(), buyer.site(), Some(body.code.as_str()));
    let lines = wished(body.lines);
    let quote = api
        .orders
        .preview(scope, site, buyer.party(), &lines, code)
        .await?;
    let checked =
        PromoCheckView::of(&quote).ok_or(posx_orders::OrderError::PromoCode(PromoRefusal::NotFound))?;
    Ok(Answer(checked))
}

/// Newest first.
#[utoipa::path(tag = "promo codes", operation_id = "list_promo_codes", params(Listing),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 200, body = Page<PromoCodeView>)))]
#[get("/api/v1/promo-codes")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ManagePromoCodes>, Query<Listing>>,
) -> Result<Answer<Page<PromoCodeView>>, ApiError> {
    let page = page(query.limit, query.after);
    let codes = api.promo_code_queries.list(staff.scope(), query.active, page);
    Ok(Answer(codes.await?))
}

#[utoipa::path(tag = "promo codes", operation_id = "create_promo_code", request_body = NewPromoCodeBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 201, body = PromoCodeView, headers(("ETag" = String), ("Location" = String))),
        (status = 409, description = "The site has this code already.")))]
#[post("/api/v1/promo-codes")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManagePromoCodes>, Idempotent<NewPromoCodeBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/promo-codes", api.clock.now());
    let currency = staff.site().currency;
    let wish = request.body.into_wish(currency);
    let made = api
        .promo_codes
        .create(staff.scope(), currency, wish, Some(&call))
        .await?;
    let view = view(&api, staff.scope(), made.id).await?;
    Ok(created(&made)
        .insert_header(etag(view.version))
        .insert_header(("location", format!("/api/v1/promo-codes/{}", view.id)))
        .json(view))
}

#[utoipa::path(tag = "promo codes", operation_id = "get_promo_code", params(("id" = PromoCodeId, Path)),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 200, body = PromoCodeView, headers(("ETag" = String, description = "The version, for If-Match.")))))]
#[get("/api/v1/promo-codes/{id}")]
async fn get_code(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ManagePromoCodes>, Id<PromoCodeId>>,
) -> Result<HttpResponse, ApiError> {
    show(&api, staff.scope(), id).await
}

/// Replaces what staff decide about the code. Orders that are placed keep what they were given.
#[utoipa::path(tag = "promo codes", operation_id = "edit_promo_code", request_body = PromoTermsBody,
    params(("id" = PromoCodeId, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 200, body = PromoCodeView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/promo-codes/{id}")]
async fn edit(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManagePromoCodes>,
        (Id<PromoCodeId>, IfMatch, Json<PromoTermsBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let currency = staff.site().currency;
    let terms = body.into_terms(currency);
    api.promo_codes
        .edit(staff.scope(), currency, id, seen, terms)
        .await?;
    show(&api, staff.scope(), id).await
}

#[utoipa::path(tag = "promo codes", operation_id = "activate_promo_code",
    params(("id" = PromoCodeId, Path), ("If-Match" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 200, body = PromoCodeView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/promo-codes/{id}/activate")]
async fn activate(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen))): Guarded<
        Allowed<can::ManagePromoCodes>,
        (Id<PromoCodeId>, IfMatch),
    >,
) -> Result<HttpResponse, ApiError> {
    api.promo_codes.set_active(staff.scope(), id, seen, true).await?;
    show(&api, staff.scope(), id).await
}

/// The code gives nothing to new orders. Codes are never deleted.
#[utoipa::path(tag = "promo codes", operation_id = "deactivate_promo_code",
    params(("id" = PromoCodeId, Path), ("If-Match" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 200, body = PromoCodeView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/promo-codes/{id}/deactivate")]
async fn deactivate(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen))): Guarded<
        Allowed<can::ManagePromoCodes>,
        (Id<PromoCodeId>, IfMatch),
    >,
) -> Result<HttpResponse, ApiError> {
    api.promo_codes.set_active(staff.scope(), id, seen, false).await?;
    show(&api, staff.scope(), id).await
}

/// The orders that the code was applied to, newest first.
#[utoipa::path(tag = "promo codes", operation_id = "list_promo_code_usages", params(("id" = PromoCodeId, Path), PageQuery),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 200, body = Page<PromoUsageView>)))]
#[get("/api/v1/promo-codes/{id}/usages")]
async fn usages(
    api: Api,
    Guarded(staff, (Id(id), Query(query))): Guarded<
        Allowed<can::ManagePromoCodes>,
        (Id<PromoCodeId>, Query<PageQuery>),
    >,
) -> Result<Answer<Page<PromoUsageView>>, ApiError> {
    view(&api, staff.scope(), id).await?;
    let page = page(query.limit, query.after);
    let usages = api.promo_code_queries.usages(staff.scope(), id, page);
    Ok(Answer(usages.await?))
}

/// What came of the code: uses, and what its paid orders brought.
#[utoipa::path(tag = "promo codes", operation_id = "get_promo_code_totals", params(("id" = PromoCodeId, Path)),
    extensions(("x-capability" = json!(can::ManagePromoCodes::names()))),
    responses((status = 200, body = PromoCodeTotals)))]
#[get("/api/v1/promo-codes/{id}/totals")]
async fn totals(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ManagePromoCodes>, Id<PromoCodeId>>,
) -> Result<Answer<PromoCodeTotals>, ApiError> {
    let totals = api.promo_code_queries.totals(staff.scope(), id).await?;
    Ok(Answer(totals.ok_or(PromoCodeError::NotFound)?))
}

async fn view(api: &Api, scope: &SiteScope, id: PromoCodeId) -> Result<PromoCodeView, ApiError> {
    let code = api.promo_code_queries.get(scope, id).await?;
    Ok(code.ok_or(PromoCodeError::NotFound)?)
}

async fn show(api: &Api, scope: &SiteScope, id: PromoCodeId) -> Result<HttpResponse, ApiError> {
    let view = view(api, scope, id).await?;
    Ok(HttpResponse::Ok().insert_header(etag(view.version)).json(view))
}
