//! The outbound port to a custodian of tokens.
//!
//! A transfer cannot be called back, so an unknown outcome is looked up by our external id before anything is sent
//! again. The external id is permanent: the custodian refuses a second transfer that carries it.

use async_trait::async_trait;
use posx_kernel::{SiteId, TokenAmount, TokenError};
use serde::{Deserialize, Serialize};

use crate::CustodyAsset;

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
    /// The custodian does not accept who asks: a wrong or revoked key, or a clock that is off. Nothing happened, and
    /// nothing will until a person acts.
    #[error("the custodian does not accept our credentials: {code}")]
    NotAuthorized { code: String },
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
    /// Whether what it sends is worth something: true only where both locks for real transfers are open.
    fn moves_real_tokens(&self) -> bool;
    /// Under an external id that is taken nothing new is made: the answer is [`CustodyError::Duplicate`], or, to the very
    /// same request, the transfer that it made.
    async fn submit(&self, request: &TransferRequest) -> Result<Transfer, CustodyError>;
    /// `None`: the custodian has certainly never seen this external id.
    async fn find(&self, site: SiteId, external_id: &ExternalId) -> Result<Option<Transfer>, CustodyError>;
    /// What a vault can spend of an asset now, in base units, rounded down. `None`: there is no such vault, or it does not
    /// hold the asset.
    async fn available(
        &self,
        site: SiteId,
        asset: &CustodyAsset,
    ) -> Result<Option<TokenAmount>, CustodyError>;
}

/// A balance as custodians word it, in whole tokens (`10.25`), as base units. What is finer than a base unit cannot be
/// spent.
pub fn spendable(text: &str, decimals: u8) -> Result<TokenAmount, TokenError> {
    let kept = match text.split_once('.') {
        Some((whole, fraction)) if fraction.len() > usize::from(decimals) => {
            if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(TokenError::NotDecimal);
            }
            format!("{whole}.{}0", &fraction[..usize::from(decimals)])
        }
        _ => text.to_owned(),
    };
    TokenAmount::parse(&kept, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f13_a_balance_is_read_exactly_and_rounded_down() {
        for (text, decimals, units) in [
            ("10.25", 2, 1_025),
            ("10.259", 2, 1_025),
            ("0.000000999999999999", 6, 0),
            ("7.9", 0, 7),
            ("7", 18, 7_000_000_000_000_000_000),
            ("0", 6, 0),
            ("340282366920938463463.374607431768211455", 18, u128::MAX),
        ] {
            let read = spendable(text, decimals);
            assert_eq!(read, Ok(TokenAmount::from_base_units(units)), "{text}");
        }
        for text in [
            "",
            "-1",
            "1e3",
            "1.",
            ".5",
            "1.2x4",
            "1.23456789é",
            " 1",
            "9".repeat(40).as_str(),
        ] {
            assert!(spendable(text, 2).is_err(), "{text:?}");
        }
    }
}
