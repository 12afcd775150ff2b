//! What every answer carries, so that nothing in it is kept, guessed at, run, framed or loaded by others.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::state::ApiState;

pub type Headers = Vec<(HeaderName, HeaderValue)>;

const COMMON: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::PERMISSIONS_POLICY, NO_DEVICES),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
    (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
];
const NO_DEVICES: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), microphone=(), \
                          midi=(), payment=(), usb=()";
const CSP: &str = "default-src 'none'; frame-ancestors 'none'";
/// The page brings its own scripts and styles, and talks to this server only.
const CSP_DOCS: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                        connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Two years, as the lists that browsers ship want it.
const HSTS: &str = "max-age=63072000; includeSubDomains";

/// What holds for any answer to this request.
pub fn of(req: &HttpRequest, api: Option<&ApiState>) -> Headers {
    let text = |(name, value): (HeaderName, &'static str)| (name, HeaderValue::from_static(value));
    let mut headers: Headers = COMMON.map(text).into();
    let is_page = req.path().starts_with("/docs/");
    headers.push(text((
        header::CONTENT_SECURITY_POLICY,
        if is_page { CSP_DOCS } else { CSP },
    )));
    if api.is_some_and(|api| is_tls(req, api.settings.trusted_proxies)) {
        headers.push(text((header::STRICT_TRANSPORT_SECURITY, HSTS)));
    }
    headers
}

/// Whether the client spoke TLS to the proxy of ours that it reached. Without a proxy nobody can say so: a browser must not be
/// told to insist on what the server does not speak.
fn is_tls(req: &HttpRequest, trusted_proxies: u8) -> bool {
    let Some(hops) = usize::from(trusted_proxies).checked_sub(1) else {
        return false;
    };
    let noted: Vec<&str> = req
        .headers()
        .get_all("x-forwarded-proto")
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    // A proxy that replaces the header, as most do, leaves the outermost one's word alone.
    let said = noted.iter().rev().nth(hops).or(noted.first());
    said.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"))
}

/// What the handler said stays.
pub fn add(to: &mut HeaderMap, headers: Headers) {
    for (name, value) in headers {
        if name == header::VARY {
            to.append(name, value);
        } else if !to.contains_key(&name) {
            to.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_our_own_proxy_says_that_it_was_tls() {
        let said = |values: &[&str], trusted| {
            let request = values.iter().fold(TestRequest::default(), |request, value| {
                request.append_header(("x-forwarded-proto", *value))
            });
            is_tls(&request.to_http_request(), trusted)
        };
        assert!(said(&["https"], 1));
        assert!(said(&["HTTPS"], 1));
        assert!(!said(&["https"], 0), "anybody may have written it");
        assert!(!said(&["http"], 1));
        assert!(!said(&[], 1));
        assert!(!said(&["https, http"], 1), "the nearest is ours");
        assert!(said(&["https, http"], 2));
        assert!(said(&["https"], 2), "the second replaced nothing");
    }
}
