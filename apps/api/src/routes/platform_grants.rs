//! Visits of platform staff, as the site sees them: who, why, until when; and showing them out.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::{GrantId, Page};
use posx_tenancy::GrantView;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{PageQuery, page};
use crate::extract::{Allowed, Guarded, Id, PathId as _, Policy as _, Query, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(end);
}

/// When platform staff was here, newest first.
#[utoipa::path(tag = "platform-grants", operation_id = "list_platform_grants", params(PageQuery),
    extensions(("x-capability" = json!(can::ReadAudit::names()))), responses((status = 200, body = Page<GrantView>)))]
#[get("/api/v1/platform-grants")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ReadAudit>, Query<PageQuery>>,
) -> Result<Answer<Page<GrantView>>, ApiError> {
    let page = page(query.limit, query.after);
    Ok(Answer(api.database.platform_grants(staff.scope(), page).await?))
}

/// Shows a visitor out before the time is up. They are out from the next request on.
#[utoipa::path(tag = "platform-grants", operation_id = "end_site_platform_grant", params(("id" = GrantId, Path)),
    extensions(("x-capability" = json!(can::EndPlatformGrants::names()))),
    responses((status = 204, description = "It has ended.")))]
#[post("/api/v1/platform-grants/{id}/end")]
async fn end(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::EndPlatformGrants>, Id<GrantId>>,
) -> Result<HttpResponse, ApiError> {
    let now = api.clock.now();
    let act = api.ids.uuid(now);
    if api
        .database
        .end_platform_grant(staff.scope(), id, act, now)
        .await?
    {
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(GrantId::not_found())
    }
}
