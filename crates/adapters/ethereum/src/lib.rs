//! The Ethereum adapter: whether a wallet signed a message (EIP-191), by its key or, on a configured node, by its contract
//! (EIP-1271).
//!
//! Invariants:
//! * A key's signature is 65 bytes with a low s, so that nobody makes a second one out of it (EIP-2).
//! * A contract is asked on the chain that the message names: at the same address of another chain may stand another's.
//! * A node that does not answer, answers too much, or serves another chain is "cannot be told", never "valid".

mod contract;
mod key;
mod node;

use std::collections::BTreeMap;

use async_trait::async_trait;
use posx_tenancy::{EvmAddress, SignatureVerdict, SignatureVerifier, VerifierError};

pub use key::personal_message_hash;
pub use node::{Node, NodeAddressError};

/// A contract wallet of many owners concatenates their signatures.
const SIGNATURE_BYTES_MAX: usize = 4096;

/// Checks signatures of keys, and of contracts on the chains that have a node.
#[derive(Debug, Default)]
pub struct WalletVerifier {
    nodes: BTreeMap<u64, Node>,
}

impl WalletVerifier {
    /// `nodes` by chain id. Without one, contract wallets are off on that chain.
    pub const fn new(nodes: BTreeMap<u64, Node>) -> Self {
        Self { nodes }
    }
}

#[async_trait]
impl SignatureVerifier for WalletVerifier {
    async fn verify(
        &self,
        address: &EvmAddress,
        chain_id: u64,
        message: &str,
        signature: &str,
    ) -> Result<SignatureVerdict, VerifierError> {
        let Some(signature) = bytes(signature) else {
            return Ok(SignatureVerdict::Invalid);
        };
        let hash = personal_message_hash(message);
        if key::signer(&hash, &signature).as_ref() == Some(address) {
            return Ok(SignatureVerdict::ByKey);
        }
        let Some(node) = self.nodes.get(&chain_id) else {
            // 65 bytes are a key's signature: another's, or one that was altered.
            return Ok(if signature.len() == key::SIGNATURE_BYTES {
                SignatureVerdict::Invalid
            } else {
                SignatureVerdict::ContractOff
            });
        };
        let signed = contract::signed(node, address, chain_id, &hash, &signature).await;
        Ok(if signed.map_err(|error| VerifierError(error.into()))? {
            SignatureVerdict::ByContract
        } else {
            SignatureVerdict::Invalid
        })
    }
}

/// `0x` and an even number of digits; at least one byte.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?;
    if digits.is_empty() || digits.len() > 2 * SIGNATURE_BYTES_MAX {
        return None;
    }
    hex::decode(digits).ok()
}

#[cfg(test)]
mod tests;
