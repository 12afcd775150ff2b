//! Why a period is not closed, or not opened again.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError, Timestamp};

#[derive(Debug, thiserror::Error)]
pub enum PeriodError {
    #[error("there is no such period")]
    NotFound,
    #[error("the books are closed up to an hour ago at the latest")]
    TooRecent,
    #[error("the books are closed up to {0} already")]
    NotAfterLast(Timestamp),
    #[error("only the last closed period is opened again")]
    NotLast,
    #[error("a reason is 1 to 500 characters")]
    Reason,
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for PeriodError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "ledger_period_not_found",
            Self::TooRecent => "ledger_period_too_recent",
            Self::NotAfterLast(_) => "ledger_period_not_after_last",
            Self::NotLast => "ledger_period_not_last",
            Self::Reason => "ledger_period_reason_invalid",
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::TooRecent | Self::Reason => Kind::Invalid,
            Self::NotAfterLast(_) | Self::NotLast => Kind::Conflict,
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::TooRecent | Self::NotAfterLast(_) => Some("until".into()),
            Self::Reason => Some("reason".into()),
            _ => None,
        }
    }
}
