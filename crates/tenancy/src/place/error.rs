use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

/// Why a place is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    #[error("there is no such place")]
    NotFound,
    #[error("a place's code is 1 to 20 of A-Z 0-9 _ -")]
    Code,
    #[error("the site has a place with this code already")]
    CodeTaken,
    #[error("a place has a name of 1 to 200 characters")]
    Name,
    #[error("a time zone is an IANA name: Asia/Kuwait")]
    TimeZone,
    #[error("someone else changed the place since it was read")]
    Stale,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for PlaceError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "place_not_found",
            Self::Code => "place_code_invalid",
            Self::CodeTaken => "place_code_taken",
            Self::Name => "place_name_invalid",
            Self::TimeZone => "place_time_zone_invalid",
            Self::Stale => "version_stale",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Code | Self::Name | Self::TimeZone => Kind::Invalid,
            Self::CodeTaken => Kind::Conflict,
            Self::Stale => Kind::Stale,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Code | Self::CodeTaken => Some("code".into()),
            Self::Name => Some("name".into()),
            Self::TimeZone => Some("time_zone".into()),
            _ => None,
        }
    }
}
