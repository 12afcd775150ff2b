use std::time::Duration;

use async_trait::async_trait;
use posx_assistant::{Endpoint, LanguageModel, ModelCall, ModelError, ModelStream, ProviderKind};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Response, redirect};
use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use url::Url;

use crate::stream::{self, Reader};
use crate::{anthropic, openai, refusal};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Providers keep it with the call: a question about one names it.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const ANTHROPIC_VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("anthropic-version"),
    HeaderValue::from_static("2023-06-01"),
);

/// How long a provider may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// From the request to the first word.
    pub first_word: Duration,
    pub between_events: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_word: Duration::from_secs(30),
            between_events: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the HTTP client for language models cannot be made")]
pub struct ClientError(#[source] reqwest::Error);

/// Every provider, whatever it speaks. Cheap to clone; connections are kept.
#[derive(Debug, Clone)]
pub struct HttpModels {
    remote: Client,
    /// To this machine or network over plain HTTP, where the settings allow it: without proxy and certificates.
    local: Client,
    patience: Patience,
}

impl HttpModels {
    pub fn new(patience: Patience) -> Result<Self, ClientError> {
        let builder = || {
            Client::builder()
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
        };
        let made = |builder: reqwest::ClientBuilder| builder.build().map_err(ClientError);
        Ok(Self {
            remote: made(builder().https_only(true))?,
            local: made(builder().no_proxy().tls_certs_only([]))?,
            patience,
        })
    }

    fn post(&self, base: &Url, path: &str) -> RequestBuilder {
        let client = if base.scheme() == "http" {
            &self.local
        } else {
            &self.remote
        };
        client.post(format!("{}{path}", base.as_str().trim_end_matches('/')))
    }

    fn request(&self, endpoint: &Endpoint, call: &ModelCall) -> Result<RequestBuilder, ModelError> {
        let (path, body) = match endpoint.kind {
            ProviderKind::OpenAi => ("/chat/completions", openai::body(&endpoint.model, call)),
            ProviderKind::Anthropic => ("/v1/messages", anthropic::body(&endpoint.model, call)),
        };
        let id = HeaderValue::from_str(&call.id.to_string())
            .map_err(|error| ModelError::Unavailable(error.into()))?;
        let mut request = self
            .post(&endpoint.base_url, path)
            .header(REQUEST_ID, id)
            .json(&body);
        if endpoint.kind == ProviderKind::Anthropic {
            request = request.header(ANTHROPIC_VERSION.0, ANTHROPIC_VERSION.1);
        }
        let Some(key) = &endpoint.key else {
            return Ok(request);
        };
        let (name, text) = match endpoint.kind {
            ProviderKind::OpenAi => (
                reqwest::header::AUTHORIZATION,
                format!("Bearer {}", key.expose_secret()),
            ),
            ProviderKind::Anthropic => (API_KEY, key.expose_secret().to_owned()),
        };
        // What is no header is no key: nobody can have been given it.
        let mut value = HeaderValue::from_str(&text).map_err(|_| ModelError::NotAuthorized)?;
        value.set_sensitive(true);
        Ok(request.header(name, value))
    }
}

#[async_trait]
impl LanguageModel for HttpModels {
    async fn open(&self, endpoint: &Endpoint, call: &ModelCall) -> Result<ModelStream, ModelError> {
        let by = Instant::now() + self.patience.first_word;
        let request = self.request(endpoint, call)?;
        let sent = tokio::time::timeout_at(by, request.send());
        let response = sent.await.map_err(|_| ModelError::TimedOut)?.map_err(no_answer)?;
        if !response.status().is_success() {
            return Err(read_refusal(response, by).await);
        }
        let reader: Box<dyn Reader> = match endpoint.kind {
            ProviderKind::OpenAi => Box::<openai::Chunks>::default(),
            ProviderKind::Anthropic => Box::new(anthropic::Events::new()),
        };
        stream::open(response, reader, by, self.patience.between_events).await
    }
}

async fn read_refusal(mut response: Response, by: Instant) -> ModelError {
    let mut body = Vec::new();
    // A status says enough when its body does not come.
    while body.len() < refusal::BODY_BYTES_MAX
        && let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(by, response.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    refusal::of(response.status(), response.headers(), &body)
}

/// The address could have been given with something secret in it.
fn no_answer(error: reqwest::Error) -> ModelError {
    ModelError::Unavailable(error.without_url().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_word_is_waited_for_thirty_seconds_and_so_is_the_next() {
        let Patience {
            first_word,
            between_events,
        } = Patience::default();
        assert_eq!([first_word, between_events], [Duration::from_secs(30); 2]);
    }
}
