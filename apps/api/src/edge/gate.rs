//! What is refused before any route is asked.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use tokio::sync::SemaphorePermit;

use crate::named_site::{self, host_of};
use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

/// Far above what a browser, a token and a proxy put there together.
const HEADER_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 64;
/// What machines ask for by an address.
const PROBES: [&str; 3] = ["/health", "/ready", "/version"];

/// A place among the requests that are worked on at once; given back when it is dropped. Being alive needs none.
pub fn place<'a>(req: &HttpRequest, api: &'a ApiState) -> Result<Option<SemaphorePermit<'a>>, EdgeError> {
    if req.path() == "/health" {
        return Ok(None);
    }
    let place = api.places.try_acquire().map_err(|_| EdgeError::Busy)?;
    Ok(Some(place))
}

pub fn head_is_small(req: &HttpRequest) -> Result<(), EdgeError> {
    let line = req.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let (count, bytes) = size(req.headers());
    if count > HEADERS_MAX || line + bytes > HEADER_BYTES_MAX {
        return Err(EdgeError::HeadersTooLarge {
            bytes_max: HEADER_BYTES_MAX,
            count_max: HEADERS_MAX,
        });
    }
    Ok(())
}

fn size(headers: &HeaderMap) -> (usize, usize) {
    headers.iter().fold((0, 0), |(count, bytes), (name, value)| {
        (count + 1, bytes + name.as_str().len() + value.len())
    })
}

/// The API's own names and the sites'. A page or a cache that was led here under another name gets nothing.
pub async fn host_is_ours(req: &HttpRequest, api: &ApiState) -> Result<(), ApiError> {
    if req.headers().get_all(header::HOST).count() > 1 {
        return Err(EdgeError::HostInvalid.into());
    }
    let own = &api.settings.allowed_hosts;
    if own.is_empty() || PROBES.contains(&req.path()) {
        return Ok(());
    }
    let host = host_of(req).ok_or(EdgeError::HostInvalid)?;
    if own.contains(&host) || named_site::by_host(req, api).await?.is_some() {
        Ok(())
    } else {
        Err(EdgeError::HostUnknown.into())
    }
}
