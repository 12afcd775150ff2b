//! One chain's node, by JSON-RPC over HTTP.

use std::fmt;
use std::time::Duration;

use reqwest::{Client, redirect};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::{Host, Url};

/// For one request, the body included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// What is asked here is answered in some hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Providers put their key into the address: it is not shown.
pub struct Node {
    url: Url,
    client: Client,
    chain_id: OnceCell<u64>,
}

/// Why an address is no node's.
#[derive(Debug, thiserror::Error)]
pub enum NodeAddressError {
    #[error("it is not https, or http on this machine")]
    Scheme,
    #[error("its HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("the node cannot be reached")]
    Transport(#[source] reqwest::Error),
    #[error("the node answered with status {0}")]
    Status(u16),
    #[error("the node answered more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the node's answer is not JSON-RPC")]
    Shape(#[source] serde_json::Error),
    #[error("the node refused with code {0}")]
    Refused(i64),
    #[error("the node serves chain {0}")]
    OtherChain(u64),
    #[error("the node does not say which chain it serves")]
    NoChain,
}

/// What a call came to.
#[derive(Debug)]
pub enum Called {
    Returned(String),
    Reverted,
}

#[derive(Deserialize)]
struct Answer {
    result: Option<String>,
    error: Option<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    code: i64,
    #[serde(default)]
    message: String,
}

impl Node {
    pub fn new(url: &str) -> Result<Self, NodeAddressError> {
        let url = Url::parse(url).map_err(|_| NodeAddressError::Scheme)?;
        let here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let builder = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(TIMEOUT);
        let builder = match url.scheme() {
            "https" => builder.https_only(true),
            // To this machine we go directly, and need neither a proxy nor the system's certificates.
            "http" if here => builder.no_proxy().tls_certs_only([]),
            _ => return Err(NodeAddressError::Scheme),
        };
        Ok(Self {
            url,
            client: builder.build().map_err(NodeAddressError::Client)?,
            chain_id: OnceCell::new(),
        })
    }

    /// Calls a contract's function, which changes nothing, on this chain and no other.
    pub async fn call(&self, chain_id: u64, to: &str, data: &str) -> Result<Called, NodeError> {
        let served = *self.chain_id.get_or_try_init(|| self.served_chain()).await?;
        if served != chain_id {
            return Err(NodeError::OtherChain(served));
        }
        let params = json!([{ "to": to, "data": data }, "latest"]);
        let answer = self.ask("eth_call", &params).await?;
        match (answer.result, answer.error) {
            (Some(returned), None) => Ok(Called::Returned(returned)),
            // EIP-1474 knows no code for it: geth and others say 3, some -32000 or -32015 with the word.
            (_, Some(error)) if error.code == 3 || error.message.to_ascii_lowercase().contains("revert") => {
                Ok(Called::Reverted)
            }
            (_, error) => Err(NodeError::Refused(error.map_or(0, |error| error.code))),
        }
    }

    async fn served_chain(&self) -> Result<u64, NodeError> {
        let answer = self.ask("eth_chainId", &json!([])).await?;
        let digits = answer.result.as_deref().and_then(|text| text.strip_prefix("0x"));
        digits
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or(NodeError::NoChain)
    }

    async fn ask(&self, method: &str, params: &Value) -> Result<Answer, NodeError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let sent = self.client.post(self.url.clone()).json(&request).send().await;
        let mut response = sent.map_err(transport)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(NodeError::Status(response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(NodeError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(NodeError::Shape)
    }
}

/// Without the address, which may hold a key.
fn transport(error: reqwest::Error) -> NodeError {
    NodeError::Transport(error.without_url())
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}
