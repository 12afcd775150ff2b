use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use posx_keyset::{FetchError, FetchKeys, SET_BYTES_MAX};
use reqwest::{Client, Response, Url, redirect};
use serde::Deserialize;

use crate::config::{ConfigError, IssuerConfig, KeyLocation};

const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// For one request, the body included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// An issuer's key set over HTTP, by discovery or at a fixed address. https, or http on this machine; no redirects.
#[derive(Debug, Clone)]
pub struct HttpKeys {
    client: Client,
    issuer: String,
    start: Start,
}

#[derive(Debug, Clone)]
enum Start {
    Discovery(Url),
    KeySet(Url),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl HttpKeys {
    pub fn for_issuer(config: &IssuerConfig) -> Result<Self, ConfigError> {
        let url = match &config.keys {
            KeyLocation::Url(url) => url.clone(),
            KeyLocation::Discovery => format!("{}{DISCOVERY_PATH}", config.issuer.trim_end_matches('/')),
        };
        let url = allowed(&url).ok_or_else(|| config.problem("the address of its keys is not https"))?;
        let client = client(&url).map_err(|source| ConfigError::Client {
            issuer: config.issuer.clone(),
            source,
        })?;
        let start = match config.keys {
            KeyLocation::Url(_) => Start::KeySet(url),
            KeyLocation::Discovery => Start::Discovery(url),
        };
        Ok(Self {
            client,
            issuer: config.issuer.clone(),
            start,
        })
    }

    async fn discover(&self, url: &Url) -> Result<Url, FetchError> {
        let document = self.get(url).await?;
        let document: Discovery =
            serde_json::from_slice(&document).map_err(|_| FetchError::Unusable("no discovery document"))?;
        if document.issuer != self.issuer {
            return Err(FetchError::Unusable("the discovery document of another issuer"));
        }
        let keys = allowed(&document.jwks_uri)
            .ok_or(FetchError::Unusable("the key set is not at an https address"))?;
        // A remote issuer must not send us to a service of this machine.
        if is_this_machine(&keys) && !is_this_machine(url) {
            return Err(FetchError::Unusable(
                "the key set is at an address of this machine",
            ));
        }
        Ok(keys)
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        let response = self.client.get(url.clone()).send().await.map_err(transport)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        read(response).await
    }
}

#[async_trait]
impl FetchKeys for HttpKeys {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        match &self.start {
            Start::KeySet(url) => self.get(url).await,
            Start::Discovery(url) => self.get(&self.discover(url).await?).await,
        }
    }
}

/// The whole body, unless it is larger than any document that is read here.
pub(crate) async fn read(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > SET_BYTES_MAX {
            return Err(FetchError::TooLarge {
                bytes_max: SET_BYTES_MAX,
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

pub(crate) fn client(url: &Url) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(TIMEOUT);
    // To this machine we go directly, over plain HTTP, and need neither a proxy nor the system's certificates.
    let builder = if url.scheme() == "http" {
        builder.no_proxy().tls_certs_only([])
    } else {
        builder.https_only(true)
    };
    builder.build()
}

pub(crate) fn allowed(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(&url));
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (safe && plain && url.has_host()).then_some(url)
}

fn is_this_machine(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn transport(error: reqwest::Error) -> FetchError {
    FetchError::Transport(Box::new(error))
}

#[cfg(test)]
mod tests;
