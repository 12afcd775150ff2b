//! Signatures of keys.

use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
use posx_tenancy::EvmAddress;
use sha3::{Digest, Keccak256};

pub const SIGNATURE_BYTES: usize = 65;

/// What `personal_sign` signs (EIP-191, version 0x45): the length is that of the UTF-8 bytes.
pub fn personal_message_hash(message: &str) -> [u8; 32] {
    let prefix = format!("\x19Ethereum Signed Message:\n{}", message.len());
    Keccak256::new_with_prefix(prefix.as_bytes())
        .chain_update(message.as_bytes())
        .finalize()
        .into()
}

/// The address whose key signed. None: it is no signature, or its s is high.
pub fn signer(hash: &[u8; 32], signature: &[u8]) -> Option<EvmAddress> {
    let (recovery, r_and_s) = signature.split_last()?;
    let recovery = match recovery {
        27 | 28 => recovery - 27,
        0 | 1 => *recovery,
        _ => return None,
    };
    if signature.len() != SIGNATURE_BYTES {
        return None;
    }
    let signature = Signature::from_slice(r_and_s).ok()?;
    if signature.normalize_s() != signature {
        return None;
    }
    let recovery = RecoveryId::from_byte(recovery)?;
    let key = VerifyingKey::recover_from_prehash(hash, &signature, recovery).ok()?;
    // The last 20 bytes of the hash of the point, without the byte that says how it is written.
    let point = key.to_sec1_point(false);
    let hash = Keccak256::digest(&point.as_bytes()[1..]);
    EvmAddress::parse(&format!("0x{}", hex::encode(&hash[12..]))).ok()
}
