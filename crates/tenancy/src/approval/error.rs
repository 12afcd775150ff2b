use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    #[error("there is no such approval")]
    NotFound,
    #[error("the approval is {0}")]
    NotOpen(&'static str),
    #[error("nobody decides on their own request")]
    OwnRequest,
    #[error("only who asked takes a request back")]
    NotTheMaker,
    #[error("the hash is not that of the request")]
    Mismatch,
    #[error("a reason has 1 to 500 characters")]
    Reason,
    #[error("you have too many open requests: withdraw some")]
    TooMany,
    #[error("there is no such operation with a limit")]
    UnknownOperation,
    #[error("a limit is a whole number from 0, or null")]
    Limit,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ApprovalError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "approval_not_found",
            Self::NotOpen(_) => "approval_not_open",
            Self::OwnRequest => "approval_own_request",
            Self::NotTheMaker => "approval_of_another",
            Self::Mismatch => "approval_mismatch",
            Self::Reason => "approval_reason_invalid",
            Self::TooMany => "approvals_too_many",
            Self::UnknownOperation => "approval_limit_not_found",
            Self::Limit => "approval_limit_invalid",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound | Self::UnknownOperation => Kind::NotFound,
            Self::NotOpen(_) | Self::Mismatch | Self::TooMany => Kind::Conflict,
            Self::OwnRequest | Self::NotTheMaker => Kind::Forbidden,
            Self::Reason | Self::Limit => Kind::Invalid,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Reason => Some("reason".into()),
            Self::Limit => Some("quantity_max".into()),
            _ => None,
        }
    }
}
