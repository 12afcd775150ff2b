use std::time::Duration;

use async_trait::async_trait;
use posx_keyset::{FetchError, FetchKeys, SET_BYTES_MAX};
use reqwest::{Client, StatusCode, Url};

use crate::address::{allowed, client_for};
use crate::region::Region;

/// For the request, the body included: a delivery waits for it, and Fireblocks does not wait for long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The webhook keys of one region over HTTP. https, or http on this machine; no redirects.
#[derive(Debug, Clone)]
pub struct HttpKeys {
    client: Client,
    url: Url,
}

/// An address that must stop the start.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error("the address of the webhook keys is not https")]
    NotAllowed,
    #[error("the HTTP client for the webhook keys cannot be made")]
    Client(#[source] reqwest::Error),
}

impl HttpKeys {
    pub fn of_region(region: Region) -> Result<Self, AddressError> {
        Self::new(region.webhook_keys_url())
    }

    pub fn new(url: &str) -> Result<Self, AddressError> {
        let url = allowed(url).ok_or(AddressError::NotAllowed)?;
        let builder = client_for(&url).timeout(TIMEOUT);
        Ok(Self {
            client: builder.build().map_err(AddressError::Client)?,
            url,
        })
    }
}

#[async_trait]
impl FetchKeys for HttpKeys {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let transport = |error| FetchError::Transport(Box::new(error));
        let mut response = self
            .client
            .get(self.url.clone())
            .send()
            .await
            .map_err(transport)?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
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
}

#[cfg(test)]
mod tests;
