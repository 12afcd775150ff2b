use std::error::Error;

use async_trait::async_trait;

/// Where one set comes from. An implementation follows no redirect, bounds its own time, stops reading after
/// [`SET_BYTES_MAX`](crate::SET_BYTES_MAX) bytes, and asks over TLS unless the host is this machine.
#[async_trait]
pub trait FetchKeys: Send + Sync {
    /// The key set document, unparsed.
    async fn fetch(&self) -> Result<Vec<u8>, FetchError>;
}

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("the key server could not be reached")]
    Transport(#[source] Box<dyn Error + Send + Sync>),
    #[error("the key server answered with status {0}")]
    Status(u16),
    #[error("the key server's answer is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    /// The answer that leads to the key set (a discovery document) cannot be followed.
    #[error("the key server's answer cannot be used: {0}")]
    Unusable(&'static str),
}
