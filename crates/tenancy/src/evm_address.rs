//! Addresses of EVM chains.

use sha3::{Digest, Keccak256};

/// A checked address in its EIP-55 form: `0x` and 40 digits, their case a checksum.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EvmAddress(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvmAddressError {
    #[error("not 0x and 40 hexadecimal digits")]
    Form,
    #[error("the checksum is wrong: a character is mistyped")]
    Checksum,
    #[error("nobody has the key of this address")]
    Burn,
}

impl EvmAddress {
    /// Accepts digits in one case, which carry no checksum. Mixed case must be the EIP-55 one.
    pub fn parse(text: &str) -> Result<Self, EvmAddressError> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .ok_or(EvmAddressError::Form)?;
        if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(EvmAddressError::Form);
        }
        let canonical = eip55(&digits.to_ascii_lowercase());
        let one_case = !digits.bytes().any(|b| b.is_ascii_uppercase())
            || !digits.bytes().any(|b| b.is_ascii_lowercase());
        if !one_case && canonical[2..] != *digits {
            return Err(EvmAddressError::Checksum);
        }
        if digits.bytes().all(|b| b == b'0') {
            return Err(EvmAddressError::Burn);
        }
        Ok(Self(canonical))
    }

    /// Accepts the EIP-55 form only, as EIP-4361 wants it.
    pub fn parse_canonical(text: &str) -> Result<Self, EvmAddressError> {
        let address = Self::parse(text)?;
        if address.0 == text {
            Ok(address)
        } else {
            Err(EvmAddressError::Checksum)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for EvmAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// EIP-55: a letter is upper case where the Keccak-256 of the lower-case digits has a nibble of 8 or more.
fn eip55(lower: &str) -> String {
    let hash = Keccak256::digest(lower.as_bytes());
    let mut text = String::with_capacity(42);
    text.push_str("0x");
    for (at, digit) in lower.chars().enumerate() {
        let byte = hash[at / 2];
        let nibble = if at % 2 == 0 { byte >> 4 } else { byte & 0x0f };
        text.push(if nibble >= 8 {
            digit.to_ascii_uppercase()
        } else {
            digit
        });
    }
    text
}
