//! A thin client of Fireblocks' API: signed requests out, a bounded answer in, sorted by [`FireblocksError`].

mod answer;
mod retry;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use posx_kernel::Randomness;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, Request, Url};
use serde::de::DeserializeOwned;

pub use retry::RetryPolicy;

use crate::error::FireblocksError;
use crate::sign::RequestSigner;
use answer::Answer;

/// A hundred transactions are the largest answer, with some kilobytes each.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Names a request that must not happen twice. Fireblocks gives the first answer again for 24 hours (F04).
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// As many bytes as 40 characters hold, which is as much as Fireblocks takes.
    const BYTES: usize = 20;

    /// The same for the same bytes, in every process: only the very same request is answered by an earlier answer.
    pub(crate) fn of(body: &[u8]) -> Self {
        let digest = digest(&SHA256, body);
        Self(hex::encode(&digest.as_ref()[..Self::BYTES]))
    }

    pub(crate) fn fresh(randomness: &dyn Randomness) -> Self {
        let mut bytes = [0; Self::BYTES];
        randomness.fill(&mut bytes);
        Self(hex::encode(bytes))
    }
}

/// One API user of one workspace.
pub(crate) struct FireblocksClient {
    http: Client,
    base: Url,
    signer: RequestSigner,
    timeout: Duration,
    retry: RetryPolicy,
    randomness: Arc<dyn Randomness>,
}

impl fmt::Debug for FireblocksClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FireblocksClient")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

impl FireblocksClient {
    /// `http` follows no redirects; `base` was checked.
    pub(crate) fn new(
        http: Client,
        base: Url,
        signer: RequestSigner,
        timeout: Duration,
        retry: RetryPolicy,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self {
            http,
            base,
            signer,
            timeout,
            retry,
            randomness,
        }
    }

    pub(crate) fn fresh_key(&self) -> IdempotencyKey {
        IdempotencyKey::fresh(self.randomness.as_ref())
    }

    /// Part of a list. Reading does no harm, so that whatever may heal is asked again.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        query: &[(&str, String)],
    ) -> Result<T, FireblocksError> {
        let call = Call {
            method: Method::GET,
            segments,
            query,
            key: None,
            body: b"",
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match self.send(&call).await.and_then(Answer::accepted) {
                Ok(answer) => return answer.json(),
                Err(error) => error,
            };
            let heals = matches!(
                error,
                FireblocksError::Status { status: 500.. } | FireblocksError::NoAnswer(_)
            );
            if !heals || tries >= self.retry.tries_max {
                return Err(error);
            }
            tokio::time::sleep(self.retry.step(tries, self.randomness.as_ref())).await;
        }
    }

    /// `None`: Fireblocks says that there is no such thing.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        segments: &[&str],
    ) -> Result<Option<T>, FireblocksError> {
        let call = Call {
            method: Method::GET,
            segments,
            query: &[],
            key: None,
            body: b"",
        };
        let answer = self.send(&call).await;
        match answer.and_then(Answer::accepted) {
            Ok(answer) => answer.json().map(Some),
            Err(error) => error.unless_missing(),
        }
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        segments: &[&str],
        key: &IdempotencyKey,
        body: &[u8],
    ) -> Result<T, FireblocksError> {
        let call = Call {
            method: Method::POST,
            segments,
            query: &[],
            key: Some(key),
            body,
        };
        self.send(&call).await?.accepted()?.json()
    }

    /// Only what was turned away by the rate limit is sent again, each time signed anew: it had no effect (F03).
    async fn send(&self, call: &Call<'_>) -> Result<Answer, FireblocksError> {
        let mut tries = 0;
        loop {
            let answer = self.send_once(call).await?;
            tries += 1;
            if !answer.is_busy() {
                return Ok(answer);
            }
            match self.retry.pause(&answer, tries, self.randomness.as_ref()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(FireblocksError::Busy { tries }),
            }
        }
    }

    async fn send_once(&self, call: &Call<'_>) -> Result<Answer, FireblocksError> {
        let request = self.request(call)?;
        let no_answer = |error: reqwest::Error| FireblocksError::NoAnswer(error.without_url());
        let mut response = self.http.execute(request).await.map_err(no_answer)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(FireblocksError::TooLarge {
                    bytes_max: ANSWER_BYTES_MAX,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::new(response.status(), response.headers(), body))
    }

    /// What is signed is taken from what will be sent.
    fn request(&self, call: &Call<'_>) -> Result<Request, FireblocksError> {
        let mut url = self.url(call.segments)?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let uri = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let authorization = self.signer.authorization(&uri, call.body)?;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .timeout(self.timeout)
            .header("x-api-key", self.signer.api_key())
            .header(AUTHORIZATION, authorization);
        if let Some(IdempotencyKey(key)) = call.key {
            request = request.header("idempotency-key", key);
        }
        if !call.body.is_empty() {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(call.body.to_vec());
        }
        request.build().map_err(|_| FireblocksError::Unsent)
    }

    fn url(&self, segments: &[&str]) -> Result<Url, FireblocksError> {
        // No path can carry these, and nothing is called by them.
        if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            let code = "no_such_path".to_owned();
            return Err(FireblocksError::Refused { status: 404, code });
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| FireblocksError::Unsent)?
            .push("v1")
            .extend(segments);
        Ok(url)
    }
}

struct Call<'a> {
    method: Method,
    /// Below the version, not encoded.
    segments: &'a [&'a str],
    query: &'a [(&'a str, String)],
    key: Option<&'a IdempotencyKey>,
    body: &'a [u8],
}
