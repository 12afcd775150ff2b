//! Whose world the request is in.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use posx_issuer::TokenIssuer;
use posx_kernel::{SiteId, SiteScope, Who};
use posx_tenancy::{Capability, Site, SiteError, SiteState};

use super::caller::api_of;
use super::{Caller, Extracting, SiteCaller};
use crate::actor::actor;
use crate::limit;
use crate::named_site;
use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

/// The site that host name and header agree on, active. Reads of what the site shows to everyone need no more; anything
/// else is behind a membership.
#[derive(Debug, Clone)]
pub struct SiteContext {
    pub site: Site,
    pub scope: SiteScope,
}

impl SiteContext {
    /// The one maker of a request's scope.
    pub(super) async fn of(req: &HttpRequest, api: &ApiState) -> Result<Self, ApiError> {
        let site = named_site::of(req, api).await?.ok_or(SiteError::Missing)?;
        Self::of_named(req, site)
    }

    /// The site whose code stands in the path. Where host name or header name one as well, it is the same.
    pub(super) async fn of_path(req: &HttpRequest, api: &ApiState, code: &str) -> Result<Self, ApiError> {
        let by_path = named_site::by_code(req, api, code).await?;
        match named_site::of(req, api).await? {
            Some(other) if other.id != by_path.id => {
                Self::of_named(req, other)?;
                Err(SiteError::Ambiguous.into())
            }
            _ => Self::of_named(req, by_path),
        }
    }

    fn of_named(req: &HttpRequest, site: Site) -> Result<Self, ApiError> {
        tracing::Span::current().record("site", site.code.as_str());
        if site.state != SiteState::Active {
            return Err(SiteError::Suspended.into());
        }
        let scope = SiteScope::of_verified_request(site.id);
        Ok(Self { site, scope }.acted_by(req, Who::Visitor))
    }

    /// The same site, with the name of who acts there.
    pub(super) fn acted_by(self, req: &HttpRequest, who: Who) -> Self {
        let actor = actor(req, api_of(req), who);
        Self {
            scope: self.scope.by(actor),
            ..self
        }
    }
}

impl FromRequest for SiteContext {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { Self::of(&req, api_of(&req)).await })
    }
}

/// For the limits: also who is refused is counted.
pub(super) fn site_of(context: &Result<SiteContext, ApiError>) -> Option<SiteId> {
    context.as_ref().ok().map(|context| context.site.id)
}

/// A route for everyone; calls count by address.
#[derive(Debug)]
pub struct PublicSite(pub SiteContext);

impl FromRequest for PublicSite {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let api = api_of(&req);
            let context = SiteContext::of(&req, api).await;
            limit::count_address(&req, api, site_of(&context)).await?;
            Ok(Self(context?))
        })
    }
}

/// A route for who signs in with a wallet, where that is on.
#[derive(Debug)]
pub struct WalletSignIn {
    pub context: SiteContext,
    pub issuer: Arc<TokenIssuer>,
}

impl FromRequest for WalletSignIn {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let api = api_of(&req);
            let context = SiteContext::of(&req, api).await;
            limit::count_sign_in(&req, api, site_of(&context)).await?;
            let context = context?;
            let issuer = api.wallet_issuer.clone().ok_or(EdgeError::WALLET_SIGN_IN_OFF)?;
            Ok(Self { context, issuer })
        })
    }
}

/// Someone who signed in and need not be a member: who they are, and joining.
#[derive(Debug)]
pub struct SignedIn {
    pub caller: Caller,
    pub context: SiteContext,
}

impl FromRequest for SignedIn {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let api = api_of(&req);
            let (caller, context) = Caller::at_site(&req, api).await?;
            Ok(Self {
                context: context.acted_by(&req, Who::Person(caller.identity)),
                caller,
            })
        })
    }
}

/// A route for everyone that shows more to some. A token that is sent must hold and be a member's: another site's people
/// look as everyone does, without one.
#[derive(Debug)]
pub struct Visitor {
    pub context: SiteContext,
    caller: Option<SiteCaller>,
}

impl Visitor {
    pub fn may(&self, capability: Capability) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.may(capability))
    }
}

impl FromRequest for Visitor {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let api = api_of(&req);
            if !Caller::is_claimed(&req) {
                let PublicSite(context) = PublicSite::extract(&req).await?;
                return Ok(Self {
                    context,
                    caller: None,
                });
            }
            let caller = SiteCaller::of(&req, api).await?;
            Ok(Self {
                context: caller.context().clone(),
                caller: Some(caller),
            })
        })
    }
}
