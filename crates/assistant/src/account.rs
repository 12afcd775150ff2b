//! Which model a site uses for what, and as whom. The addresses of providers are the operator's alone: a site that could name one
//! would have our servers call whatever it likes.

mod choose;
mod ports;
mod provider;
#[cfg(test)]
mod tests;
mod view;

use posx_kernel::{Kind, Refusal, Sealed, SecretError, SecretPlace, SiteId, StoreError, Timestamp};

use crate::Purpose;

pub use choose::Models;
pub use ports::{ModelSetups, ModelsTx, Setup, SetupQueries};
pub use provider::{Provider, Providers};
pub use view::{ModelAccountView, ModelChoiceBody, ModelConsentView, ModelProviderView};

/// Of a provider's key, what may be shown.
const LAST_CHARACTERS: usize = 4;
const KEY_CHARACTERS: std::ops::RangeInclusive<usize> = 8..=500;

/// A model at one of the operator's providers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ModelChoice {
    pub provider: String,
    pub model: String,
}

/// A key that the site gave. It is of the account's provider, and forgotten with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnKey {
    pub sealed: Sealed,
    pub last4: String,
}

/// What a site chose for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelAccount {
    pub purpose: Purpose,
    pub main: ModelChoice,
    /// None: the operator's key, if the provider has one.
    pub own_key: Option<OwnKey>,
    /// Where a call goes that the main model cannot take now; with the operator's key.
    pub fallback: Option<ModelChoice>,
    /// Counts from 1; 0 before it is kept.
    pub version: i32,
    pub updated_at: Timestamp,
}

impl ModelAccount {
    pub const fn new(purpose: Purpose, main: ModelChoice, at: Timestamp) -> Self {
        Self {
            purpose,
            main,
            own_key: None,
            fallback: None,
            version: 0,
            updated_at: at,
        }
    }

    /// Another provider never gets the key that was given for this one.
    #[must_use]
    pub fn choose(mut self, main: ModelChoice, fallback: Option<ModelChoice>, at: Timestamp) -> Self {
        if main.provider != self.main.provider {
            self.own_key = None;
        }
        Self {
            main,
            fallback,
            version: self.version + 1,
            updated_at: at,
            ..self
        }
    }

    #[must_use]
    pub fn with_key(self, own_key: Option<OwnKey>, at: Timestamp) -> Self {
        Self {
            own_key,
            version: self.version + 1,
            updated_at: at,
            ..self
        }
    }

    /// What the key is sealed for.
    pub fn key_place(site: SiteId, purpose: Purpose) -> SecretPlace {
        SecretPlace {
            site,
            table: "model_accounts",
            row: purpose.as_str().to_owned(),
            column: "key_sealed",
        }
    }
}

/// Why a choice, a key or a consent is not kept.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("there is no such provider")]
    UnknownProvider { field: &'static str },
    #[error("the provider has no model of this name with a price")]
    UnknownModel { field: &'static str },
    #[error("the fallback is the same model")]
    SameModel,
    #[error("the operator has no key for this provider: as a fallback it cannot be called")]
    FallbackWithoutKey,
    #[error("a key is 8 to 500 visible ASCII characters")]
    Key,
    #[error("the site has chosen no model for this purpose")]
    NoAccount,
    #[error("there is no key of the site's own")]
    NoKey,
    #[error("the text that is consented to has version {now}: read it again")]
    ConsentText { now: u16 },
    #[error("there is no consent to withdraw")]
    NoConsent,
    #[error("someone else changed it since it was read")]
    Stale,
    #[error("the site does not have the module assistant")]
    ModuleOff,
    #[error("the key cannot be kept now")]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for SetupError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownProvider { .. } => "model_provider_unknown",
            Self::UnknownModel { .. } => "model_unknown",
            Self::SameModel => "model_fallback_same",
            Self::FallbackWithoutKey => "model_fallback_without_key",
            Self::Key => "model_key_invalid",
            Self::NoAccount => "model_account_not_found",
            Self::NoKey => "model_key_not_found",
            Self::ConsentText { .. } => "model_consent_text_outdated",
            Self::NoConsent => "model_consent_not_found",
            Self::Stale => "version_stale",
            Self::ModuleOff => "module_off",
            Self::Secret(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::UnknownProvider { .. }
            | Self::UnknownModel { .. }
            | Self::SameModel
            | Self::FallbackWithoutKey
            | Self::Key
            | Self::ConsentText { .. } => Kind::Invalid,
            Self::NoAccount | Self::NoKey | Self::NoConsent => Kind::NotFound,
            Self::Stale => Kind::Stale,
            Self::ModuleOff => Kind::Forbidden,
            Self::Secret(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<std::borrow::Cow<'static, str>> {
        match self {
            Self::UnknownProvider { field } | Self::UnknownModel { field } => Some((*field).into()),
            Self::SameModel => Some("fallback".into()),
            Self::FallbackWithoutKey => Some("fallback/provider".into()),
            Self::Key => Some("key".into()),
            Self::ConsentText { .. } => Some("text_version".into()),
            _ => None,
        }
    }
}

/// The characters of a key that may be shown. A key is ASCII and longer than that.
fn last4(key: &str) -> String {
    key[key.len() - LAST_CHARACTERS..].to_owned()
}
