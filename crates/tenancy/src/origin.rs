//! Whose pages may call the API from a browser.

use serde::Serialize;
use url::{Host, Url};

/// As a browser sends it in `Origin`: `https://shop.example`, or `http://localhost:5173` of a developer's machine. Never a
/// wildcard and never `null`; compared as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Origin(String);

const CHARACTERS_MAX: usize = 255;

impl Origin {
    /// `None` when it is not exactly what a browser would send: a path, a default port, upper case.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|_| text.len() <= CHARACTERS_MAX)?;
        let known = match url.scheme() {
            "https" => !matches!(url.host(), Some(Host::Domain(name)) if name.contains('*')),
            "http" => is_this_machine(&url),
            _ => false,
        };
        (known && url.origin().ascii_serialization() == text).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is secured by TLS; what is not is no place for production.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends_and_nothing_else() {
        for good in [
            "https://shop.example",
            "https://shop.example:8443",
            "https://xn--bcher-kva.example",
            "http://localhost:5173",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
        ] {
            assert_eq!(Origin::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "*",
            "null",
            "",
            "https://*",
            "https://*.example",
            "https://shop.example/",
            "https://shop.example/path",
            "https://shop.example:443",
            "https://Shop.example",
            "https://user@shop.example",
            "https://bücher.example",
            "http://shop.example",
            "http://localhost.example",
            "ftp://shop.example",
            "https://",
            "shop.example",
            " https://shop.example",
        ] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
        let long = format!("https://{}.example", "a".repeat(250));
        assert_eq!(Origin::parse(&long), None);
    }
}
