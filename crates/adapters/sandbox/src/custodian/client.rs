//! The port to the custodian, over HTTP.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use posx_allocations::CustodyAsset;
use posx_allocations::custody::{Custody, CustodyError, ExternalId, Transfer, TransferRequest, spendable};
use posx_kernel::{SiteId, TokenAmount};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::error::DUPLICATE;
use crate::transport::{ClientError, RawAnswer, Transport, TransportError};

/// Talks to a sandbox custodian on this machine as to Fireblocks, but for the signed requests of F01.
#[derive(Debug, Clone)]
pub struct SandboxCustody {
    pub(super) transport: Transport,
}

#[derive(Deserialize)]
struct Created {
    id: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireTransfer {
    id: String,
    external_tx_id: Option<String>,
    status: String,
    sub_status: Option<String>,
    tx_hash: Option<String>,
    num_of_confirmations: Option<u32>,
}

#[derive(Deserialize)]
struct WireWallet {
    available: String,
}

#[derive(Deserialize)]
struct WireRefusal {
    code: i64,
}

impl SandboxCustody {
    /// `base_url` is what `World::fireblocks_url` says; an address that is not of this machine is refused.
    pub fn new(base_url: &str, api_key: &str) -> Result<Self, ClientError> {
        let transport = Transport::new(base_url, "x-api-key", api_key)?;
        Ok(Self { transport })
    }

    /// How long one call may take, its answer included; 10 seconds unless said.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self {
            transport: self.transport.timeout(timeout),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<RawAnswer, CustodyError> {
        let answer = self.transport.send(request).await.map_err(unknown)?;
        if answer.is_unsettled() {
            return Err(unknown(answer.unsettled()));
        }
        Ok(answer)
    }

    async fn find_at<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, CustodyError> {
        let answer = self.send(self.transport.get(path)).await?;
        if answer.status.is_success() {
            return answer.json().map(Some).map_err(unknown);
        }
        match refusal(&answer) {
            // Worded as the custodian words it: a 404 of something between us says nothing.
            CustodyError::Refused { .. } if answer.status.as_u16() == 404 => Ok(None),
            error => Err(error),
        }
    }
}

#[async_trait]
impl Custody for SandboxCustody {
    fn provider(&self) -> &'static str {
        "fireblocks"
    }

    fn moves_real_tokens(&self) -> bool {
        false
    }

    /// No idempotency key is sent: the external id does its work, and for ever.
    async fn submit(&self, request: &TransferRequest) -> Result<Transfer, CustodyError> {
        let body = json!({
            "operation": "TRANSFER",
            "assetId": request.provider_asset,
            "source": { "type": "VAULT_ACCOUNT", "id": request.vault },
            "destination": { "type": "ONE_TIME_ADDRESS", "oneTimeAddress": { "address": request.to } },
            "amount": request.amount.in_tokens(request.decimals),
            "externalTxId": request.external_id,
        });
        let answer = self
            .send(self.transport.post("/v1/transactions").json(&body))
            .await?;
        if answer.status.is_success() {
            let created: Created = answer.json().map_err(unknown)?;
            return Ok(Transfer {
                provider_id: created.id,
                external_id: Some(request.external_id.clone()),
                status: created.status,
                sub_status: None,
                tx_hash: None,
                confirmations: 0,
            });
        }
        Err(refusal(&answer))
    }

    async fn find(&self, _site: SiteId, external_id: &ExternalId) -> Result<Option<Transfer>, CustodyError> {
        let path = format!(
            "/v1/transactions/external_tx_id/{}",
            percent_encoded(&external_id.0)
        );
        Ok(self.find_at::<WireTransfer>(&path).await?.map(Into::into))
    }

    async fn available(
        &self,
        _site: SiteId,
        asset: &CustodyAsset,
    ) -> Result<Option<TokenAmount>, CustodyError> {
        let (vault, name) = (
            percent_encoded(&asset.vault),
            percent_encoded(&asset.provider_asset),
        );
        let wallet = self
            .find_at::<WireWallet>(&format!("/v1/vault/accounts/{vault}/{name}"))
            .await?;
        let spendable = wallet.map(|wallet| spendable(&wallet.available, asset.decimals));
        spendable
            .transpose()
            .map_err(|_| unknown(TransportError::Field("available")))
    }
}

impl From<WireTransfer> for Transfer {
    fn from(wire: WireTransfer) -> Self {
        let present = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            provider_id: wire.id,
            external_id: present(wire.external_tx_id).map(ExternalId),
            status: wire.status,
            sub_status: present(wire.sub_status),
            tx_hash: present(wire.tx_hash),
            confirmations: wire.num_of_confirmations.unwrap_or_default(),
        }
    }
}

fn refusal(answer: &RawAnswer) -> CustodyError {
    match answer.json() {
        Ok(WireRefusal { code: DUPLICATE }) => CustodyError::Duplicate,
        Ok(WireRefusal { code }) => {
            let code = code.to_string();
            match answer.status.as_u16() {
                401 | 403 => CustodyError::NotAuthorized { code },
                _ => CustodyError::Refused { code },
            }
        }
        Err(error) => unknown(error),
    }
}

fn unknown(error: TransportError) -> CustodyError {
    CustodyError::Unknown(Box::new(error))
}

/// As one segment of a path.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
