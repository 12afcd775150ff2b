//! Visits of the staff to sites.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_kernel::{GrantId, Page, SiteId};
use posx_tenancy::{GrantView, GrantWish, SiteCode};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedStaff, Guarded, Id, Json, Query, StaffPolicy as _, staff_can};
use crate::problem::ApiError;
use crate::routes::{PageQuery, page};

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(open).service(end).service(list);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantBody {
    /// The site's code.
    site: String,
    /// 10 to 500 characters, for the site's owner to read.
    reason: String,
    /// 15 to 480.
    minutes: u16,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OpenedGrant {
    id: GrantId,
    site_id: SiteId,
    until: DateTime<Utc>,
}

/// Lets the caller look around in one site until the time is up. One at a time; the site's owner sees it from now on.
#[utoipa::path(tag = "platform", operation_id = "open_platform_grant", request_body = GrantBody,
    extensions(("x-capability" = json!(staff_can::OpenGrants::name()))),
    responses((status = 201, body = OpenedGrant),
        (status = 409, description = "Another grant is open, or the site is suspended.")))]
#[post("/platform/v1/grants")]
async fn open(
    Guarded(staff, Json(body)): Guarded<AllowedStaff<staff_can::OpenGrants>, Json<GrantBody>>,
) -> Result<HttpResponse, ApiError> {
    let wish = GrantWish {
        site: &body.site,
        reason: &body.reason,
        minutes: body.minutes,
    };
    let grant = staff.platform.open_grant(staff.staff.identity, &wish).await?;
    Ok(HttpResponse::Created().json(OpenedGrant {
        id: grant.id,
        site_id: grant.site,
        until: grant.until,
    }))
}

/// Ends the caller's own grant before its time.
#[utoipa::path(tag = "platform", operation_id = "end_platform_grant", params(("id" = GrantId, Path)),
    extensions(("x-capability" = json!(staff_can::OpenGrants::name()))),
    responses((status = 204, description = "It has ended.")))]
#[post("/platform/v1/grants/{id}/end")]
async fn end(
    Guarded(staff, Id(id)): Guarded<AllowedStaff<staff_can::OpenGrants>, Id<GrantId>>,
) -> Result<HttpResponse, ApiError> {
    staff.platform.end_grant(staff.staff.identity, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Every visit to the site, newest first.
#[utoipa::path(tag = "platform", operation_id = "list_platform_site_grants", params(("code" = String, Path), PageQuery),
    extensions(("x-capability" = json!(staff_can::ReadGrants::name()))), responses((status = 200, body = Page<GrantView>)))]
#[get("/platform/v1/sites/{code}/grants")]
async fn list(
    Guarded(staff, (Id(code), Query(query))): Guarded<
        AllowedStaff<staff_can::ReadGrants>,
        (Id<SiteCode>, Query<PageQuery>),
    >,
) -> Result<Answer<Page<GrantView>>, ApiError> {
    let site = staff.platform.find(code.as_str()).await?;
    let grants = staff
        .platform
        .directory()
        .grants(site.id, page(query.limit, query.after));
    Ok(Answer(grants.await?))
}
