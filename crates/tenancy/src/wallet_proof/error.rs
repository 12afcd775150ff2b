//! Why a proof of a wallet is not taken.

use std::borrow::Cow;

use posx_kernel::{Kind, Refusal, StoreError};

use super::ports::VerifierError;

#[derive(Debug, thiserror::Error)]
pub enum WalletProofError {
    #[error("the address is not usable")]
    Address(#[source] crate::EvmAddressError),
    #[error("the message does not follow EIP-4361: its {part}")]
    Message { part: &'static str },
    #[error("the message is for another site than this one")]
    Domain,
    #[error("the message's URI is not of the site that it names")]
    Uri,
    #[error("wallets are not proven on this chain")]
    Chain,
    #[error("the message's time is over")]
    Expired,
    #[error("the message's time has not come")]
    NotYetValid,
    /// Never issued here, used, too old, or another's: all one to who asks.
    #[error("the message's nonce is not one that can be used here: ask for a new one")]
    Nonce,
    #[error("the signature is not the wallet's signature of this message")]
    Signature,
    #[error("a contract wallet's signature can be checked on no node of this chain")]
    ContractOff,
    #[error("whether the contract wallet signed cannot be told now")]
    Unavailable(#[source] VerifierError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for WalletProofError {
    fn code(&self) -> &'static str {
        match self {
            Self::Address(crate::EvmAddressError::Form) => "wallet_address_invalid",
            Self::Address(crate::EvmAddressError::Checksum) => "wallet_checksum_invalid",
            Self::Address(crate::EvmAddressError::Burn) => "wallet_address_burns",
            Self::Message { .. } => "wallet_message_invalid",
            Self::Domain => "wallet_message_domain_mismatch",
            Self::Uri => "wallet_message_uri_mismatch",
            Self::Chain => "wallet_chain_not_allowed",
            Self::Expired => "wallet_message_expired",
            Self::NotYetValid => "wallet_message_not_yet_valid",
            Self::Nonce => "wallet_nonce_unknown",
            Self::Signature => "wallet_signature_invalid",
            Self::ContractOff => "wallet_contract_unsupported",
            Self::Unavailable(_) => "wallet_node_unavailable",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Store(error) => error.kind(),
            _ => Kind::Invalid,
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Address(_) => Some("address".into()),
            Self::Signature | Self::ContractOff => Some("signature".into()),
            Self::Unavailable(_) | Self::Store(_) => None,
            _ => Some("message".into()),
        }
    }
}
