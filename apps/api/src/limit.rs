//! Rate limits: which class a request counts in, and the headers that tell (draft-ietf-httpapi-ratelimit-headers).

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest};
use posx_kernel::IdentityId;
use posx_tenancy::RateVerdict;

use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What the limiter said of this request; kept in its extensions until the answer goes out.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    class: &'static str,
    per_minute: u32,
    remaining: u32,
}

impl Counted {
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        headers(self.class, self.per_minute, self.remaining, None)
    }
}

/// Requests without a good token, by address.
pub async fn count_address(req: &HttpRequest, api: &ApiState) -> Result<(), ApiError> {
    let limit = api.settings.rate_limits.public_per_minute;
    count(req, api, "public", &address_key(req, api), limit).await
}

/// People sign in now and then; who tries all the time is no person.
const SIGN_IN_PER_MINUTE: u32 = 20;

/// Signing in, by address.
pub async fn count_sign_in(req: &HttpRequest, api: &ApiState) -> Result<(), ApiError> {
    let limit = SIGN_IN_PER_MINUTE.min(api.settings.rate_limits.public_per_minute);
    count(req, api, "sign-in", &address_key(req, api), limit).await
}

/// Deliveries of providers, by address.
pub async fn count_delivery(req: &HttpRequest, api: &ApiState) -> Result<(), ApiError> {
    let limit = api.settings.rate_limits.webhooks_per_minute;
    count(req, api, "webhook", &address_key(req, api), limit).await
}

/// Requests of a known caller: what changes something has a class of its own.
pub async fn count_caller(req: &HttpRequest, api: &ApiState, identity: IdentityId) -> Result<(), ApiError> {
    let limits = api.settings.rate_limits;
    let (class, limit) = if req.method().is_safe() {
        ("api", limits.caller_per_minute)
    } else {
        ("writes", limits.writes_per_minute)
    };
    count(req, api, class, &identity.to_string(), limit).await
}

async fn count(
    req: &HttpRequest,
    api: &ApiState,
    class: &'static str,
    key: &str,
    per_minute: u32,
) -> Result<(), ApiError> {
    match api.limiter.check(class, key, per_minute).await {
        RateVerdict::Allowed { remaining } => {
            req.extensions_mut().insert(Counted {
                class,
                per_minute,
                remaining,
            });
            Ok(())
        }
        RateVerdict::Refused { retry_after_s } => {
            metrics::counter!("posx_http_rate_limited_total", "class" => class).increment(1);
            Err(EdgeError::RateLimited {
                class,
                per_minute,
                retry_after_s,
            }
            .into())
        }
    }
}

pub fn headers(
    class: &str,
    per_minute: u32,
    remaining: u32,
    retry_after_s: Option<u32>,
) -> Vec<(HeaderName, HeaderValue)> {
    let policy = format!("\"{class}\";q={per_minute};w=60");
    let state = match retry_after_s {
        Some(seconds) => format!("\"{class}\";r={remaining};t={seconds}"),
        None => format!("\"{class}\";r={remaining}"),
    };
    let text = [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)].into_iter();
    let mut headers: Vec<_> = text
        .filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)))
        .collect();
    if let Some(seconds) = retry_after_s {
        headers.push((header::RETRY_AFTER, HeaderValue::from(seconds)));
    }
    headers
}

fn address_key(req: &HttpRequest, api: &ApiState) -> String {
    client_network(req, api).unwrap_or_else(|| "unknown".to_owned())
}

/// Where the request comes from, as far as one client's addresses go.
pub fn client_network(req: &HttpRequest, api: &ApiState) -> Option<String> {
    client_address(req, api.settings.trusted_proxies).map(network_key)
}

/// An IPv6 client holds a /64 at the least and may use all of it.
fn network_key(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.to_string(),
            None => format!("{:x}", v6.to_bits() >> 64),
        },
    }
}

/// Of the addresses that proxies noted, the nearest `trusted` are ours; the one before them is the client. What stands
/// further left anybody may have written.
fn client_address(req: &HttpRequest, trusted: u8) -> Option<IpAddr> {
    let peer = req.peer_addr().map(|peer| peer.ip());
    let Some(hops) = usize::from(trusted).checked_sub(1) else {
        return peer;
    };
    let noted: Vec<&str> = req
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    noted
        .iter()
        .rev()
        .nth(hops)
        .and_then(|address| address.parse().ok())
        .or(peer)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn request(forwarded: &[&str]) -> HttpRequest {
        let peer = "10.0.0.9:4000".parse().expect("an address");
        forwarded
            .iter()
            .fold(TestRequest::default().peer_addr(peer), |req, value| {
                req.append_header(("x-forwarded-for", *value))
            })
            .to_http_request()
    }

    #[test]
    fn only_our_own_proxies_are_believed() {
        let ip = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let forged = request(&["6.6.6.6, 198.51.100.7"]);
        assert_eq!(client_address(&forged, 0), ip("10.0.0.9"));
        assert_eq!(client_address(&forged, 1), ip("198.51.100.7"));
        let two = request(&["6.6.6.6, 198.51.100.7", "10.0.0.1"]);
        assert_eq!(client_address(&two, 2), ip("198.51.100.7"));
        assert_eq!(client_address(&request(&[]), 2), ip("10.0.0.9"));
        assert_eq!(client_address(&request(&["rubbish"]), 1), ip("10.0.0.9"));
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let key = |text: &str| network_key(text.parse().expect("an address"));
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:9::9"));
        assert_ne!(key("2001:db8:1:2::4"), key("2001:db8:1:3::4"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
