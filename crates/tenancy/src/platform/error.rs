//! Refusals of the platform plane.

use std::borrow::Cow;

use posx_kernel::{Kind, Refusal, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    #[error("a site code is 2 to 20 of A-Z 0-9 _ -")]
    Code,
    #[error("there is a site with this code already")]
    CodeTaken,
    #[error("{0:?} is no host name")]
    Host(String),
    #[error("a site has at most 50 host names")]
    TooManyHosts,
    #[error("another site has the host name {0}")]
    HostTaken(String),
    #[error("a vault's id has 1 to 100 visible characters")]
    Vault,
    #[error("a site has at most 50 vaults")]
    TooManyVaults,
    /// Which site, is not told.
    #[error("another site has the vault {0}")]
    VaultTaken(String),
    #[error("a site has a name of 1 to 200 characters")]
    Name,
    #[error("there is no site with this code")]
    Unknown,
    #[error("a site lists at most 50 origins")]
    TooManyOrigins,
    #[error("a site keeps an active owner")]
    LastOwner,
    /// A good token of the plane's issuer is not enough.
    #[error("you are not on the platform's staff")]
    NotStaff,
    #[error("your role on the platform does not allow {0}")]
    NotAllowed(&'static str),
    #[error("a staff member has a name of 1 to 200 characters")]
    StaffName,
    #[error("there is no such staff member")]
    StaffUnknown,
    #[error("nobody changes their own place on the staff")]
    OwnPlace,
    #[error("the platform keeps an active admin")]
    LastAdmin,
    #[error("a grant has a reason of 10 to 500 characters, for the site's owner to read")]
    GrantReason,
    #[error("a grant lasts 15 to 480 minutes")]
    GrantLength,
    #[error("the site is suspended: nobody enters it")]
    GrantSuspended,
    #[error("end the open grant first: one at a time")]
    GrantOpen,
    #[error("there is no such open grant")]
    GrantUnknown,
    #[error("figures are of 366 days at most, from a time before their end")]
    Span,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for PlatformError {
    fn code(&self) -> &'static str {
        match self {
            Self::Code => "site_code_invalid",
            Self::CodeTaken => "site_code_taken",
            Self::Host(_) | Self::TooManyHosts => "site_host_invalid",
            Self::HostTaken(_) => "site_host_taken",
            Self::Vault | Self::TooManyVaults => "site_vault_invalid",
            Self::VaultTaken(_) => "site_vault_taken",
            Self::Name => "site_name_invalid",
            Self::Unknown => "site_unknown",
            Self::TooManyOrigins => "site_origins_too_many",
            Self::LastOwner => "site_last_owner",
            Self::NotStaff => "not_platform_staff",
            Self::NotAllowed(_) => "capability_missing",
            Self::StaffName => "staff_name_invalid",
            Self::StaffUnknown => "staff_not_found",
            Self::OwnPlace => "staff_own_place",
            Self::LastAdmin => "staff_last_admin",
            Self::GrantReason => "grant_reason_invalid",
            Self::GrantLength => "grant_length_invalid",
            Self::GrantSuspended => "grant_site_suspended",
            Self::GrantOpen => "grant_open",
            Self::GrantUnknown => "grant_not_found",
            Self::Span => "figures_span_invalid",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::StaffUnknown | Self::GrantUnknown => Kind::NotFound,
            Self::CodeTaken
            | Self::HostTaken(_)
            | Self::VaultTaken(_)
            | Self::LastOwner
            | Self::LastAdmin
            | Self::GrantSuspended
            | Self::GrantOpen => Kind::Conflict,
            Self::NotStaff | Self::NotAllowed(_) | Self::OwnPlace => Kind::Forbidden,
            Self::Code
            | Self::Host(_)
            | Self::TooManyHosts
            | Self::Vault
            | Self::TooManyVaults
            | Self::Name
            | Self::TooManyOrigins
            | Self::StaffName
            | Self::GrantReason
            | Self::GrantLength => Kind::Invalid,
            Self::Span => Kind::Malformed,
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self {
            Self::Code | Self::CodeTaken => "code",
            Self::Name | Self::StaffName => "name",
            Self::Host(_) | Self::TooManyHosts | Self::HostTaken(_) => "host_names",
            Self::Vault | Self::TooManyVaults | Self::VaultTaken(_) => "vaults",
            Self::GrantReason => "reason",
            Self::GrantLength => "minutes",
            _ => return None,
        }))
    }
}
