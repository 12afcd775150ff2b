//! Refusals of this context.

use posx_kernel::{Kind, Refusal, StoreError};

/// Why a request has no site, or may not work in it.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error("name the site: by its host name or by the X-Site-Code header")]
    Missing,
    #[error("there is no such site")]
    Unknown,
    #[error("the host name and X-Site-Code name different sites")]
    Ambiguous,
    #[error("the site is suspended")]
    Suspended,
    #[error("you are not a member of this site")]
    NotAMember,
    #[error("your role in this site does not allow {0}")]
    NotAllowed(&'static str),
}

impl Refusal for SiteError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing => "site_missing",
            Self::Unknown => "site_unknown",
            Self::Ambiguous => "site_ambiguous",
            Self::Suspended => "site_suspended",
            Self::NotAMember => "not_a_member",
            Self::NotAllowed(_) => "capability_missing",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Missing | Self::Ambiguous => Kind::Malformed,
            Self::Unknown => Kind::NotFound,
            Self::Suspended | Self::NotAMember | Self::NotAllowed(_) => Kind::Forbidden,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("no free referral code was found")]
    NoFreeCode,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for JoinError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoFreeCode => "referral_codes_exhausted",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoFreeCode => Kind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Refusals of the platform plane: the command line shows them.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    #[error("a site code is 2 to 20 of A-Z 0-9 _ -")]
    Code,
    #[error("there is a site with this code already")]
    CodeTaken,
    #[error("another site has the host name {0}")]
    HostTaken(String),
    #[error("a site has a name of 1 to 200 characters")]
    Name,
    #[error("there is no site with this code")]
    Unknown,
    #[error(transparent)]
    Store(#[from] StoreError),
}
