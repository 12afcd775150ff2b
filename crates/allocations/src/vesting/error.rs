//! Refusals of what staff do with vesting.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

use super::policy::{CLIFF_MONTHS_MAX, PERIODS_MAX, START_YEARS};
#[derive(Debug, thiserror::Error)]
pub enum VestingError {
    #[error("a name has 1 to 200 characters")]
    Name,
    #[error("a cliff has at most {CLIFF_MONTHS_MAX} months")]
    Cliff,
    #[error("there are 1 to {PERIODS_MAX} periods, and none only if everything unlocks at the start")]
    Periods,
    #[error("a start lies between the years {} and {}", START_YEARS.start(), START_YEARS.end())]
    Start,
    #[error("there is no such vesting policy")]
    NoSuchPolicy,
    #[error("there is no such tier")]
    NoSuchTier,
    #[error("there is no such vesting schedule")]
    NoSuchSchedule,
    /// The policy that the request's body names.
    #[error("there is no such vesting policy")]
    UnknownPolicy,
    #[error("someone else changed it: read it again")]
    Stale,
    #[error("the policy is not revocable")]
    NotRevocable,
    #[error("a reason has 1 to 500 characters")]
    Reason,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for VestingError {
    fn code(&self) -> &'static str {
        match self {
            Self::Name => "vesting_name_invalid",
            Self::Cliff => "vesting_cliff_invalid",
            Self::Periods => "vesting_periods_invalid",
            Self::Start => "vesting_start_invalid",
            Self::NoSuchPolicy | Self::UnknownPolicy => "vesting_policy_not_found",
            Self::NoSuchTier => "tier_not_found",
            Self::NoSuchSchedule => "vesting_schedule_not_found",
            Self::Stale => "version_stale",
            Self::NotRevocable => "vesting_not_revocable",
            Self::Reason => "vesting_reason_invalid",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Name | Self::Cliff | Self::Periods | Self::Start | Self::UnknownPolicy | Self::Reason => {
                Kind::Invalid
            }
            Self::NoSuchPolicy | Self::NoSuchTier | Self::NoSuchSchedule => Kind::NotFound,
            Self::Stale => Kind::Stale,
            Self::NotRevocable => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Name => "name",
            Self::Cliff => "cliff_months",
            Self::Periods => "periods",
            Self::Start => "starts_on",
            Self::UnknownPolicy => "policy",
            Self::Reason => "reason",
            _ => return None,
        };
        Some(field.into())
    }
}
