//! Who works for the platform.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_kernel::{GrantId, IdentityId, Page, SiteId, Timestamp};
use posx_tenancy::{Staff, StaffRole, StaffState};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedStaff, Guarded, Id, Json, PlatformCaller, StaffId, StaffPolicy as _, staff_can};
use crate::problem::{ApiError, EdgeError};
use crate::routes::whole;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(me).service(list).service(appoint).service(disable);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StaffView {
    id: IdentityId,
    name: String,
    role: StaffRole,
    state: StaffState,
    capabilities: Vec<&'static str>,
    appointed_at: DateTime<Utc>,
    /// The site that they are in now.
    #[serde(skip_serializing_if = "Option::is_none")]
    visit: Option<VisitView>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct VisitView {
    grant_id: GrantId,
    site_id: SiteId,
    until: DateTime<Utc>,
}

impl StaffView {
    fn of(staff: &Staff, now: Timestamp) -> Self {
        let capabilities = staff.role.capabilities().iter();
        Self {
            id: staff.identity,
            name: staff.name.clone(),
            role: staff.role,
            state: staff.state,
            capabilities: capabilities.map(|capability| capability.as_str()).collect(),
            appointed_at: staff.appointed_at,
            visit: staff.visit_at(now).map(|visit| VisitView {
                grant_id: visit.grant,
                site_id: visit.site,
                until: visit.until,
            }),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AppointBody {
    /// The `sub` of their tokens at the plane's issuer.
    subject: String,
    /// 1 to 200 characters, shown to the owners of sites that they enter.
    name: String,
    role: StaffRole,
}

/// The caller's own place on the staff.
#[utoipa::path(tag = "platform", operation_id = "get_platform_me", extensions(("x-capability" = json!("platform:any"))),
    responses((status = 200, body = StaffView)))]
#[get("/platform/v1/me")]
async fn me(api: Api, caller: PlatformCaller) -> Answer<StaffView> {
    Answer(StaffView::of(&caller.staff, api.clock.now()))
}

/// Everyone who is or was on the staff.
#[utoipa::path(tag = "platform", operation_id = "list_platform_staff",
    extensions(("x-capability" = json!(staff_can::ReadStaff::name()))), responses((status = 200, body = Page<StaffView>)))]
#[get("/platform/v1/staff")]
async fn list(
    api: Api,
    admin: AllowedStaff<staff_can::ReadStaff>,
) -> Result<Answer<Page<StaffView>>, ApiError> {
    let (staff, now) = (admin.platform.directory().staff().await?, api.clock.now());
    Ok(Answer(whole(
        staff.iter().map(|staff| StaffView::of(staff, now)).collect(),
    )))
}

/// Puts someone on the staff, changes their name and role, or takes them back. Nobody does it to themselves.
#[utoipa::path(tag = "platform", operation_id = "appoint_platform_staff", request_body = AppointBody,
    extensions(("x-capability" = json!(staff_can::ManageStaff::name()))),
    responses((status = 200, body = StaffView), (status = 409, description = "It would leave no admin.")))]
#[post("/platform/v1/staff")]
async fn appoint(
    api: Api,
    Guarded(admin, Json(body)): Guarded<AllowedStaff<staff_can::ManageStaff>, Json<AppointBody>>,
) -> Result<HttpResponse, ApiError> {
    if !(1..=255).contains(&body.subject.len()) {
        return Err(EdgeError::FieldInvalid {
            field: "subject".to_owned(),
            message: "1 to 255 bytes".to_owned(),
        }
        .into());
    }
    let appointed = admin
        .platform
        .appoint_staff(&admin.issuer, &body.subject, &body.name, body.role)
        .await?;
    Ok(HttpResponse::Ok().json(StaffView::of(&appointed, api.clock.now())))
}

/// Out at once, on the plane and in the site that they visit.
#[utoipa::path(tag = "platform", operation_id = "disable_platform_staff", params(("id" = IdentityId, Path)),
    extensions(("x-capability" = json!(staff_can::ManageStaff::name()))),
    responses((status = 200, body = StaffView), (status = 409, description = "It would leave no admin.")))]
#[post("/platform/v1/staff/{id}/disable")]
async fn disable(
    api: Api,
    Guarded(admin, Id(StaffId(id))): Guarded<AllowedStaff<staff_can::ManageStaff>, Id<StaffId>>,
) -> Result<Answer<StaffView>, ApiError> {
    let disabled = admin.platform.disable_staff(id).await?;
    Ok(Answer(StaffView::of(&disabled, api.clock.now())))
}
