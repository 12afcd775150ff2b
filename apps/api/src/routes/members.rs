//! Who belongs to the site.

use std::collections::BTreeSet;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post, put};
use posx_kernel::{Cursor, IdentityId, Page, PlaceId, SiteScope};
use posx_tenancy::{MemberError, MemberFilter, MemberState, MemberTerms, MemberView, Role};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::page;
use crate::extract::{Allowed, AllowedMember, Guarded, Id, IfMatch, Json, Policy as _, Query, can, etag};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(get_member).service(change);
    config.service(disable).service(enable).service(remove);
}

/// What staff decide about a member.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberBody {
    role: Role,
    /// Where the membership holds, at most 100; the whole site when empty. An owner has the whole site.
    #[serde(default)]
    places: BTreeSet<PlaceId>,
}

impl MemberBody {
    fn into_terms(self) -> MemberTerms {
        MemberTerms {
            role: self.role,
            places: self.places,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    role: Option<Role>,
    state: Option<MemberState>,
    limit: Option<u16>,
    after: Option<Cursor>,
}

/// Members in every state, newest identity first.
#[utoipa::path(tag = "members", operation_id = "list_members",
    params(("role" = Option<Role>, Query), ("state" = Option<MemberState>, Query),
        ("limit" = Option<u16>, Query), ("after" = Option<String>, Query)),
    extensions(("x-capability" = json!(can::SeeMembers::names()))), responses((status = 200, body = Page<MemberView>)))]
#[get("/api/v1/members")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::SeeMembers>, Query<Listing>>,
) -> Result<Answer<Page<MemberView>>, ApiError> {
    let filter = MemberFilter {
        role: query.role,
        state: query.state,
    };
    let page = page(query.limit, query.after);
    Ok(Answer(
        api.member_queries.members(staff.scope(), filter, page).await?,
    ))
}

#[utoipa::path(tag = "members", operation_id = "get_member", params(("id" = IdentityId, Path)),
    extensions(("x-capability" = json!(can::SeeMembers::names()))),
    responses((status = 200, body = MemberView, headers(("ETag" = String, description = "The version, for If-Match.")))))]
#[get("/api/v1/members/{id}")]
async fn get_member(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::SeeMembers>, Id<IdentityId>>,
) -> Result<HttpResponse, ApiError> {
    show(&api, staff.scope(), id).await
}

/// Gives a member a role and places, both at most the caller's own. Owners act on everyone but themselves, the others on
/// who ranks strictly below them. Who makes an owner or an admin proves a second factor.
#[utoipa::path(tag = "members", operation_id = "change_member", request_body = MemberBody,
    params(("id" = IdentityId, Path), ("If-Match" = String, Header, description = "The ETag that was read.")),
    extensions(("x-capability" = json!(can::ManageMembers::names()))),
    responses((status = 200, body = MemberView, headers(("ETag" = String))),
        (status = 409, description = "No active owner would be left, or the membership is over."),
        (status = 412, description = "Someone else changed it."), (status = 428, description = "If-Match is missing.")))]
#[put("/api/v1/members/{id}")]
async fn change(
    api: Api,
    Guarded(staff, (Id(id), IfMatch(seen), Json(body))): Guarded<
        AllowedMember<can::ManageMembers>,
        (Id<IdentityId>, IfMatch, Json<MemberBody>),
    >,
) -> Result<HttpResponse, ApiError> {
    staff.may_grant(&api, body.role).await?;
    let terms = body.into_terms();
    api.members
        .change(staff.scope(), staff.identity(), id, seen, terms)
        .await?;
    show(&api, staff.scope(), id).await
}

/// Keeps a member out, at once here and within a minute everywhere. Joining again does not help.
#[utoipa::path(tag = "members", operation_id = "disable_member", params(("id" = IdentityId, Path)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))),
    responses((status = 200, body = MemberView, headers(("ETag" = String))),
        (status = 409, description = "No active owner would be left, or the membership is over.")))]
#[post("/api/v1/members/{id}/disable")]
async fn disable(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManageMembers>, Id<IdentityId>>,
) -> Result<HttpResponse, ApiError> {
    api.members.disable(staff.scope(), staff.identity(), id).await?;
    show(&api, staff.scope(), id).await
}

/// Lets a disabled member in again, with role and places from before. For an owner or an admin this takes a second factor.
#[utoipa::path(tag = "members", operation_id = "enable_member", params(("id" = IdentityId, Path)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))),
    responses((status = 200, body = MemberView, headers(("ETag" = String))),
        (status = 409, description = "The membership is over.")))]
#[post("/api/v1/members/{id}/enable")]
async fn enable(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManageMembers>, Id<IdentityId>>,
) -> Result<HttpResponse, ApiError> {
    let before = api.member_queries.member(staff.scope(), id).await?;
    let before = before.ok_or(MemberError::NotFound)?;
    staff.may_grant(&api, before.role).await?;
    api.members.enable(staff.scope(), staff.identity(), id).await?;
    show(&api, staff.scope(), id).await
}

/// Ends a membership. The party and its money history stay; the person may join again as a buyer, or be invited.
#[utoipa::path(tag = "members", operation_id = "remove_member", params(("id" = IdentityId, Path)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))),
    responses((status = 200, body = MemberView, headers(("ETag" = String))),
        (status = 409, description = "No active owner would be left.")))]
#[post("/api/v1/members/{id}/remove")]
async fn remove(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManageMembers>, Id<IdentityId>>,
) -> Result<HttpResponse, ApiError> {
    api.members.remove(staff.scope(), staff.identity(), id).await?;
    show(&api, staff.scope(), id).await
}

async fn show(api: &Api, scope: &SiteScope, id: IdentityId) -> Result<HttpResponse, ApiError> {
    let view = api.member_queries.member(scope, id).await?;
    let view = view.ok_or(MemberError::NotFound)?;
    Ok(HttpResponse::Ok().insert_header(etag(view.version)).json(view))
}
