//! A thin client of Stripe's API: form bodies out, a bounded answer in, sorted by [`StripeError`]. Why not a library:
//! docs/adr/0010.

mod answer;
mod connection;
mod form;
mod retry;

use std::fmt;
use std::time::Duration;

use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;

pub use connection::{ClientError, Connection};
use form::Unread;
pub(crate) use form::{Form, Listed, segment};
pub use form::{IdempotencyKey, IdempotencyKeyError, Metadata, Page};
pub use retry::RetryPolicy;

use crate::error::StripeError;
use crate::key::{Mode, StripeKey};

/// The version that every request asks for and every webhook endpoint is to be set to; an event of another is parked.
pub const API_VERSION: &str = "2026-05-27.dahlia";

/// As many as Stripe gives at once.
const PAGE_ITEMS: &str = "100";
/// What is not found on so many is not known to be missing.
const PAGES_MAX: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// https, or http on this machine.
    pub base_url: String,
    /// For one try, its answer included.
    pub timeout: Duration,
    pub retry: RetryPolicy,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.stripe.com".to_owned(),
            timeout: Duration::from_secs(20),
            retry: RetryPolicy::default(),
        }
    }
}

/// One account at Stripe.
#[derive(Clone)]
pub struct StripeClient {
    connection: Connection,
    key: StripeKey,
}

impl fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeClient")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl StripeClient {
    pub fn new(connection: &Connection, key: StripeKey) -> Self {
        Self {
            connection: connection.clone(),
            key,
        }
    }

    /// By the key's prefix; every answer is checked against it.
    pub const fn mode(&self) -> Mode {
        self.key.mode()
    }

    /// Both have the same key.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        self.key.header() == other.key.header()
    }

    #[cfg(test)]
    pub(crate) fn key_header(&self) -> reqwest::header::HeaderValue {
        self.key.header()
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &Form) -> Result<T, StripeError> {
        self.send(self.connection.get(path).query(query.pairs())).await
    }

    /// One object by its id; `None` if there is none.
    pub(crate) async fn find<T: DeserializeOwned>(
        &self,
        path: &str,
        id: &str,
    ) -> Result<Option<T>, StripeError> {
        let found = match segment(id) {
            Ok(id) => self.get(&format!("{path}/{id}"), &Form::default()).await,
            Err(nothing) => Err(nothing),
        };
        found.map(Some).or_else(StripeError::unless_missing)
    }

    /// There is no way to post without a key: whatever is sent twice by a retry happens once (S01).
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        key: &IdempotencyKey,
        form: &Form,
    ) -> Result<T, StripeError> {
        let request = self.connection.post(path).header("idempotency-key", key.as_str());
        self.send(request.form(form.pairs())).await
    }

    /// One page of a list, newest first, beginning behind the object `after`.
    pub(crate) async fn page<T: DeserializeOwned + Listed>(
        &self,
        path: &str,
        filter: &Form,
        after: Option<&str>,
    ) -> Result<Page<T>, StripeError> {
        let query = filter
            .clone()
            .with("limit", PAGE_ITEMS)
            .maybe("starting_after", after);
        self.get::<form::List<T>>(path, &query).await?.page()
    }

    /// The object of a list whose metadata has this value under this name. `None` only when every page was read. Others'
    /// objects may stand among them, in a shape that is not ours to read.
    pub(crate) async fn with_metadata<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: &Form,
        name: &str,
        value: &str,
    ) -> Result<Option<T>, StripeError> {
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let page = self.page::<Unread>(path, filter, after.as_deref()).await;
            let page = page.map_err(StripeError::of_lookup)?;
            if let Some(found) = page.items.into_iter().find(|item| item.has(name, value)) {
                return found.read().map(Some);
            }
            after = page.next;
            if after.is_none() {
                return Ok(None);
            }
        }
        Err(StripeError::TooManyPages { pages_max: PAGES_MAX })
    }

    /// How long to wait before reading again what failed `tries` times.
    pub(crate) fn pause(&self, tries: u32) -> Duration {
        self.connection.pause(tries)
    }

    /// A key for a call that does no harm when it is made again, so that nothing need remember it.
    pub(crate) fn passing_key(&self) -> IdempotencyKey {
        IdempotencyKey::passing(self.connection.randomness())
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, StripeError> {
        let request = request
            .header("authorization", self.key.header())
            .header("stripe-version", API_VERSION);
        let answer = self.connection.send(request).await?.accepted(self.mode())?;
        answer.json_of(self.mode())
    }
}
