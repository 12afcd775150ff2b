//! EIP-1271: a contract says whether it signed.

use posx_tenancy::EvmAddress;

use crate::node::{Called, Node, NodeError};

/// `isValidSignature(bytes32,bytes)`, and also what it returns for a valid one.
const MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

pub async fn signed(
    node: &Node,
    address: &EvmAddress,
    chain_id: u64,
    hash: &[u8; 32],
    signature: &[u8],
) -> Result<bool, NodeError> {
    match node
        .call(chain_id, address.as_str(), &call_data(hash, signature))
        .await?
    {
        Called::Returned(text) => Ok(is_yes(&text)),
        Called::Reverted => Ok(false),
    }
}

/// The function, the hash, where the signature begins, its length, and itself, filled up to whole words.
pub fn call_data(hash: &[u8; 32], signature: &[u8]) -> String {
    let word = |number: usize| format!("{number:064x}");
    let filling = (32 - signature.len() % 32) % 32;
    format!(
        "0x{}{}{}{}{}{}",
        hex::encode(MAGIC),
        hex::encode(hash),
        word(64),
        word(signature.len()),
        hex::encode(signature),
        "00".repeat(filling)
    )
}

/// One word, the magic value first and nothing after it. An address without a contract returns nothing.
pub fn is_yes(returned: &str) -> bool {
    let word: String = [hex::encode(MAGIC), "00".repeat(28)].concat();
    returned
        .strip_prefix("0x")
        .is_some_and(|digits| digits.eq_ignore_ascii_case(&word))
}
