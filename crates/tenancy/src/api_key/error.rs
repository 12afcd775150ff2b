//! Why a key is not made or changed.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

use super::{LIFETIME_DAYS_MAX, LIVE_KEYS_MAX, NAME_CHARS_MAX, OVERLAP_DAYS_MAX, SECRETS_MAX};
use crate::SiteError;

#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    #[error("there is no such API key")]
    NotFound,
    #[error("a name is 1 to {NAME_CHARS_MAX} characters")]
    Name,
    #[error("a key has at least one scope")]
    NoScope,
    /// Unknown, a person's alone, or more than the maker may do.
    #[error("a key of yours cannot have this scope")]
    Scope { index: usize },
    #[error("a key lives 1 to {LIFETIME_DAYS_MAX} days")]
    Lifetime,
    #[error("secrets overlap 0 to {OVERLAP_DAYS_MAX} days")]
    Overlap,
    #[error("the site has {LIVE_KEYS_MAX} live keys already")]
    TooMany,
    #[error(
        "{SECRETS_MAX} secrets of the key are good already: wait until one ends, or rotate without an overlap"
    )]
    TooManySecrets,
    #[error("the key is revoked or expired: make another one")]
    NotLive,
    /// A secret in hand would be worth more than the rights of who holds it.
    #[error("the key may do more than you may")]
    BeyondMaker,
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ApiKeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "api_key_not_found",
            Self::Name => "api_key_name_invalid",
            Self::NoScope => "api_key_scopes_missing",
            Self::Scope { .. } => "api_key_scope_invalid",
            Self::Lifetime => "api_key_lifetime_invalid",
            Self::Overlap => "api_key_overlap_invalid",
            Self::TooMany => "api_keys_too_many",
            Self::TooManySecrets => "api_key_secrets_too_many",
            Self::NotLive => "api_key_not_live",
            Self::BeyondMaker => "api_key_beyond_maker",
            Self::Site(refusal) => refusal.code(),
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Name | Self::NoScope | Self::Scope { .. } | Self::Lifetime | Self::Overlap => Kind::Invalid,
            Self::TooMany | Self::TooManySecrets | Self::NotLive => Kind::Conflict,
            Self::BeyondMaker => Kind::Forbidden,
            Self::Site(refusal) => refusal.kind(),
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Name => Some("name".into()),
            Self::NoScope => Some("scopes".into()),
            Self::Scope { index } => Some(format!("scopes/{index}").into()),
            Self::Lifetime => Some("lifetime_days".into()),
            Self::Overlap => Some("overlap_days".into()),
            _ => None,
        }
    }
}
