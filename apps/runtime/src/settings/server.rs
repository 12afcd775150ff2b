//! The section `server`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::reference::Secret;
use super::weakness::weakness;

const LIMIT_MAX: u32 = 1_000_000;
/// As many as `openssl rand -hex 16` gives.
const SALT_CHARACTERS_MIN: usize = 32;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Its address.
    pub bind: SocketAddr,
    /// Where the API process serves `/metrics`, and nowhere else; keep it private.
    #[schemars(extend("x-refused" = "an address that is not private, unless `server.metrics_public` says so"))]
    pub metrics_bind: SocketAddr,
    /// That others may read `server.metrics_bind`, or that the network keeps them from it.
    pub metrics_public: bool,
    /// The API's own host names, beside the sites': lower case, no port. A request for another host is 421. While it is
    /// empty, any host is taken.
    #[schemars(extend("x-default" = "required in production", "x-refused" = "its absence, and a wildcard"))]
    pub allowed_hosts: Vec<String>,
    /// What the hashes of client addresses in the audit are salted with, at least 32 characters, the same in all processes:
    /// as `openssl rand -hex 32` makes it. Without it each process takes a random one, and hashes of two cannot be compared.
    #[schemars(with = "Option<Secret>", extend("x-default" = "required in production", "x-refused" = "its absence"))]
    pub address_salt: Option<SecretString>,
    /// Largest request body, 1024 to 16777216.
    pub body_limit_bytes: usize,
    /// Threads.
    #[schemars(extend("x-default" = "one per core"))]
    pub workers: Option<usize>,
    /// How many proxies of yours stand before it: so many entries of `X-Forwarded-For` and of `X-Forwarded-Proto` are believed
    /// ([what they must do](operations.md#in-front-of-it)).
    pub trusted_proxies: u8,
    /// Requests that one process works on at once; the next is 503.
    pub concurrency_max: usize,
    /// How long a connection may wait for its next request: longer than the proxy keeps it.
    pub keep_alive_s: u16,
    /// Within which the head of a request has arrived, else 408.
    pub headers_timeout_s: u16,
    /// Within which its body has arrived too, else 408.
    pub body_timeout_s: u16,
    /// After which a request is answered with 503.
    pub request_timeout_s: u16,
    /// How long open requests may go on after a stop.
    pub shutdown_grace_s: u16,
    /// Calls per minute and key.
    pub rate_limits: RateLimits,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            metrics_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            metrics_public: false,
            allowed_hosts: Vec::new(),
            address_salt: None,
            body_limit_bytes: 64 * 1024,
            workers: None,
            trusted_proxies: 0,
            concurrency_max: 512,
            keep_alive_s: 75,
            headers_timeout_s: 10,
            body_timeout_s: 15,
            request_timeout_s: 30,
            shutdown_grace_s: 20,
            rate_limits: RateLimits::default(),
        }
    }
}

/// Calls per minute and key, with bursts of the same size.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Requests without a token, per client address.
    pub public_per_minute: u32,
    /// Signing in, per client address: a shop's tills share one.
    pub auth_per_minute: u32,
    /// Requests with a token, per identity.
    pub caller_per_minute: u32,
    /// Requests that create or move money, per identity.
    pub writes_per_minute: u32,
    /// Deliveries, per client address.
    pub webhooks_per_minute: u32,
    /// Calls of the assistant (`/api/v1/assistant/`), per identity.
    pub assistant_per_minute: u32,
    /// Calls of the platform plane (`/platform/`), per identity.
    pub admin_per_minute: u32,
    /// All requests for one site together, with bursts of a tenth: no site takes the database from the others.
    pub site_per_minute: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            public_per_minute: 300,
            auth_per_minute: 60,
            caller_per_minute: 1_200,
            writes_per_minute: 240,
            webhooks_per_minute: 6_000,
            assistant_per_minute: 20,
            admin_per_minute: 600,
            site_per_minute: 12_000,
        }
    }
}

impl RateLimits {
    /// The same for everything; for tests and measurements of something else.
    pub const fn all(per_minute: u32) -> Self {
        Self {
            public_per_minute: per_minute,
            auth_per_minute: per_minute,
            caller_per_minute: per_minute,
            writes_per_minute: per_minute,
            webhooks_per_minute: per_minute,
            assistant_per_minute: per_minute,
            admin_per_minute: per_minute,
            site_per_minute: per_minute,
        }
    }

    const fn values(self) -> [u32; 8] {
        [
            self.public_per_minute,
            self.auth_per_minute,
            self.caller_per_minute,
            self.writes_per_minute,
            self.webhooks_per_minute,
            self.assistant_per_minute,
            self.admin_per_minute,
            self.site_per_minute,
        ]
    }
}

impl ServerSettings {
    pub(super) fn check(&self, production: bool, problems: &mut Vec<String>) {
        let mut unless = |fine: bool, problem: &str| {
            if !fine {
                problems.push(problem.to_owned());
            }
        };
        unless(
            (1_024..=16 * 1024 * 1024).contains(&self.body_limit_bytes),
            "server.body_limit_bytes is not 1024 to 16777216",
        );
        unless(self.workers != Some(0), "server.workers is 0");
        unless(self.concurrency_max > 0, "server.concurrency_max is 0");
        unless(self.request_timeout_s > 0, "server.request_timeout_s is 0");
        unless(
            self.keep_alive_s > 0 && self.headers_timeout_s > 0 && self.body_timeout_s > 0,
            "server.keep_alive_s, server.headers_timeout_s or server.body_timeout_s is 0",
        );
        unless(
            self.rate_limits
                .values()
                .iter()
                .all(|limit| (1..=LIMIT_MAX).contains(limit)),
            "a limit in server.rate_limits is not 1 to 1000000",
        );
        unless(
            self.bind.port() == 0 || self.bind != self.metrics_bind,
            "server.metrics_bind is the public address",
        );
        unless(
            !production || self.metrics_public || is_private(self.metrics_bind),
            "server.metrics_bind is not a private address: bind it to one, or say so by server.metrics_public",
        );
        match &self.address_salt {
            None => unless(
                !production,
                "server.address_salt is missing, in production: `openssl rand -hex 32` makes one",
            ),
            Some(salt) => {
                if let Some(weakness) = weakness(salt.expose_secret(), SALT_CHARACTERS_MIN) {
                    unless(false, &format!("server.address_salt is weak: {weakness}"));
                }
            }
        }
        unless(
            !production || !self.allowed_hosts.is_empty(),
            "server.allowed_hosts is missing, in production: the API's own host names",
        );
        for host in &self.allowed_hosts {
            unless(
                is_host(host),
                &format!(
                    "server.allowed_hosts has {host}, which is not a host name in lower case, without port"
                ),
            );
        }
    }
}

/// Of this machine or of a network without a way from outside. `0.0.0.0` is every address, the public one too.
pub(super) fn is_private(address: SocketAddr) -> bool {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// A name or an address, as requests are compared with it.
fn is_host(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_' | b':'))
        && (!text.contains(':') || text.parse::<std::net::Ipv6Addr>().is_ok())
        && !text.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(production: bool, change: impl FnOnce(&mut ServerSettings)) -> Vec<String> {
        let mut settings = ServerSettings {
            allowed_hosts: vec!["api.posx.example".to_owned()],
            address_salt: Some(SecretString::from("0f1e2d3c4b5a69788796a5b4c3d2e1f0")),
            ..ServerSettings::default()
        };
        change(&mut settings);
        let mut problems = Vec::new();
        settings.check(production, &mut problems);
        problems
    }

    #[test]
    fn the_defaults_are_fine() {
        assert_eq!(problems(true, |_| {}), Vec::<String>::new());
    }

    #[test]
    fn production_names_its_hosts() {
        let none = |settings: &mut ServerSettings| settings.allowed_hosts.clear();
        assert_eq!(problems(false, none), Vec::<String>::new());
        assert!(problems(true, none)[0].starts_with("server.allowed_hosts is missing"));
        for bad in [
            "",
            "*",
            "*.posx.example",
            "https://posx.example",
            "posx.example:443",
            "API.posx.example",
            "posx.example.",
        ] {
            let found = problems(true, |settings| settings.allowed_hosts.push(bad.to_owned()));
            assert_eq!(found.len(), 1, "{bad}: {found:?}");
        }
        for good in ["localhost", "10.0.0.7", "::1", "xn--bcher-kva.example"] {
            let found = problems(true, |settings| settings.allowed_hosts.push(good.to_owned()));
            assert_eq!(found, Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn metrics_are_private_unless_it_is_said() {
        for private in [
            "127.0.0.1:1",
            "10.1.2.3:1",
            "192.168.0.9:1",
            "[::1]:1",
            "[fd00::7]:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            let bind = |settings: &mut ServerSettings| settings.metrics_bind = private.parse().unwrap();
            assert_eq!(problems(true, bind), Vec::<String>::new(), "{private}");
        }
        for public in ["0.0.0.0:1", "[::]:1", "203.0.113.7:1", "[2001:db8::1]:1"] {
            let bind = |settings: &mut ServerSettings| settings.metrics_bind = public.parse().unwrap();
            assert!(
                problems(true, bind)[0].starts_with("server.metrics_bind is not a private address"),
                "{public}"
            );
            assert_eq!(problems(false, bind), Vec::<String>::new());
            let said = |settings: &mut ServerSettings| {
                bind(settings);
                settings.metrics_public = true;
            };
            assert_eq!(problems(true, said), Vec::<String>::new());
        }
    }

    #[test]
    fn production_salts_the_hashes_of_addresses() {
        let none = |settings: &mut ServerSettings| settings.address_salt = None;
        assert_eq!(problems(false, none), Vec::<String>::new());
        assert!(problems(true, none)[0].starts_with("server.address_salt is missing"));
        let short = |settings: &mut ServerSettings| {
            settings.address_salt = Some(SecretString::from("0f1e2d3c4b5a6978"));
        };
        for production in [true, false] {
            let found = problems(production, short);
            assert_eq!(
                found,
                ["server.address_salt is weak: it has fewer than 32 characters"]
            );
        }
    }

    #[test]
    fn no_limit_is_none_or_beyond_counting() {
        let changes: [fn(&mut ServerSettings); 8] = [
            |settings| settings.rate_limits.site_per_minute = 0,
            |settings| settings.rate_limits.public_per_minute = LIMIT_MAX + 1,
            |settings| settings.concurrency_max = 0,
            |settings| settings.keep_alive_s = 0,
            |settings| settings.headers_timeout_s = 0,
            |settings| settings.body_timeout_s = 0,
            |settings| settings.request_timeout_s = 0,
            |settings| settings.body_limit_bytes = 10,
        ];
        for change in changes {
            assert_eq!(problems(false, change).len(), 1);
        }
    }
}
