//! Which site a request names: by its host name, by X-Site-Code, or by both alike.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header;
use posx_tenancy::{Origin, Site, SiteCode, SiteError};

use crate::limit;
use crate::problem::ApiError;
use crate::state::ApiState;

/// Names the site where the host name does not.
pub const SITE_HEADER: &str = "x-site-code";

/// What may be looked up before anybody is known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    Code(SiteCode),
    Host(String),
    Origin(Origin),
}

/// `None`: it names none. An error: it names one that is not there, or two.
pub async fn of(req: &HttpRequest, api: &ApiState) -> Result<Option<Site>, ApiError> {
    let by_code = by_header(req, api).await?;
    let by_host = by_host(req, api).await?;
    match (by_code, by_host) {
        (Some(code), Some(host)) if code.id != host.id => Err(SiteError::Ambiguous.into()),
        (Some(site), _) | (None, Some(site)) => Ok(Some(site)),
        (None, None) => Ok(None),
    }
}

async fn by_header(req: &HttpRequest, api: &ApiState) -> Result<Option<Site>, ApiError> {
    let mut named = req.headers().get_all(SITE_HEADER);
    let Some(first) = named.next() else {
        return Ok(None);
    };
    if named.any(|other| other != first) {
        return Err(SiteError::Ambiguous.into());
    }
    let code = first.to_str().map_err(|_| SiteError::Unknown)?;
    by_code(req, api, code).await.map(Some)
}

/// The site with that code.
pub async fn by_code(req: &HttpRequest, api: &ApiState, code: &str) -> Result<Site, ApiError> {
    let code = SiteCode::new(code).ok_or(SiteError::Unknown)?;
    let name = Name::Code(code.clone());
    if !may_be_known(req, api, &name).await? {
        return Err(SiteError::Unknown.into());
    }
    let site = api.directory.site_by_code(&code).await?;
    note(api, name, site.is_some()).await;
    Ok(site.ok_or(SiteError::Unknown)?)
}

/// A host name that no site has names none: the API may stand under a name of its own.
pub async fn by_host(req: &HttpRequest, api: &ApiState) -> Result<Option<Site>, ApiError> {
    let Some(host) = host_name(req) else {
        return Ok(None);
    };
    let name = Name::Host(host.clone());
    if api.settings.allowed_hosts.contains(&host) || !may_be_known(req, api, &name).await? {
        return Ok(None);
    }
    let site = api.directory.site_by_host(&host).await?;
    note(api, name, site.is_some()).await;
    Ok(site)
}

/// Whether any site lists the origin.
pub async fn knows_origin(req: &HttpRequest, api: &ApiState, origin: &Origin) -> Result<bool, ApiError> {
    let name = Name::Origin(origin.clone());
    if !may_be_known(req, api, &name).await? {
        return Ok(false);
    }
    let known = api.directory.knows_origin(origin).await?;
    note(api, name, known).await;
    Ok(known)
}

/// False: it was not known a moment ago. A name that nobody used lately costs a look into the database, and who makes names up
/// is counted by address before it.
async fn may_be_known(req: &HttpRequest, api: &ApiState, name: &Name) -> Result<bool, ApiError> {
    if api.unknown_names.contains_key(name) {
        return Ok(false);
    }
    if !api.known_names.contains_key(name) {
        limit::count_look_up(req, api).await?;
    }
    Ok(true)
}

async fn note(api: &ApiState, name: Name, known: bool) {
    if known {
        api.known_names.insert(name, ()).await;
    } else {
        api.unknown_names.insert(name, ()).await;
    }
}

/// The host that the client asked for, in lower case, without port, brackets and final dot.
pub fn host_of(req: &HttpRequest) -> Option<String> {
    let host = match req.uri().host() {
        Some(host) => host,
        None => req.headers().get(header::HOST)?.to_str().ok()?,
    };
    let name = match host.rsplit_once(':') {
        // An IPv6 address stands in brackets: what follows a colon inside of them is no port.
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    (1..=253).contains(&name.len()).then_some(name)
}

/// An address of a machine is no name of a site.
fn host_name(req: &HttpRequest) -> Option<String> {
    host_of(req).filter(|name| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.' || b == b'_')
            && name != "localhost"
            && name.parse::<IpAddr>().is_err()
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(host: &str) -> HttpRequest {
        TestRequest::default()
            .insert_header(("host", host))
            .to_http_request()
    }

    #[test]
    fn a_host_name_is_read_without_port_case_and_final_dot() {
        let of = |host: &str| host_name(&request(host));
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

    #[test]
    fn a_host_may_be_an_address_too() {
        let of = |host: &str| host_of(&request(host));
        assert_eq!(of("127.0.0.1:8080"), Some("127.0.0.1".to_owned()));
        assert_eq!(of("[::1]:8080"), Some("::1".to_owned()));
        assert_eq!(of("[::1]"), Some("::1".to_owned()));
        assert_eq!(of("LOCALHOST"), Some("localhost".to_owned()));
        assert_eq!(of(""), None);
    }
}
