//! The outbound port to a custodian of tokens.
//!
//! A transfer cannot be called back, so an unknown outcome is looked up by our external id before anything is sent
//! again. The external id is permanent: the custodian refuses a second transfer that carries it.

use async_trait::async_trait;
use posx_kernel::{SiteId, TokenAmount};
use serde::{Deserialize, Serialize};

/// Our name for one try at one allocation: `alc_…-1`. At most 255 characters, unique for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExternalId(pub String);

impl std::fmt::Display for ExternalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferRequest {
    pub site: SiteId,
    pub external_id: ExternalId,
    /// The custodian's name for the asset: `USDC_POLYGON`.
    pub provider_asset: String,
    /// The custodian's vault account that pays.
    pub vault: String,
    /// Canonical address on the asset's chain.
    pub to: String,
    pub amount: TokenAmount,
    /// Of the asset: the wire carries whole tokens as text.
    pub decimals: u8,
}

/// A transfer as the custodian reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub provider_id: String,
    pub external_id: Option<ExternalId>,
    /// The custodian's own words: `CONFIRMING`, and `COMPLETED_BUT_3RD_PARTY_FAILED` and the like.
    pub status: String,
    pub sub_status: Option<String>,
    pub tx_hash: Option<String>,
    pub confirmations: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// The custodian understood and said no; no transfer exists under this external id because of this call.
    #[error("the custodian refused: {code}")]
    Refused { code: String },
    /// The external id is taken: by our own earlier call whose answer was lost. Look it up and adopt it.
    #[error("the custodian already has a transfer with this external id")]
    Duplicate,
    /// No answer, or one that does not say whether it happened.
    #[error("the custodian gave no usable answer")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[async_trait]
pub trait Custody: Send + Sync + std::fmt::Debug {
    /// The name that stored external ids carry: `fireblocks`.
    fn provider(&self) -> &'static str;
    async fn submit(&self, request: &TransferRequest) -> Result<Transfer, CustodyError>;
    /// `None`: the custodian has certainly never seen this external id.
    async fn find(&self, site: SiteId, external_id: &ExternalId) -> Result<Option<Transfer>, CustodyError>;
}
