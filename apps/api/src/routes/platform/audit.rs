//! What was done on the plane.

use actix_web::get;
use actix_web::web::Json as Answer;
use posx_kernel::{Cursor, IdentityId, Page};
use posx_tenancy::{ActFilter, ActView};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedStaff, Guarded, Query, StaffPolicy as _, staff_can};
use crate::problem::ApiError;
use crate::routes::page;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    limit: Option<u16>,
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
    /// A site's code.
    site: Option<String>,
    /// Who did it, of the staff.
    actor: Option<IdentityId>,
}

/// Who did what on the plane, newest first.
#[utoipa::path(tag = "platform", operation_id = "list_platform_audit", params(Listing),
    extensions(("x-capability" = json!(staff_can::ReadAudit::name()))), responses((status = 200, body = Page<ActView>)))]
#[get("/platform/v1/audit")]
async fn list(
    Guarded(admin, Query(query)): Guarded<AllowedStaff<staff_can::ReadAudit>, Query<Listing>>,
) -> Result<Answer<Page<ActView>>, ApiError> {
    let site = match query.site {
        Some(code) => Some(admin.platform.find(&code).await?.id),
        None => None,
    };
    let filter = ActFilter {
        site,
        actor: query.actor,
    };
    let acts = admin
        .platform
        .directory()
        .audit(&filter, page(query.limit, query.after));
    Ok(Answer(acts.await?))
}
