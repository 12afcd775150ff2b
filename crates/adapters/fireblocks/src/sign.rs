//! Requests are signed one by one: <https://developers.fireblocks.com/reference/signing-a-request-jwt-structure>.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use posx_kernel::{Clock, Randomness};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use crate::error::FireblocksError;

/// Fireblocks takes less than 30 seconds. A clock that is off by more than what is left is told by its answer.
const VALID_FOR_SECONDS: i64 = 25;

/// One API user: its id and its private key.
pub(crate) struct RequestSigner {
    api_key: SecretString,
    api_key_header: HeaderValue,
    key: EncodingKey,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

/// What is wrong with the configured credentials; never the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    #[error("the Fireblocks API key is empty, or has characters that no key has")]
    ApiKey,
    #[error("the Fireblocks private key is not an RSA key in PEM")]
    PrivateKey,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Claims<'a> {
    /// Path and query.
    uri: &'a str,
    nonce: String,
    iat: i64,
    exp: i64,
    sub: &'a str,
    /// Of the bytes as they are sent, none included.
    body_hash: String,
}

impl RequestSigner {
    pub(crate) fn new(
        api_key: SecretString,
        private_key: &SecretString,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self, CredentialsError> {
        let text = api_key.expose_secret();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CredentialsError::ApiKey);
        }
        let mut api_key_header = HeaderValue::from_str(text).map_err(|_| CredentialsError::ApiKey)?;
        api_key_header.set_sensitive(true);
        let key = EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes())
            .map_err(|_| CredentialsError::PrivateKey)?;
        // What is framed like a key may still be none.
        jsonwebtoken::crypto::sign(b"", &key, Algorithm::RS256).map_err(|_| CredentialsError::PrivateKey)?;
        Ok(Self {
            api_key,
            api_key_header,
            key,
            clock,
            randomness,
        })
    }

    pub(crate) fn api_key(&self) -> HeaderValue {
        self.api_key_header.clone()
    }

    /// The `Authorization` header of one request, for one use.
    pub(crate) fn authorization(&self, uri: &str, body: &[u8]) -> Result<HeaderValue, FireblocksError> {
        let mut nonce = [0; 16];
        self.randomness.fill(&mut nonce);
        let now = self.clock.now().timestamp();
        let claims = Claims {
            uri,
            nonce: hex::encode(nonce),
            iat: now,
            exp: now + VALID_FOR_SECONDS,
            sub: self.api_key.expose_secret(),
            body_hash: hex::encode(digest(&SHA256, body)),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|_| FireblocksError::Unsent)?;
        let mut value =
            HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| FireblocksError::Unsent)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestSigner([redacted])")
    }
}

#[cfg(test)]
mod tests;
