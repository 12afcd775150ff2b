//! An OIDC issuer with keys of its own: true access tokens by RFC 9068, and broken ones for tests.

mod http;
mod token;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use token::{Flaw, TokenRequest};

use crate::env::Env;
use crate::keys::{KeyError, KeyRing, OldKeys};
use crate::line::Line;

pub(crate) use http::router;

/// The calls that can be counted and made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerCall {
    Discovery,
    KeySet,
    Token,
}

/// The issuer, seen from inside. A clone is a handle on the same.
#[derive(Clone)]
pub struct Issuer {
    inner: Arc<Inner>,
}

struct Inner {
    env: Env,
    url: String,
    line: Line<IssuerCall>,
    keys: Arc<KeyRing>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("url", &self.inner.url)
            .finish_non_exhaustive()
    }
}

impl Issuer {
    pub(crate) fn new(env: Env, url: String, keys: Arc<KeyRing>) -> Self {
        Self {
            inner: Arc::new(Inner {
                env,
                url,
                line: Line::new(),
                keys,
            }),
        }
    }

    pub fn line(&self) -> &Line<IssuerCall> {
        &self.inner.line
    }

    pub(crate) fn key_ids(&self) -> Vec<String> {
        self.inner.keys.ids()
    }

    /// What tokens say as `iss`, with its trailing slash.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// An access token that holds from now on, by the world's clock.
    pub fn token(&self, request: &TokenRequest) -> Result<String, KeyError> {
        token::issue(
            &self.inner.env,
            &self.inner.url,
            &self.inner.keys.current(),
            request,
        )
    }

    /// A token that must be refused, for one reason.
    pub fn bad_token(&self, request: &TokenRequest, flaw: Flaw) -> Result<String, KeyError> {
        token::spoil(
            &self.inner.env,
            &self.inner.url,
            &self.inner.keys.current(),
            request,
            flaw,
        )
    }

    /// Tokens are signed with a new key from now on. Making it takes some tenths of a second.
    pub async fn rotate(&self, old: OldKeys) -> Result<(), KeyError> {
        let keys = Arc::clone(&self.inner.keys);
        tokio::task::spawn_blocking(move || keys.rotate(old))
            .await
            .map_err(|_| KeyError::Generate)?
    }
}
