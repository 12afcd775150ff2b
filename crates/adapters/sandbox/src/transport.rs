//! What the thin clients share: requests to this machine, bounded answers, and "no usable answer" as an error.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use serde::de::DeserializeOwned;

const ANSWER_BYTES_MAX: usize = 1024 * 1024;
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Settings that must stop the start.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A sandbox client must never carry orders to the outside.
    #[error("a sandbox provider is at http://127.0.0.1 or another address of this machine")]
    Address,
    #[error("the key cannot be sent in a header")]
    Key,
    #[error("the HTTP client cannot be made")]
    Http(#[source] reqwest::Error),
}

/// An answer that does not say what happened, or none at all.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    #[error("there was no whole answer")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the answer was status {0}")]
    Status(u16),
    #[error("the answer cannot be read")]
    Undecodable(#[source] serde_json::Error),
    #[error("the answer's `{0}` cannot be used")]
    Field(&'static str),
}

/// One provider at one address of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: Client,
    base: String,
    timeout: Duration,
}

pub(crate) struct RawAnswer {
    pub(crate) status: StatusCode,
    /// It is the stored answer of an earlier request.
    pub(crate) replayed: bool,
    body: Vec<u8>,
}

impl Transport {
    /// `secret` is the header that carries the key.
    pub(crate) fn new(base: &str, name: &'static str, secret: &str) -> Result<Self, ClientError> {
        let base = base.trim_end_matches('/');
        let url = Url::parse(base).map_err(|_| ClientError::Address)?;
        if url.scheme() != "http" || !is_this_machine(&url) {
            return Err(ClientError::Address);
        }
        let mut value = HeaderValue::from_str(secret).map_err(|_| ClientError::Key)?;
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
        let http = local_client(headers).map_err(ClientError::Http)?;
        Ok(Self {
            http,
            base: base.to_owned(),
            timeout: TIMEOUT,
        })
    }

    pub(crate) fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<RawAnswer, TransportError> {
        let no_answer = |error: reqwest::Error| TransportError::NoAnswer(error.without_url());
        let mut response = request.timeout(self.timeout).send().await.map_err(no_answer)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(TransportError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let status = response.status();
        let replayed = response.headers().contains_key("idempotent-replayed");
        Ok(RawAnswer {
            status,
            replayed,
            body,
        })
    }
}

impl RawAnswer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, TransportError> {
        serde_json::from_slice(&self.body).map_err(TransportError::Undecodable)
    }

    /// A server in trouble, or one that asks for patience, has not said whether anything happened.
    pub(crate) fn is_unsettled(&self) -> bool {
        let status = self.status.as_u16();
        !matches!(status, 200..=299 | 400..=499) || matches!(status, 408 | 409 | 429)
    }

    pub(crate) fn unsettled(&self) -> TransportError {
        TransportError::Status(self.status.as_u16())
    }
}

/// To this machine we go directly, over plain HTTP, and need neither a proxy nor the system's certificates.
pub(crate) fn local_client(headers: HeaderMap) -> Result<Client, reqwest::Error> {
    Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .default_headers(headers)
        .build()
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
