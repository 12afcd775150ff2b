//! Where Fireblocks is: <https://developers.fireblocks.com/reference/signing-a-request-jwt-structure> for the API,
//! <https://developers.fireblocks.com/reference/validating-webhooks> for the keys of webhooks.

/// A workspace lives in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    Us,
    Eu,
    Eu2,
    /// Moves no real tokens.
    Sandbox,
}

impl Region {
    pub const ALL: [Self; 4] = [Self::Us, Self::Eu, Self::Eu2, Self::Sandbox];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Eu2 => "eu2",
            Self::Sandbox => "sandbox",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|region| region.name() == name)
    }

    /// Without the version, which is in the paths.
    pub const fn api_url(self) -> &'static str {
        match self {
            Self::Us => "https://api.fireblocks.io",
            Self::Eu => "https://eu-api.fireblocks.io",
            Self::Eu2 => "https://eu2-api.fireblocks.io",
            Self::Sandbox => "https://sandbox-api.fireblocks.io",
        }
    }

    /// The keys that sign this region's webhooks.
    pub const fn webhook_keys_url(self) -> &'static str {
        match self {
            Self::Us => "https://keys.fireblocks.io/.well-known/jwks.json",
            Self::Eu => "https://eu-keys.fireblocks.io/.well-known/jwks.json",
            Self::Eu2 => "https://eu2-keys.fireblocks.io/.well-known/jwks.json",
            Self::Sandbox => "https://sandbox-keys.fireblocks.io/.well-known/jwks.json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::allowed;

    #[test]
    fn f02_each_region_has_a_name_an_api_and_keys_of_its_own() {
        let mut addresses: Vec<_> = Region::ALL
            .into_iter()
            .flat_map(|region| [region.api_url(), region.webhook_keys_url()])
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 8);
        for region in Region::ALL {
            assert_eq!(Region::from_name(region.name()), Some(region));
            for url in [region.api_url(), region.webhook_keys_url()] {
                let url = allowed(url).unwrap();
                assert!(url.host_str().unwrap().ends_with(".fireblocks.io"), "{url}");
            }
        }
        assert_eq!(Region::from_name("US"), None);
    }
}
