//! Sites as the platform keeps them, and counts and sums of each.

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use chrono::{DateTime, Utc};
use posx_kernel::{Currency, Cursor, Page, SiteId};
use posx_tenancy::{CreateSite, Module, Site, SiteCode, SiteFigures, SiteState, Span};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedStaff, Guarded, Id, Json, Query, StaffPolicy as _, staff_can};
use crate::problem::{ApiError, EdgeError};
use crate::routes::page;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(create).service(get_one);
    config
        .service(suspend)
        .service(reactivate)
        .service(change_host_names);
    config.service(figures);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PlatformSiteView {
    id: SiteId,
    code: SiteCode,
    name: String,
    host_names: Vec<String>,
    #[schema(value_type = Vec<String>)]
    cors_origins: Vec<posx_tenancy::Origin>,
    currency: Currency,
    /// An IANA name.
    time_zone: String,
    state: SiteState,
    modules: Vec<Module>,
    order_expiry_minutes: u16,
    created_at: DateTime<Utc>,
}

impl From<Site> for PlatformSiteView {
    fn from(site: Site) -> Self {
        Self {
            id: site.id,
            code: site.code,
            name: site.name,
            host_names: site.host_names,
            cors_origins: site.cors_origins,
            currency: site.currency,
            time_zone: site.time_zone.to_string(),
            state: site.state,
            modules: site.modules,
            order_expiry_minutes: site.order_expiry_minutes,
            created_at: site.created_at,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSiteBody {
    /// 2 to 20 of A-Z, 0-9, _ and -. It never changes.
    code: String,
    name: String,
    #[serde(default)]
    host_names: Vec<String>,
    currency: Currency,
    /// An IANA name; UTC when absent.
    time_zone: Option<String>,
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct HostNamesBody {
    #[serde(default)]
    add: Vec<String>,
    #[serde(default)]
    remove: Vec<String>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct FiguresListing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// 30 days before the end when absent; 366 at most.
    since: Option<DateTime<Utc>>,
    /// Now when absent.
    before: Option<DateTime<Utc>>,
}

/// Every site, newest first.
#[utoipa::path(tag = "platform", operation_id = "list_platform_sites", params(Listing),
    extensions(("x-capability" = json!(staff_can::ReadSites::name()))),
    responses((status = 200, body = Page<PlatformSiteView>)))]
#[get("/platform/v1/sites")]
async fn list(
    Guarded(staff, Query(query)): Guarded<AllowedStaff<staff_can::ReadSites>, Query<Listing>>,
) -> Result<Answer<Page<PlatformSiteView>>, ApiError> {
    let sites = staff
        .platform
        .directory()
        .sites(page(query.limit, query.after))
        .await?;
    Ok(Answer(Page {
        items: sites.items.into_iter().map(Into::into).collect(),
        next: sites.next,
    }))
}

/// Makes a site. Its code is what makes a second request harmless: it is taken then.
#[utoipa::path(tag = "platform", operation_id = "create_platform_site", request_body = NewSiteBody,
    extensions(("x-capability" = json!(staff_can::ManageSites::name()))),
    responses((status = 201, body = PlatformSiteView),
        (status = 409, description = "Another site has this code or host name.")))]
#[post("/platform/v1/sites")]
async fn create(
    Guarded(staff, Json(body)): Guarded<AllowedStaff<staff_can::ManageSites>, Json<NewSiteBody>>,
) -> Result<HttpResponse, ApiError> {
    let time_zone = body.time_zone.as_deref().unwrap_or("UTC");
    let no_time_zone = || EdgeError::FieldInvalid {
        field: "time_zone".to_owned(),
        message: "an IANA time zone, as Asia/Kuwait".to_owned(),
    };
    let wish = CreateSite {
        code: body.code,
        name: body.name,
        host_names: body.host_names,
        currency: body.currency,
        time_zone: time_zone.parse().map_err(|_| no_time_zone())?,
    };
    let site = staff.platform.create(wish).await?;
    Ok(HttpResponse::Created().json(PlatformSiteView::from(site)))
}

#[utoipa::path(tag = "platform", operation_id = "get_platform_site", params(("code" = String, Path)),
    extensions(("x-capability" = json!(staff_can::ReadSites::name()))),
    responses((status = 200, body = PlatformSiteView)))]
#[get("/platform/v1/sites/{code}")]
async fn get_one(
    Guarded(staff, Id(code)): Guarded<AllowedStaff<staff_can::ReadSites>, Id<SiteCode>>,
) -> Result<Answer<PlatformSiteView>, ApiError> {
    Ok(Answer(staff.platform.find(code.as_str()).await?.into()))
}

/// Nobody works in it and its jobs wait; nothing is lost. Requests notice within 30 seconds.
#[utoipa::path(tag = "platform", operation_id = "suspend_platform_site", params(("code" = String, Path)),
    extensions(("x-capability" = json!(staff_can::ManageSites::name()))),
    responses((status = 200, body = PlatformSiteView)))]
#[post("/platform/v1/sites/{code}/suspend")]
async fn suspend(
    Guarded(staff, Id(code)): Guarded<AllowedStaff<staff_can::ManageSites>, Id<SiteCode>>,
) -> Result<Answer<PlatformSiteView>, ApiError> {
    let site = staff.platform.set_state(code.as_str(), SiteState::Suspended);
    Ok(Answer(site.await?.into()))
}

/// Takes a suspended site up again.
#[utoipa::path(tag = "platform", operation_id = "reactivate_platform_site", params(("code" = String, Path)),
    extensions(("x-capability" = json!(staff_can::ManageSites::name()))),
    responses((status = 200, body = PlatformSiteView)))]
#[post("/platform/v1/sites/{code}/reactivate")]
async fn reactivate(
    Guarded(staff, Id(code)): Guarded<AllowedStaff<staff_can::ManageSites>, Id<SiteCode>>,
) -> Result<Answer<PlatformSiteView>, ApiError> {
    let site = staff.platform.set_state(code.as_str(), SiteState::Active);
    Ok(Answer(site.await?.into()))
}

/// Gives host names to a site and takes some from it. What is so already is no mistake.
#[utoipa::path(tag = "platform", operation_id = "change_platform_site_host_names", request_body = HostNamesBody,
    params(("code" = String, Path)),
    extensions(("x-capability" = json!(staff_can::ManageSites::name()))),
    responses((status = 200, body = PlatformSiteView),
        (status = 409, description = "Another site has one of the host names.")))]
#[post("/platform/v1/sites/{code}/host-names")]
async fn change_host_names(
    Guarded(staff, (Id(code), Json(body))): Guarded<
        AllowedStaff<staff_can::ManageSites>,
        (Id<SiteCode>, Json<HostNamesBody>),
    >,
) -> Result<Answer<PlatformSiteView>, ApiError> {
    let site = staff
        .platform
        .change_host_names(code.as_str(), &body.add, &body.remove);
    Ok(Answer(site.await?.into()))
}

/// Counts and sums of each site and currency, newest site first. Nothing of a site but numbers.
#[utoipa::path(tag = "platform", operation_id = "list_platform_figures", params(FiguresListing),
    extensions(("x-capability" = json!(staff_can::ReadFigures::name()))),
    responses((status = 200, body = Page<SiteFigures>)))]
#[get("/platform/v1/figures")]
async fn figures(
    api: Api,
    Guarded(staff, Query(query)): Guarded<AllowedStaff<staff_can::ReadFigures>, Query<FiguresListing>>,
) -> Result<Answer<Page<SiteFigures>>, ApiError> {
    let span = Span::new(query.since, query.before, api.clock.now())?;
    let figures = staff
        .platform
        .directory()
        .figures(span, page(query.limit, query.after));
    Ok(Answer(figures.await?))
}
