//! Who the caller is here, joining, and whom they referred.

mod agent;
pub mod payouts;
pub mod wallets;

use std::collections::BTreeSet;

use actix_web::web::Json as Answer;
use actix_web::{HttpResponse, get, post};
use posx_kernel::{Cursor, IdentityId, Page, PartyId, PlaceId};
use posx_tenancy::{Join, Member, ReferralClaim, ReferralCode, ReferralEntry, Role};
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;

use super::sites::SiteView;
use super::{PageQuery, page};
use crate::extract::{AllowedMember, Guarded, Json, Policy as _, Query, SignedIn, can};
use crate::problem::ApiError;
use crate::state::Api;

pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(get_me).service(join).service(referrals);
    agent::routes(config);
    payouts::routes(config);
    wallets::routes(config);
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MeView {
    pub identity_id: IdentityId,
    pub site: SiteView,
    /// Absent until the caller joins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipView>,
    /// In the answer to joining: what became of the referral code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub referral: Option<ReferralClaim>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MembershipView {
    pub party_id: PartyId,
    pub role: Role,
    /// Where the membership holds; the whole site when empty.
    pub places: BTreeSet<PlaceId>,
    pub capabilities: Vec<&'static str>,
    pub referral_code: ReferralCode,
}

impl MembershipView {
    pub fn of(member: &Member) -> Self {
        Self {
            party_id: member.party,
            role: member.role,
            places: member.places.clone(),
            capabilities: member
                .role
                .capabilities()
                .iter()
                .map(|capability| capability.as_str())
                .collect(),
            referral_code: member.referral_code.clone(),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinBody {
    /// One that is unknown does not block joining.
    referral_code: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReferralsView {
    /// What the caller gives to others.
    pub referral_code: ReferralCode,
    pub items: Vec<ReferralEntry>,
    #[schema(value_type = Option<String>)]
    pub next: Option<Cursor>,
}

/// The caller's identity, and their place in this site if they have one.
#[utoipa::path(tag = "me", operation_id = "get_me", extensions(("x-capability" = json!("signed-in"))),
    responses((status = 200, body = MeView)))]
#[get("/api/v1/me")]
async fn get_me(api: Api, me: SignedIn) -> Result<Answer<MeView>, ApiError> {
    let member = api
        .directory
        .member(me.context.site.id, me.caller.identity)
        .await?;
    Ok(Answer(MeView {
        identity_id: me.caller.identity,
        site: SiteView::of(&me.context.site),
        membership: member.as_ref().map(MembershipView::of),
        referral: None,
    }))
}

/// Joins the site as a buyer. Joining again changes nothing; who was disabled stays out.
#[utoipa::path(tag = "me", operation_id = "join_site", request_body = JoinBody,
    extensions(("x-capability" = json!("signed-in"))),
    responses((status = 201, body = MeView, description = "Joined."), (status = 200, body = MeView, description = "A member before.")))]
#[post("/api/v1/me")]
async fn join(
    api: Api,
    Guarded(me, Json(body)): Guarded<SignedIn, Json<JoinBody>>,
) -> Result<HttpResponse, ApiError> {
    let wish = Join {
        site: &me.context.site,
        identity: me.caller.identity,
        referral_code: body.referral_code.as_deref(),
    };
    let joined = api.tenancy.join(&me.context.scope, wish).await?;
    let view = MeView {
        identity_id: me.caller.identity,
        site: SiteView::of(&me.context.site),
        membership: Some(MembershipView::of(&joined.member)),
        referral: Some(joined.referral),
    };
    Ok(if joined.new {
        HttpResponse::Created()
    } else {
        HttpResponse::Ok()
    }
    .json(view))
}

/// Whom the caller referred, newest first, and the caller's own code.
#[utoipa::path(tag = "me", operation_id = "list_referrals",
    params(("limit" = Option<u16>, Query), ("after" = Option<String>, Query)),
    extensions(("x-capability" = json!(can::Buy::names()))), responses((status = 200, body = ReferralsView)))]
#[get("/api/v1/referrals")]
async fn referrals(
    api: Api,
    Guarded(me, Query(query)): Guarded<AllowedMember<can::Buy>, Query<PageQuery>>,
) -> Result<Answer<ReferralsView>, ApiError> {
    let page = page(query.limit, query.after);
    let Page { items, next } = api
        .referral_queries
        .referred_by(me.scope(), me.party(), page)
        .await?;
    Ok(Answer(ReferralsView {
        referral_code: me.member().referral_code.clone(),
        items,
        next,
    }))
}
