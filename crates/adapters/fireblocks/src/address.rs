//! What an address must be before we talk to it.

use std::net::IpAddr;

use reqwest::{Client, ClientBuilder, Url, redirect};

/// https, or http on this machine; without credentials.
pub(crate) fn allowed(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(&url));
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (safe && plain && url.has_host()).then_some(url)
}

pub(crate) fn is_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

/// No redirects.
pub(crate) fn client_for(url: &Url) -> ClientBuilder {
    let builder = Client::builder().redirect(redirect::Policy::none());
    // To this machine we go directly, over plain HTTP, and need neither a proxy nor the system's certificates.
    if url.scheme() == "http" {
        builder.no_proxy().tls_certs_only([])
    } else {
        builder.https_only(true)
    }
}
