//! The providers that the operator's settings name.

use std::collections::BTreeMap;

use secrecy::SecretString;
use url::Url;

use crate::ProviderKind;

#[derive(Debug, Clone)]
pub struct Provider {
    pub kind: ProviderKind,
    pub base_url: Url,
    /// The operator's, for every site that gives none of its own.
    pub key: Option<SecretString>,
    /// A local server may want none.
    pub needs_key: bool,
}

impl Provider {
    /// Whether it may be called without a key of the site's.
    pub const fn serves_everybody(&self) -> bool {
        self.key.is_some() || !self.needs_key
    }
}

/// By name, as sites choose them.
#[derive(Debug, Clone, Default)]
pub struct Providers(BTreeMap<String, Provider>);

impl Providers {
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.0.get(name)
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, &Provider)> {
        self.0.iter().map(|(name, provider)| (name.as_str(), provider))
    }
}

impl FromIterator<(String, Provider)> for Providers {
    fn from_iter<I: IntoIterator<Item = (String, Provider)>>(providers: I) -> Self {
        Self(providers.into_iter().collect())
    }
}
