//! Wallet addresses, in the one canonical form of their chain.

use posx_tenancy::{EvmAddress, EvmAddressError};
use posx_tiers::ChainFamily;

/// A checked address: EIP-55 mixed case on EVM chains, Base58Check beginning with `T` on TRON.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WalletAddress {
    family: ChainFamily,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    #[error("this is an address of another chain")]
    WrongChain,
    #[error("not an address: 0x and 40 hexadecimal digits, or T and 33 characters of Base58")]
    Form,
    #[error("the address' checksum is wrong: a character is mistyped")]
    Checksum,
    #[error("tokens sent to this address are lost")]
    Burn,
}

/// TRON's version byte of a main-net address.
const TRON_VERSION: u8 = 0x41;

impl WalletAddress {
    /// Accepts what people paste: surrounding blanks, and EVM addresses in one case (which carry no checksum). A mixed-case
    /// EVM address must be the EIP-55 one.
    pub fn parse(text: &str, family: ChainFamily) -> Result<Self, WalletError> {
        let text = text.trim();
        let looks_evm = text.starts_with("0x") || text.starts_with("0X");
        let text = match family {
            ChainFamily::Evm if !looks_evm && text.starts_with('T') => return Err(WalletError::WrongChain),
            ChainFamily::Tron if looks_evm => return Err(WalletError::WrongChain),
            ChainFamily::Evm => evm(text)?,
            ChainFamily::Tron => tron(text)?,
        };
        Ok(Self { family, text })
    }

    /// The address of a wallet that someone proved to hold.
    pub fn of_evm(address: &EvmAddress) -> Self {
        Self {
            family: ChainFamily::Evm,
            text: address.as_str().to_owned(),
        }
    }

    /// An address read back from storage, which holds only canonical ones.
    pub const fn from_stored(text: String, family: ChainFamily) -> Self {
        Self { family, text }
    }

    pub const fn family(&self) -> ChainFamily {
        self.family
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Display for WalletAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn evm(text: &str) -> Result<String, WalletError> {
    match EvmAddress::parse(text) {
        Ok(address) => Ok(address.as_str().to_owned()),
        Err(EvmAddressError::Form) => Err(WalletError::Form),
        Err(EvmAddressError::Checksum) => Err(WalletError::Checksum),
        Err(EvmAddressError::Burn) => Err(WalletError::Burn),
    }
}

fn tron(text: &str) -> Result<String, WalletError> {
    if text.len() != 34 || !text.starts_with('T') {
        return Err(WalletError::Form);
    }
    let bytes = bs58::decode(text)
        .with_check(Some(TRON_VERSION))
        .into_vec()
        .map_err(|error| match error {
            bs58::decode::Error::InvalidChecksum { .. } => WalletError::Checksum,
            _ => WalletError::Form,
        })?;
    if bytes.len() != 21 {
        return Err(WalletError::Form);
    }
    if bytes[1..].iter().all(|&b| b == 0) {
        return Err(WalletError::Burn);
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The examples of EIP-55 itself.
    const EIP55: &[&str] = &[
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];
    const USDT_ON_TRON: &str = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t";

    #[test]
    fn an_evm_address_is_stored_in_its_eip_55_form() {
        for canonical in EIP55 {
            for typed in [
                (*canonical).to_owned(),
                canonical.to_lowercase(),
                format!(" {canonical} "),
            ] {
                let parsed = WalletAddress::parse(&typed, ChainFamily::Evm).expect(&typed);
                assert_eq!(parsed.as_str(), *canonical);
            }
        }
    }

    #[test]
    fn a_mistyped_address_is_refused() {
        assert_eq!(
            WalletAddress::parse("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", ChainFamily::Evm),
            Err(WalletError::Checksum)
        );
        assert_eq!(
            WalletAddress::parse("0x5aAe", ChainFamily::Evm),
            Err(WalletError::Form)
        );
        assert_eq!(
            WalletAddress::parse(&format!("0x{}", "0".repeat(40)), ChainFamily::Evm),
            Err(WalletError::Burn)
        );
        let wrong = USDT_ON_TRON.replace("6t", "6u");
        assert_eq!(
            WalletAddress::parse(&wrong, ChainFamily::Tron),
            Err(WalletError::Checksum)
        );
    }

    #[test]
    fn an_address_of_another_chain_is_told_apart_from_a_mistyped_one() {
        assert_eq!(
            WalletAddress::parse(USDT_ON_TRON, ChainFamily::Evm),
            Err(WalletError::WrongChain)
        );
        assert_eq!(
            WalletAddress::parse(EIP55[0], ChainFamily::Tron),
            Err(WalletError::WrongChain)
        );
        assert!(WalletAddress::parse(USDT_ON_TRON, ChainFamily::Tron).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_and_never_a_panic(text in ".*") {
            let _ = WalletAddress::parse(&text, ChainFamily::Evm);
            let _ = WalletAddress::parse(&text, ChainFamily::Tron);
        }

        #[test]
        fn a_wrong_case_of_one_letter_is_noticed(at in 2_usize..42) {
            let mut bytes = EIP55[2].as_bytes().to_vec();
            prop_assume!(bytes[at].is_ascii_alphabetic());
            bytes[at] ^= 0x20;
            let text = String::from_utf8(bytes).expect("ASCII");
            prop_assert_eq!(WalletAddress::parse(&text, ChainFamily::Evm), Err(WalletError::Checksum));
        }
    }
}
