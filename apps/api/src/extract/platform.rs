//! Who calls on the platform plane, and platform staff inside a site.

use std::marker::PhantomData;
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderValue, WWW_AUTHENTICATE};
use actix_web::{FromRequest, HttpRequest};
use chrono::TimeDelta;
use posx_kernel::{GrantId, IdentityId, Who};
use posx_oidc::{AuthError, Verified, VerifiedToken};
use posx_runtime::PlatformPlane;
use posx_tenancy::{
    PROOF_LIFE, Platform, PlatformCapability, PlatformError, SiteCode, SiteError, Staff, StaffState,
};

use super::allowed::Access;
use super::caller::{api_of, bearer, refused};
use super::site::site_of;
use super::{Extracting, PathId, SiteContext};
use crate::actor::actor;
use crate::limit;
use crate::problem::{ApiError, EdgeError, SecondFactorHint, SecondFactorWay};
use crate::state::ApiState;

/// How far the issuer's clock may be ahead of ours.
const LEEWAY: TimeDelta = TimeDelta::seconds(60);

/// One of the staff. What changes something was asked for a second factor.
#[derive(Debug)]
pub struct PlatformCaller {
    pub staff: Staff,
    /// In their name.
    pub platform: Platform,
    /// Whose tokens the plane takes.
    pub issuer: String,
}

impl PlatformCaller {
    async fn of(
        req: &HttpRequest,
        api: &ApiState,
        capability: Option<PlatformCapability>,
    ) -> Result<Self, ApiError> {
        let plane = api.platform.clone().ok_or(EdgeError::NoRoute)?;
        let token = match authenticate(req, &plane).await {
            Ok(token) => token,
            Err(error) => {
                limit::count_address(req, api, None).await?;
                return Err(error);
            }
        };
        let directory = plane.platform.directory();
        let identity = directory.identity(&token.issuer, &token.subject).await?;
        limit::count_caller(req, api, &identity.to_string(), None).await?;
        let staff = directory.staff_member(identity).await?;
        let staff = staff.filter(|staff| staff.state == StaffState::Active);
        let staff = staff.ok_or(PlatformError::NotStaff)?;
        if let Some(missing) = capability.filter(|capability| !staff.role.may(*capability)) {
            return Err(PlatformError::NotAllowed(missing.as_str()).into());
        }
        if !req.method().is_safe() {
            prove(api, &plane, &token)?;
        }
        Ok(Self {
            staff,
            platform: plane.platform.by(actor(req, api, Who::Person(identity))),
            issuer: token.issuer,
        })
    }
}

async fn authenticate(req: &HttpRequest, plane: &PlatformPlane) -> Result<VerifiedToken, ApiError> {
    match plane
        .verifier
        .verify_caller(bearer(req)?)
        .await
        .map_err(refused)?
    {
        Verified::Person(token) => Ok(token),
        Verified::Service(_) => Err(EdgeError::ServiceCaller.into()),
    }
}

/// Only the issuer vouches here: the plane keeps no second factors of its own.
fn prove(api: &ApiState, plane: &PlatformPlane, token: &VerifiedToken) -> Result<(), ApiError> {
    let now = api.clock.now();
    let at = token.authenticated_at.filter(|_| token.second_factor);
    if at.is_some_and(|at| at <= now + LEEWAY && now < at + PROOF_LIFE) {
        return Ok(());
    }
    let claims = plane.verifier.second_factor_claims(&token.issuer);
    let hint = SecondFactorHint {
        ways: vec![SecondFactorWay::SignInAgain],
        max_age_s: PROOF_LIFE.num_seconds(),
        acr_values: claims.map_or_else(Vec::new, |claims| claims.contexts.clone()),
    };
    let challenge =
        HeaderValue::from_static(r#"Bearer error="insufficient_user_authentication", max_age="600""#);
    Err(ApiError::from(SiteError::SecondFactorNeeded)
        .with_second_factor(hint)
        .with_header(WWW_AUTHENTICATE, challenge))
}

/// Platform staff in the request's site, if that is whom the token speaks for: under a grant that is open here now, or not
/// at all. The grant is looked up at each request, so whoever is shown out is out.
pub(super) async fn at_site(
    req: &HttpRequest,
    api: &ApiState,
) -> Result<Option<(SiteContext, Access)>, ApiError> {
    let Some(plane) = &api.platform else {
        return Ok(None);
    };
    let token = match plane.verifier.verify(bearer(req)?).await {
        Ok(token) => token,
        Err(AuthError::Invalid(_)) => return Ok(None),
        Err(error) => return Err(refused(error).into()),
    };
    let identity = api.directory.identity(&token.issuer, &token.subject).await?;
    let context = SiteContext::of(req, api).await;
    limit::count_caller(req, api, &identity.to_string(), site_of(&context)).await?;
    let context = context?;
    let grant = open_grant(api, &context, identity).await?;
    let grant = grant.ok_or(SiteError::NotAMember)?;
    Ok(Some((context, Access::Staff { identity, grant })))
}

async fn open_grant(
    api: &ApiState,
    context: &SiteContext,
    staff: IdentityId,
) -> Result<Option<GrantId>, ApiError> {
    let now = api.clock.now();
    Ok(api
        .database
        .open_platform_grant(&context.scope, staff, now)
        .await?)
}

/// Any of the staff, about themselves.
impl FromRequest for PlatformCaller {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { Self::of(&req, api_of(&req), None).await })
    }
}

/// What a route of the plane asks for.
pub trait StaffPolicy: 'static {
    const CAPABILITY: PlatformCapability;

    /// As the OpenAPI document names it.
    fn name() -> &'static str {
        Self::CAPABILITY.as_str()
    }
}

/// The policies of the plane.
pub mod staff_can {
    use posx_tenancy::PlatformCapability;

    use super::StaffPolicy;

    macro_rules! policies {
        ($($name:ident = $capability:ident;)+) => {$(
            #[derive(Debug)]
            pub struct $name;
            impl StaffPolicy for $name {
                const CAPABILITY: PlatformCapability = PlatformCapability::$capability;
            }
        )+};
    }

    policies! {
        ReadSites = SitesRead;
        ManageSites = SitesManage;
        ReadFigures = FiguresRead;
        ReadStaff = StaffRead;
        ManageStaff = StaffManage;
        ReadGrants = GrantsRead;
        OpenGrants = GrantsOpen;
        ReadAudit = AuditRead;
    }
}

/// One of the staff whom the policy lets in.
#[derive(Debug)]
pub struct AllowedStaff<P: StaffPolicy> {
    caller: PlatformCaller,
    policy: PhantomData<P>,
}

impl<P: StaffPolicy> Deref for AllowedStaff<P> {
    type Target = PlatformCaller;

    fn deref(&self) -> &PlatformCaller {
        &self.caller
    }
}

impl<P: StaffPolicy> FromRequest for AllowedStaff<P> {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            Ok(Self {
                caller: PlatformCaller::of(&req, api_of(&req), Some(P::CAPABILITY)).await?,
                policy: PhantomData,
            })
        })
    }
}

impl PathId for SiteCode {
    fn read(text: &str) -> Option<Self> {
        Self::new(text)
    }

    fn not_found() -> ApiError {
        PlatformError::Unknown.into()
    }
}

impl PathId for GrantId {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn not_found() -> ApiError {
        PlatformError::GrantUnknown.into()
    }
}

/// A staff member's identity, which is no member's.
#[derive(Debug, Clone, Copy)]
pub struct StaffId(pub IdentityId);

impl PathId for StaffId {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    fn not_found() -> ApiError {
        PlatformError::StaffUnknown.into()
    }
}
