//! Why a device is not paired or does not do as it is told.

use std::borrow::Cow;

use posx_kernel::{Kind, Refusal, StoreError};

use super::{DEVICES_MAX, NAME_CHARS_MAX, OPEN_PAIRINGS_MAX, VERSION_CHARS_MAX};

#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("there is no such device")]
    NotFound,
    #[error("a name is 1 to {NAME_CHARS_MAX} characters")]
    Name,
    #[error("there is no such place, or it is closed")]
    Place,
    #[error("a version is 1 to {VERSION_CHARS_MAX} visible ASCII characters")]
    Version,
    #[error("the site has {DEVICES_MAX} devices already")]
    TooMany,
    #[error("{OPEN_PAIRINGS_MAX} codes wait for their devices already")]
    TooManyPairings,
    /// Never given out here, used, too old, or its device is suspended or revoked: all one to who tries.
    #[error("the code is not one that can be used here: ask for a new one")]
    Code,
    #[error("the device is not active")]
    NotActive,
    #[error("the device is suspended")]
    Suspended,
    #[error("the device is revoked")]
    Revoked,
    #[error("your role does not let you stand at a device of this place")]
    NotACashierHere,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for DeviceError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "device_not_found",
            Self::Name => "device_name_invalid",
            Self::Place => "device_place_unknown",
            Self::Version => "device_version_invalid",
            Self::TooMany => "devices_too_many",
            Self::TooManyPairings => "device_pairings_too_many",
            Self::Code => "device_code_unknown",
            Self::NotActive => "device_not_active",
            Self::Suspended => "device_suspended",
            Self::Revoked => "device_revoked",
            Self::NotACashierHere => "device_cashier_not_here",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Name | Self::Place | Self::Version | Self::Code => Kind::Invalid,
            Self::TooMany | Self::TooManyPairings | Self::NotActive | Self::Suspended | Self::Revoked => {
                Kind::Conflict
            }
            Self::NotACashierHere => Kind::Forbidden,
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Name => Some("name".into()),
            Self::Place => Some("place".into()),
            Self::Version => Some("app_version".into()),
            Self::Code => Some("code".into()),
            _ => None,
        }
    }
}
