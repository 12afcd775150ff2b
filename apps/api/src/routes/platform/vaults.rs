//! The custodian's vaults that a site sends from.

use actix_web::web::Json as Answer;
use actix_web::{get, post};
use posx_tenancy::SiteCode;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedStaff, Guarded, Id, Json, StaffPolicy as _, staff_can};
use crate::problem::ApiError;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(change);
}

/// The custodian's ids.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SiteVaultsView {
    vaults: Vec<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct VaultsBody {
    /// Each is one site's only; a site has at most 50.
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

#[utoipa::path(tag = "platform", operation_id = "list_platform_site_vaults", params(("code" = String, Path)),
    extensions(("x-capability" = json!(staff_can::ReadSites::name()))),
    responses((status = 200, body = SiteVaultsView)))]
#[get("/platform/v1/sites/{code}/vaults")]
async fn list(
    Guarded(staff, Id(code)): Guarded<AllowedStaff<staff_can::ReadSites>, Id<SiteCode>>,
) -> Result<Answer<SiteVaultsView>, ApiError> {
    let site = staff.platform.find(code.as_str()).await?;
    let vaults = staff.platform.vaults(&site).await?;
    Ok(Answer(SiteVaultsView { vaults }))
}

/// Gives vaults to a site and takes some from it: nothing more is sent from these. What is so already is no mistake.
#[utoipa::path(tag = "platform", operation_id = "change_platform_site_vaults", request_body = VaultsBody,
    params(("code" = String, Path)),
    extensions(("x-capability" = json!(staff_can::ManageSites::name()))),
    responses((status = 200, body = SiteVaultsView),
        (status = 409, description = "Another site has one of the vaults.")))]
#[post("/platform/v1/sites/{code}/vaults")]
async fn change(
    Guarded(staff, (Id(code), Json(body))): Guarded<
        AllowedStaff<staff_can::ManageSites>,
        (Id<SiteCode>, Json<VaultsBody>),
    >,
) -> Result<Answer<SiteVaultsView>, ApiError> {
    let vaults = staff
        .platform
        .change_vaults(code.as_str(), &body.add, &body.remove);
    Ok(Answer(SiteVaultsView {
        vaults: vaults.await?,
    }))
}
