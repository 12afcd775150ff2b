//! Chains and the tokens that live on them.

use posx_kernel::{ChainAssetId, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Chain {
    Eth,
    Polygon,
    Bsc,
    Tron,
}

/// Chains that share one form of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChainFamily {
    Evm,
    Tron,
}

impl Chain {
    pub const ALL: &'static [Self] = &[Self::Eth, Self::Polygon, Self::Bsc, Self::Tron];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eth => "ETH",
            Self::Polygon => "POLYGON",
            Self::Bsc => "BSC",
            Self::Tron => "TRON",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|chain| chain.as_str() == name)
    }

    /// What EVM chains call themselves (EIP-155).
    pub const fn eip155_id(self) -> Option<u64> {
        match self {
            Self::Eth => Some(1),
            Self::Polygon => Some(137),
            Self::Bsc => Some(56),
            Self::Tron => None,
        }
    }

    pub const fn family(self) -> ChainFamily {
        match self {
            Self::Eth | Self::Polygon | Self::Bsc => ChainFamily::Evm,
            Self::Tron => ChainFamily::Tron,
        }
    }
}

impl ChainFamily {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evm => "EVM",
            Self::Tron => "TRON",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Evm, Self::Tron]
            .into_iter()
            .find(|family| family.as_str() == name)
    }
}

/// A token that a site sells, and where the custodian keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainAsset {
    pub id: ChainAssetId,
    pub chain: Chain,
    pub symbol: String,
    /// 0 to 18.
    pub decimals: u8,
    /// The custodian's name for it.
    pub provider_asset: String,
    /// The custodian's vault account that pays.
    pub vault: String,
    pub active: bool,
    pub created_at: Timestamp,
}
