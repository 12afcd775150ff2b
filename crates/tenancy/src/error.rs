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
    #[error("this needs a second factor that was proven in the last 10 minutes")]
    SecondFactorNeeded,
    #[error("your membership does not reach there: it is narrowed to other places")]
    PlaceNotYours,
    /// The caller is a key or a device.
    #[error("this is for people by their own token")]
    PersonNeeded,
    #[error("this is for devices by their own token")]
    DeviceNeeded,
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
            Self::SecondFactorNeeded => "second_factor_needed",
            Self::PlaceNotYours => "place_not_yours",
            Self::PersonNeeded => "person_needed",
            Self::DeviceNeeded => "device_needed",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Missing | Self::Ambiguous => Kind::Malformed,
            Self::Unknown => Kind::NotFound,
            Self::Suspended
            | Self::NotAMember
            | Self::NotAllowed(_)
            | Self::SecondFactorNeeded
            | Self::PlaceNotYours
            | Self::PersonNeeded
            | Self::DeviceNeeded => Kind::Forbidden,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    #[error("the membership is disabled")]
    Disabled,
    #[error("no free referral code was found")]
    NoFreeCode,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for JoinError {
    fn code(&self) -> &'static str {
        match self {
            Self::Disabled => "member_disabled",
            Self::NoFreeCode => "referral_codes_exhausted",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Disabled => Kind::Forbidden,
            Self::NoFreeCode => Kind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }
}
