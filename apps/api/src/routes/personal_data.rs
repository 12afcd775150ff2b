//! What the site holds of a person: for themselves, and for staff whom they ask.

use actix_web::{HttpResponse, get, post};
use posx_kernel::{PartyId, SiteScope};
use posx_tenancy::SiteError;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::extract::{AllowedMember, Guarded, Id, Json, Policy as _, SignedIn, can};
use crate::problem::ApiError;
use crate::state::{Api, ApiState};

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(mine).service(export).service(erase);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ErasureBody {
    /// 1 to 500 characters, kept with the act; nothing personal belongs here.
    reason: String,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ErasureView {
    party_id: PartyId,
    /// False while the same login is a member of another site or works for the platform.
    login_forgotten: bool,
}

/// Everything that the site holds of the caller: arrays of rows as they are stored, money in minor units, tokens in base units.
#[utoipa::path(tag = "personal data", operation_id = "export_my_personal_data", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 200, content_type = "application/json", body = Object, description = "A file of rows by table.")))]
#[get("/api/v1/me/personal-data")]
async fn mine(api: Api, me: SignedIn) -> Result<HttpResponse, ApiError> {
    let member = api
        .directory
        .member(me.context.site.id, me.caller.identity)
        .await?;
    let member = member.ok_or(SiteError::NotAMember)?;
    file(&api, &me.context.scope, member.party).await
}

/// Everything that the site holds of a person, for one who asked for it.
#[utoipa::path(tag = "personal data", operation_id = "export_personal_data", params(("id" = PartyId, Path)),
    extensions(("x-capability" = json!(can::ManagePersonalData::names()))),
    responses((status = 200, content_type = "application/json", body = Object, description = "A file of rows by table.")))]
#[get("/api/v1/parties/{id}/personal-data")]
async fn export(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManagePersonalData>, Id<PartyId>>,
) -> Result<HttpResponse, ApiError> {
    file(&api, staff.scope(), id).await
}

/// Forgets who a person was. Orders, commissions and the books stay, under an id that stands for nobody. Refused while
/// something is owed or under way.
#[utoipa::path(tag = "personal data", operation_id = "erase_personal_data", params(("id" = PartyId, Path)),
    request_body = ErasureBody, extensions(("x-capability" = json!(can::ManagePersonalData::names()))),
    responses((status = 200, body = ErasureView), (status = 409, description = "Something is still owed or under way.")))]
#[post("/api/v1/parties/{id}/erase")]
async fn erase(
    api: Api,
    Guarded(staff, (Id(id), Json(body))): Guarded<
        AllowedMember<can::ManagePersonalData>,
        (Id<PartyId>, Json<ErasureBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    let erased = api
        .personal_data
        .erase(staff.scope(), staff.site(), id, &body.reason);
    let login_forgotten = erased.await?;
    Ok(HttpResponse::Ok().json(ErasureView {
        party_id: id,
        login_forgotten,
    }))
}

async fn file(api: &ApiState, scope: &SiteScope, party: PartyId) -> Result<HttpResponse, ApiError> {
    let text = api.personal_data.export(scope, party).await?;
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((
            "content-disposition",
            "attachment; filename=\"personal-data.json\"",
        ))
        .body(text))
}
