//! Rate limits: which class a request counts in, and the headers that tell (draft-ietf-httpapi-ratelimit-headers).

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpMessage as _, HttpRequest};
use posx_kernel::SiteId;
use posx_runtime::RateLimits;
use posx_tenancy::{Bucket, RateVerdict};

use crate::problem::{ApiError, EdgeError};
use crate::state::ApiState;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One client may use a tenth of its site's minute at once, and so may all of them together.
const SITE_BURST_SHARE: u32 = 10;

/// A limit as it is told: so many calls in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    class: &'static str,
    calls: u32,
    window_s: u64,
}

impl Quota {
    fn of(bucket: &Bucket) -> Self {
        Self {
            class: bucket.class,
            calls: bucket.burst,
            window_s: bucket.window_s(),
        }
    }
}

/// What the limiter said of this request; kept in its extensions until the answer goes out.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    quota: Quota,
    remaining: u32,
}

impl Counted {
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        headers(self.quota, self.remaining, None)
    }
}

/// Requests without a good token, by address, and by site where it is known.
pub async fn count_address(req: &HttpRequest, api: &ApiState, site: Option<SiteId>) -> Result<(), ApiError> {
    let limits = &api.settings.rate_limits;
    let own = Bucket::per_minute("public", address_key(req, api), limits.public_per_minute);
    count(req, api, own, site).await
}

/// Signing in, by address and site. Who guesses is held up by [`SignInGuard`](posx_tenancy::SignInGuard) besides.
pub async fn count_sign_in(req: &HttpRequest, api: &ApiState, site: Option<SiteId>) -> Result<(), ApiError> {
    let limits = &api.settings.rate_limits;
    let own = Bucket::per_minute("auth", address_key(req, api), limits.auth_per_minute);
    count(req, api, own, site).await
}

/// Deliveries of providers, by address.
pub async fn count_delivery(req: &HttpRequest, api: &ApiState) -> Result<(), ApiError> {
    let limits = &api.settings.rate_limits;
    let own = Bucket::per_minute("webhook", address_key(req, api), limits.webhooks_per_minute);
    count(req, api, own, None).await
}

/// Requests of a known caller. `key` names them across sites: an identity, an API key, a device.
pub async fn count_caller(
    req: &HttpRequest,
    api: &ApiState,
    key: &str,
    site: Option<SiteId>,
) -> Result<(), ApiError> {
    let (class, per_minute) = class_of(req, &api.settings.rate_limits);
    count(req, api, Bucket::per_minute(class, key, per_minute), site).await
}

/// Of what has a limit of its own besides: so many in five minutes, all of them at once if need be.
pub async fn count_in_five_minutes(
    req: &HttpRequest,
    api: &ApiState,
    class: &'static str,
    key: String,
    calls: u32,
) -> Result<(), ApiError> {
    let own = Bucket::per_minute(class, key, calls.div_ceil(5)).burst(calls);
    let counted = ask(api, &[own]).await?;
    req.extensions_mut().insert(counted);
    Ok(())
}

/// A name that nobody used lately, by address: the answer says nothing of it.
pub async fn count_look_up(req: &HttpRequest, api: &ApiState) -> Result<(), ApiError> {
    let limits = &api.settings.rate_limits;
    let own = Bucket::per_minute("lookup", address_key(req, api), limits.public_per_minute);
    ask(api, &[own]).await.map(drop)
}

/// What a known caller's request counts in: what changes something apart from what reads.
fn class_of(req: &HttpRequest, limits: &RateLimits) -> (&'static str, u32) {
    let path = req.path();
    if path.starts_with("/platform/") {
        ("admin", limits.admin_per_minute)
    } else if path.starts_with("/api/v1/assistant/") {
        ("assistant", limits.assistant_per_minute)
    } else if req.method().is_safe() {
        ("api", limits.caller_per_minute)
    } else {
        ("writes", limits.writes_per_minute)
    }
}

/// On all buckets in one call, or on none: who is refused by their own limit takes nothing from the site's.
async fn count(req: &HttpRequest, api: &ApiState, own: Bucket, site: Option<SiteId>) -> Result<(), ApiError> {
    let shared = site.map(|site| {
        let per_minute = api.settings.rate_limits.site_per_minute;
        Bucket::per_minute("site", site.to_string(), per_minute).burst(per_minute.div_ceil(SITE_BURST_SHARE))
    });
    let buckets: Vec<Bucket> = [own].into_iter().chain(shared).collect();
    let counted = ask(api, &buckets).await?;
    req.extensions_mut().insert(counted);
    Ok(())
}

async fn ask(api: &ApiState, buckets: &[Bucket]) -> Result<Counted, ApiError> {
    match api.limiter.check(buckets).await {
        RateVerdict::Allowed { bucket, remaining } => Ok(Counted {
            quota: Quota::of(&buckets[bucket]),
            remaining,
        }),
        RateVerdict::Refused {
            bucket,
            retry_after_s,
        } => {
            let quota = Quota::of(&buckets[bucket]);
            metrics::counter!("posx_http_rate_limited_total", "class" => quota.class).increment(1);
            Err(EdgeError::RateLimited { quota, retry_after_s }.into())
        }
    }
}

/// The tightest limit alone: what a client should go by.
pub fn headers(quota: Quota, remaining: u32, retry_after_s: Option<u32>) -> Vec<(HeaderName, HeaderValue)> {
    let Quota {
        class,
        calls,
        window_s,
    } = quota;
    let policy = format!("\"{class}\";q={calls};w={window_s}");
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

/// As [`SignInGuard`](posx_tenancy::SignInGuard) and the buckets know it.
pub fn address_key(req: &HttpRequest, api: &ApiState) -> String {
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
    use actix_web::http::Method;
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
    fn reads_changes_the_assistant_and_the_platform_are_classes_apart() {
        let limits = RateLimits::default();
        let of = |method: Method, path: &str| {
            let request = TestRequest::default().method(method).uri(path).to_http_request();
            class_of(&request, &limits)
        };
        assert_eq!(
            of(Method::GET, "/api/v1/orders"),
            ("api", limits.caller_per_minute)
        );
        assert_eq!(
            of(Method::POST, "/api/v1/orders"),
            ("writes", limits.writes_per_minute)
        );
        let assistant = ("assistant", limits.assistant_per_minute);
        assert_eq!(of(Method::POST, "/api/v1/assistant/conversations"), assistant);
        assert_eq!(
            of(Method::GET, "/api/v1/assistants"),
            ("api", limits.caller_per_minute)
        );
        assert_eq!(
            of(Method::GET, "/platform/v1/sites"),
            ("admin", limits.admin_per_minute)
        );
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
