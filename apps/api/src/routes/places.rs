//! Branches, warehouses, plants.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post, put};
use posx_kernel::{Cursor, Page, PlaceId, SiteScope};
use posx_tenancy::{Capability, PlaceError, PlaceState, PlaceTerms, PlaceView};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::page;
use crate::extract::{
    Allowed, Guarded, Id, Idempotent, IfMatch, Json, Policy as _, Query, can, created, etag,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_place);
    config
        .service(create)
        .service(edit)
        .service(close)
        .service(reopen);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlaceBody {
    /// 1 to 20 of A-Z 0-9 _ -, for ever.
    code: String,
    name: String,
    /// An IANA name; the site's own when absent.
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceBody {
    name: String,
    /// An IANA name; the site's own when absent.
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    state: Option<PlaceState>,
    limit: Option<u16>,
    after: Option<Cursor>,
}

/// The site's places, newest first.
#[utoipa::path(tag = "places", operation_id = "list_places",
    params(("state" = Option<PlaceState>, Query), ("limit" = Option<u16>, Query), ("after" = Option<String>, Query)),
    extensions(("x-capability" = json!(can::SeePlaces::names()))), responses((status = 200, body = Page<PlaceView>)))]
#[get("/api/v1/places")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::SeePlaces>, Query<Listing>>,
) -> Result<Answer<Page<PlaceView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.place_queries.places(staff.scope(), query.state, page).await?,
    ))
}

#[utoipa::path(tag = "places", operation_id = "get_place", params(("id" = PlaceId, Path)),
    extensions(("x-capability" = json!(can::SeePlaces::names()))),
    responses((status = 200, body = PlaceView, headers(("ETag" = String, description = "The version, for If-Match.")))))]
#[get("/api/v1/places/{id}")]
async fn get_place(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::SeePlaces>, Id<PlaceId>>,
) -> Result<HttpResponse, ApiError> {
    show(&api, staff.scope(), id).await
}

/// Makes a place. Only for who is not narrowed to places.
#[utoipa::path(tag = "places", operation_id = "create_place", request_body = NewPlaceBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePlaces::names()))),
    responses((status = 201, body = PlaceView, headers(("ETag" = String), ("Location" = String))),
        (status = 409, description = "The site has this code already.")))]
#[post("/api/v1/places")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<Allowed<can::ManagePlaces>, Idempotent<NewPlaceBody>>,
) -> Result<HttpResponse, ApiError> {
    staff.require_everywhere(Capability::PlacesManage)?;
    let call = request.call(staff.who(), "POST /api/v1/places", api.clock.now());
    let NewPlaceBody {
        code,
        name,
        time_zone,
    } = request.body;
    let terms = PlaceTerms { name, time_zone };
    let made = api
        .services
        .places
        .create(staff.scope(), code, &terms, Some(&call))
        .await?;
    let view = view(&api, staff.scope(), made.id).await?;
    Ok(created(&made)
        .insert_header(etag(view.version))
        .insert_header(("location", format!("/api/v1/places/{}", view.id)))
        .json(view))
}

#[utoipa::path(tag = "places", operation_id = "edit_place", request_body = PlaceBody,
    params(("id" = PlaceId, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManagePlaces::names()))),
    responses((status = 200, body = PlaceView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/places/{id}")]
async fn edit(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), Json(body))): Guarded<
        Allowed<can::ManagePlaces>,
        (Id<PlaceId>, IfMatch, Json<PlaceBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    staff.require_at(Capability::PlacesManage, id)?;
    let PlaceBody { name, time_zone } = body;
    let terms = PlaceTerms { name, time_zone };
    api.services.places.edit(staff.scope(), id, seen, &terms).await?;
    show(&api, staff.scope(), id).await
}

/// Nothing new happens there from now on. Who is narrowed to it stays so.
#[utoipa::path(tag = "places", operation_id = "close_place",
    params(("id" = PlaceId, Path), ("If-Match" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePlaces::names()))),
    responses((status = 200, body = PlaceView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/places/{id}/close")]
async fn close(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen))): Guarded<Allowed<can::ManagePlaces>, (Id<PlaceId>, IfMatch)>,
) -> Result<HttpResponse, ApiError> {
    staff.require_at(Capability::PlacesManage, id)?;
    api.services
        .places
        .set_state(staff.scope(), id, seen, PlaceState::Closed)
        .await?;
    show(&api, staff.scope(), id).await
}

#[utoipa::path(tag = "places", operation_id = "reopen_place",
    params(("id" = PlaceId, Path), ("If-Match" = String, Header)),
    extensions(("x-capability" = json!(can::ManagePlaces::names()))),
    responses((status = 200, body = PlaceView, headers(("ETag" = String))),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[post("/api/v1/places/{id}/reopen")]
async fn reopen(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen))): Guarded<Allowed<can::ManagePlaces>, (Id<PlaceId>, IfMatch)>,
) -> Result<HttpResponse, ApiError> {
    staff.require_at(Capability::PlacesManage, id)?;
    api.services
        .places
        .set_state(staff.scope(), id, seen, PlaceState::Active)
        .await?;
    show(&api, staff.scope(), id).await
}

async fn view(api: &Api, scope: &SiteScope, id: PlaceId) -> Result<PlaceView, ApiError> {
    let place = api.place_queries.place(scope, id).await?;
    Ok(place.ok_or(PlaceError::NotFound)?)
}

async fn show(api: &Api, scope: &SiteScope, id: PlaceId) -> Result<HttpResponse, ApiError> {
    let view = view(api, scope, id).await?;
    Ok(HttpResponse::Ok().insert_header(etag(view.version)).json(view))
}
