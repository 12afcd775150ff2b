use std::borrow::Cow;

use posx_kernel::{Kind, Refusal, StoreError};

use super::MembershipRefusal;
use crate::SiteError;

/// Why a membership stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    #[error("there is no such member")]
    NotFound,
    #[error("nobody changes their own membership")]
    Itself,
    #[error("the member's rank is not below yours")]
    Outranks,
    #[error("the role is above your own rank")]
    AboveRank,
    #[error("your own membership does not reach that far: it is narrowed to places")]
    BeyondPlaces,
    #[error("an owner has the whole site and is not narrowed to places")]
    OwnerNarrowed,
    #[error("a membership is narrowed to at most {max} places", max = super::PLACES_MAX)]
    TooManyPlaces,
    #[error("there is no such place")]
    NoSuchPlace,
    #[error("a site keeps an active owner")]
    LastOwner,
    #[error("the membership is over: an invitation brings the person back")]
    Removed,
    #[error("someone else changed the member since it was read")]
    Stale,
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for MemberError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "member_not_found",
            Self::Itself => "member_is_self",
            Self::Outranks => "member_outranks_you",
            Self::AboveRank => "role_above_yours",
            Self::BeyondPlaces => "places_beyond_yours",
            Self::OwnerNarrowed => "owner_places_invalid",
            Self::TooManyPlaces => "places_too_many",
            Self::NoSuchPlace => "place_not_found",
            Self::LastOwner => "last_owner",
            Self::Removed => "member_removed",
            Self::Stale => "version_stale",
            Self::Site(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Itself | Self::Outranks | Self::AboveRank | Self::BeyondPlaces => Kind::Forbidden,
            Self::OwnerNarrowed | Self::TooManyPlaces | Self::NoSuchPlace => Kind::Invalid,
            Self::LastOwner | Self::Removed => Kind::Conflict,
            Self::Stale => Kind::Stale,
            Self::Site(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::AboveRank => Some("role".into()),
            Self::BeyondPlaces | Self::OwnerNarrowed | Self::TooManyPlaces | Self::NoSuchPlace => {
                Some("places".into())
            }
            _ => None,
        }
    }
}

impl From<MembershipRefusal> for MemberError {
    fn from(refusal: MembershipRefusal) -> Self {
        match refusal {
            MembershipRefusal::LastOwner => Self::LastOwner,
            MembershipRefusal::NoSuchPlace => Self::NoSuchPlace,
        }
    }
}
