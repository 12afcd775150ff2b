//! The site that a request is in.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_kernel::Currency;
use posx_tenancy::{Module, Site, SiteCode};
use serde::Serialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::PublicSite;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(current);
}

/// What a site shows to everyone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SiteView {
    pub code: SiteCode,
    pub name: String,
    pub currency: Currency,
    /// An IANA name: `Asia/Kuwait`.
    pub time_zone: String,
    pub modules: Vec<Module>,
    /// How long a placed order waits for its payment.
    pub order_expiry_minutes: u16,
}

impl SiteView {
    pub fn of(site: &Site) -> Self {
        Self {
            code: site.code.clone(),
            name: site.name.clone(),
            currency: site.currency,
            time_zone: site.time_zone.to_string(),
            modules: site.modules.clone(),
            order_expiry_minutes: site.order_expiry_minutes,
        }
    }
}

/// The site that the host name or `X-Site-Code` names.
#[utoipa::path(tag = "sites", operation_id = "current_site", extensions(("x-capability" = json!("public"))),
    responses((status = 200, body = SiteView)))]
#[get("/api/v1/sites/current")]
async fn current(site: PublicSite) -> Answer<SiteView> {
    Answer(SiteView::of(&site.0.site))
}
