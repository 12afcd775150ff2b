//! The site that stands in the path.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use super::caller::api_of;
use super::site::site_of;
use super::{Extracting, SiteContext};
use crate::limit;
use crate::problem::ApiError;

/// A route for everyone under `{site}`, a site's code; calls count by address. Nobody's token is looked at.
#[derive(Debug)]
pub struct Storefront(pub SiteContext);

impl FromRequest for Storefront {
    type Error = ApiError;
    type Future = Extracting<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let api = api_of(&req);
            let code = req.match_info().get("site").unwrap_or_default();
            let context = SiteContext::of_path(&req, api, code).await;
            limit::count_address(&req, api, site_of(&context)).await?;
            Ok(Self(context?))
        })
    }
}
