use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use posx_kernel::Randomness;
use reqwest::{Client, RequestBuilder, Url, redirect};

use super::ClientConfig;
use super::answer::Answer;
use super::retry::RetryPolicy;
use crate::error::StripeError;

/// A page of 100 events is the largest answer, with some kilobytes each.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Before every path. Version 2 carries a failed request on when its key comes again, where this one repeats the stored
/// failure (S06): whoever needs it makes a client of its own.
const VERSION: &str = "/v1";

/// Settings that must stop the start.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("Stripe's address is https and a host, without a path")]
    Address,
    #[error("the HTTP client for Stripe cannot be made")]
    Http(#[source] reqwest::Error),
}

/// The way to Stripe, which the clients of all accounts share.
#[derive(Debug, Clone)]
pub struct Connection {
    http: Client,
    base: String,
    retry: RetryPolicy,
    randomness: Arc<dyn Randomness>,
}

impl Connection {
    pub fn new(config: &ClientConfig, randomness: Arc<dyn Randomness>) -> Result<Self, ClientError> {
        let base = config.base_url.trim_end_matches('/');
        let url = allowed(base).ok_or(ClientError::Address)?;
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(config.timeout);
        // To this machine we go directly, over plain HTTP, and need neither a proxy nor the system's certificates.
        let builder = if url.scheme() == "http" {
            builder.no_proxy().tls_certs_only([])
        } else {
            builder.https_only(true)
        };
        Ok(Self {
            http: builder.build().map_err(ClientError::Http)?,
            base: base.to_owned(),
            retry: config.retry,
            randomness,
        })
    }

    pub(super) fn randomness(&self) -> &dyn Randomness {
        self.randomness.as_ref()
    }

    pub(super) fn pause(&self, tries: u32) -> Duration {
        self.retry.step(tries, self.randomness.as_ref())
    }

    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{VERSION}{path}", self.base))
    }

    pub(super) fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{VERSION}{path}", self.base))
    }

    /// Tries again, a bounded number of times and with the same key, only where Stripe says that it may be tried again.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Answer, StripeError> {
        let mut tries = 0;
        loop {
            let again = request.try_clone().ok_or(StripeError::Field("body"))?;
            let answer = self.send_once(again).await?;
            tries += 1;
            match self.retry.pause(&answer, tries, self.randomness.as_ref()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Ok(answer),
            }
        }
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Answer, StripeError> {
        let no_answer = |error: reqwest::Error| StripeError::NoAnswer(error.without_url());
        let mut response = request.send().await.map_err(no_answer)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(StripeError::TooLarge {
                    bytes_max: ANSWER_BYTES_MAX,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::new(response.status(), response.headers(), body))
    }
}

fn allowed(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(&url));
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        && url.query().is_none()
        && url.path() == "/";
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

#[cfg(test)]
mod tests {
    use posx_kernel::SystemRandomness;

    use super::*;

    #[test]
    fn a_key_goes_over_https_or_stays_on_this_machine() {
        let connection = |base_url: &str| {
            let config = ClientConfig {
                base_url: base_url.to_owned(),
                ..ClientConfig::default()
            };
            Connection::new(&config, Arc::new(SystemRandomness))
        };
        for address in ["http://127.0.0.1:9", "http://[::1]:9/", "http://localhost:9"] {
            assert!(connection(address).is_ok(), "{address}");
        }
        for address in [
            "http://api.stripe.com",
            "http://10.0.0.1",
            "ftp://127.0.0.1",
            "https://user:password@api.stripe.com",
            "https://api.stripe.com/?a=b",
            "https://api.stripe.com/v1",
            "api.stripe.com",
            "",
        ] {
            assert!(
                matches!(connection(address), Err(ClientError::Address)),
                "{address:?}"
            );
        }
    }
}
