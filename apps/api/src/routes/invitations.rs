//! Inviting people by e-mail, and accepting.

use std::collections::BTreeSet;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::{Cursor, InvitationId, Page, PlaceId, SiteScope};
use posx_tenancy::{InvitationError, InvitationState, InvitationView, MemberTerms, Role};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

use super::me::MembershipView;
use super::page;
use crate::extract::{
    Allowed, AllowedMember, Guarded, Id, Idempotent, Json, Policy as _, Query, SignedIn, can, created,
};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(list).service(create).service(accept);
    config.service(get_invitation).service(resend).service(revoke);
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationBody {
    email: String,
    /// At most the caller's own rank.
    role: Role,
    /// Where the membership will hold, at most 100; the whole site when empty.
    #[serde(default)]
    places: BTreeSet<PlaceId>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptanceBody {
    /// From the message.
    token: String,
}

/// Without the token.
impl std::fmt::Debug for AcceptanceBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcceptanceBody").finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    state: Option<InvitationState>,
    limit: Option<u16>,
    after: Option<Cursor>,
}

/// The site's invitations, newest first.
#[utoipa::path(tag = "invitations", operation_id = "list_invitations",
    params(("state" = Option<InvitationState>, Query), ("limit" = Option<u16>, Query), ("after" = Option<String>, Query)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))), responses((status = 200, body = Page<InvitationView>)))]
#[get("/api/v1/invitations")]
async fn list(
    api: Api,
    Guarded(staff, Query(query)): Guarded<Allowed<can::ManageMembers>, Query<Listing>>,
) -> Result<Answer<Page<InvitationView>>, ApiError> {
    let (now, page) = (api.clock.now(), page(query.limit, query.after));
    let found = api
        .invitation_queries
        .invitations(staff.scope(), query.state, now, page);
    Ok(Answer(found.await?))
}

#[utoipa::path(tag = "invitations", operation_id = "get_invitation", params(("id" = InvitationId, Path)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))), responses((status = 200, body = InvitationView)))]
#[get("/api/v1/invitations/{id}")]
async fn get_invitation(
    api: Api,
    Guarded(staff, Id(id)): Guarded<Allowed<can::ManageMembers>, Id<InvitationId>>,
) -> Result<Answer<InvitationView>, ApiError> {
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Sends a link to an address. Whoever opens it and signs in gets the role, once, within seven days; if the caller may
/// still grant it then. Who invites an owner or an admin proves a second factor. One invitation per address is pending, and 200
/// per site.
#[utoipa::path(tag = "invitations", operation_id = "create_invitation", request_body = InvitationBody,
    params(("Idempotency-Key" = String, Header)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))),
    responses((status = 201, body = InvitationView, headers(("Location" = String))),
        (status = 409, description = "One to this address is pending, too many are, or no e-mail is sent here.")))]
#[post("/api/v1/invitations")]
async fn create(
    api: Api,
    Guarded(staff, request): Guarded<AllowedMember<can::ManageMembers>, Idempotent<InvitationBody>>,
) -> Result<HttpResponse, ApiError> {
    let call = request.call(staff.who(), "POST /api/v1/invitations", api.clock.now());
    let InvitationBody { email, role, places } = request.body;
    staff.may_grant(&api, role).await?;
    let terms = MemberTerms { role, places };
    let made = api
        .invitations
        .create(staff.scope(), staff.identity(), &email, terms, Some(&call))
        .await?;
    let view = view(&api, staff.scope(), made.id).await?;
    Ok(created(&made)
        .insert_header(("location", format!("/api/v1/invitations/{}", view.id)))
        .json(view))
}

/// Sends a new link, for seven days from now. The old one does not work any more. Ten times at most.
#[utoipa::path(tag = "invitations", operation_id = "resend_invitation", params(("id" = InvitationId, Path)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))),
    responses((status = 200, body = InvitationView), (status = 409, description = "It is not pending, or was sent ten times.")))]
#[post("/api/v1/invitations/{id}/resend")]
async fn resend(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManageMembers>, Id<InvitationId>>,
) -> Result<Answer<InvitationView>, ApiError> {
    api.invitations
        .resend(staff.scope(), staff.identity(), id)
        .await?;
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// The link does not work any more. Revoking again changes nothing.
#[utoipa::path(tag = "invitations", operation_id = "revoke_invitation", params(("id" = InvitationId, Path)),
    extensions(("x-capability" = json!(can::ManageMembers::names()))),
    responses((status = 200, body = InvitationView), (status = 409, description = "It is accepted or expired.")))]
#[post("/api/v1/invitations/{id}/revoke")]
async fn revoke(
    api: Api,
    Guarded(staff, Id(id)): Guarded<AllowedMember<can::ManageMembers>, Id<InvitationId>>,
) -> Result<Answer<InvitationView>, ApiError> {
    api.invitations
        .revoke(staff.scope(), staff.identity(), id)
        .await?;
    Ok(Answer(view(&api, staff.scope(), id).await?))
}

/// Makes the caller what the invitation says. A member's rank is raised by it, never lowered. The same caller may repeat
/// it.
#[utoipa::path(tag = "invitations", operation_id = "accept_invitation", request_body = AcceptanceBody,
    extensions(("x-capability" = json!("signed-in"))),
    responses((status = 201, body = MembershipView, description = "Accepted."),
        (status = 200, body = MembershipView, description = "Accepted before, by the same caller."),
        (status = 409, description = "It was used, revoked, its time is up, or who invited may not grant it any more.")))]
#[post("/api/v1/invitations/accept")]
async fn accept(
    api: Api,
    Guarded(me, Json(body)): Guarded<SignedIn, Json<AcceptanceBody>>,
) -> Result<HttpResponse, ApiError> {
    let (context, identity) = (&me.context, me.caller.identity);
    let accepted = api
        .invitations
        .accept(&context.scope, &context.site, identity, &body.token)
        .await?;
    let view = MembershipView::of(&accepted.member);
    Ok(if accepted.new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    }
    .json(view))
}

async fn view(api: &Api, scope: &SiteScope, id: InvitationId) -> Result<InvitationView, ApiError> {
    let found = api.invitation_queries.invitation(scope, id, api.clock.now());
    Ok(found.await?.ok_or(InvitationError::NotFound)?)
}
