//! Whose world the request is in.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use posx_issuer::TokenIssuer;
use posx_kernel::{SiteScope, StoreError, Who};
use posx_tenancy::{Capability, Site, SiteCode, SiteError, SiteState};

use super::caller::api_of;
use super::{Caller, Extracting, SiteCaller};
use crate::actor::actor;
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

/// Names the site where the host name does not.
pub const SITE_HEADER: &str = "x-site-code";

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
        let by_header = site_by_header(req, api).await?;
        let by_host = site_by_host(req, api).await?;
        let site = match (by_header, by_host) {
            (Some(header), Some(host)) if header.id != host.id => return Err(SiteError::Ambiguous.into()),
            (Some(site), _) | (None, Some(site)) => site,
            (None, None) => return Err(SiteError::Missing.into()),
        };
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
            limit::count_address(&req, api).await?;
            Ok(Self(SiteContext::of(&req, api).await?))
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
            limit::count_sign_in(&req, api).await?;
            let context = SiteContext::of(&req, api).await?;
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
            let caller = Caller::of(&req, api).await?;
            let context = SiteContext::of(&req, api).await?;
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
                limit::count_address(&req, api).await?;
                return Ok(Self {
                    context: SiteContext::of(&req, api).await?,
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

async fn site_by_header(req: &HttpRequest, api: &ApiState) -> Result<Option<Site>, ApiError> {
    let mut named = req.headers().get_all(SITE_HEADER);
    let Some(first) = named.next() else {
        return Ok(None);
    };
    if named.any(|other| other != first) {
        return Err(SiteError::Ambiguous.into());
    }
    let code = first
        .to_str()
        .ok()
        .and_then(SiteCode::new)
        .ok_or(SiteError::Unknown)?;
    let site = api.directory.site_by_code(&code).await?;
    Ok(Some(site.ok_or(SiteError::Unknown)?))
}

/// A host name that no site has names none: the API may stand under a name of its own.
async fn site_by_host(req: &HttpRequest, api: &ApiState) -> Result<Option<Site>, StoreError> {
    let Some(host) = host_name(req) else {
        return Ok(None);
    };
    if api.unknown_hosts.contains_key(&host) {
        return Ok(None);
    }
    let site = api.directory.site_by_host(&host).await?;
    if site.is_none() {
        api.unknown_hosts.insert(host, ()).await;
    }
    Ok(site)
}

/// In lower case, without port and final dot. An address of a machine is no name of a site.
fn host_name(req: &HttpRequest) -> Option<String> {
    let host = match req.uri().host() {
        Some(host) => host,
        None => req.headers().get(header::HOST)?.to_str().ok()?,
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_name = (1..=253).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_')
        && name != "localhost"
        && name.parse::<IpAddr>().is_err();
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_host_name_is_read_without_port_case_and_final_dot() {
        let of = |host: &str| {
            host_name(
                &TestRequest::default()
                    .insert_header(("host", host))
                    .to_http_request(),
            )
        };
        assert_eq!(of("Na.Posx.Example:8443"), Some("na.posx.example".to_owned()));
        assert_eq!(of("na.posx.example."), Some("na.posx.example".to_owned()));
        for machine in [
            "127.0.0.1:8080",
            "localhost:1",
            "[::1]:8080",
            "",
            "a b",
            "10.0.0.1",
        ] {
            assert_eq!(of(machine), None, "{machine}");
        }
    }
}
