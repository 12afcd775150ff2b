//! Sessions of browsers: the pages that open and refresh them, and their holders.

use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use posx_runtime::SessionGate;
use posx_tenancy::Origin;

use super::caller::api_of;
use super::site::site_of;
use super::{Caller, Extracting, SiteContext};
use crate::limit;
use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

/// A page that may use the refresh cookie. Any other is refused before its request is looked at: who is signed in does not
/// act by visiting it. A request that names no origin comes from no page.
#[derive(Debug)]
pub struct SessionPage {
    pub gate: Arc<SessionGate>,
}

impl SessionPage {
    fn of(req: &HttpRequest, api: &ApiState) -> Result<Self, EdgeError> {
        let gate = api.session_gate.clone().ok_or(EdgeError::SESSIONS_OFF)?;
        let mut sent = req.headers().get_all(header::ORIGIN);
        let first = sent.next().filter(|_| sent.next().is_none());
        let origin = first.and_then(|origin| Origin::parse(origin.to_str().ok()?));
        if origin.is_some_and(|origin| gate.origins.contains(&origin)) {
            Ok(Self { gate })
        } else {
            Err(EdgeError::OriginNotAllowed)
        }
    }
}

impl FromRequest for SessionPage {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let api = api_of(&req);
            limit::count_address(&req, api, None).await?;
            Ok(Self::of(&req, api)?)
        })
    }
}

/// A page where someone signs in. The site matters to wallets only, whose messages are one site's.
#[derive(Debug)]
pub struct SessionSignIn {
    pub gate: Arc<SessionGate>,
    pub site: Result<SiteContext, ApiError>,
}

impl FromRequest for SessionSignIn {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let api = api_of(&req);
            let site = SiteContext::of(&req, api).await;
            limit::count_sign_in(&req, api, site_of(&site)).await?;
            let SessionPage { gate } = SessionPage::of(&req, api)?;
            Ok(Self { gate, site })
        })
    }
}

/// Someone with a token, at no site: their sessions are theirs at all of them.
#[derive(Debug)]
pub struct SessionHolder(pub Caller);

impl FromRequest for SessionHolder {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { Caller::anywhere(&req, api_of(&req)).await.map(Self) })
    }
}
