//! Refusals of this context.

use posx_kernel::{Kind, Refusal, StoreError};

use crate::custody::CustodyError;
use crate::{RetryRefusal, Shortfall};

/// Why an order's allocations cannot be made, or brought to what went back of it. Met by a job.
#[derive(Debug, thiserror::Error)]
pub enum AllocateError {
    #[error("there is no such order")]
    NoSuchOrder,
    #[error("the order is not paid")]
    NotPaid,
    /// The order is flagged for a person.
    #[error("the order has no wallet address to deliver to")]
    NoAddress,
    /// They were for sale again, and are sold: nothing is restored. The order is flagged for a person.
    #[error("the tier has too few free units left to restore what was given up")]
    NoStock,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for AllocateError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchOrder => "order_not_found",
            Self::NotPaid => "order_not_paid",
            Self::NoAddress => "wallet_address_missing",
            Self::NoStock => "restored_tokens_sold",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchOrder => Kind::NotFound,
            Self::NotPaid | Self::NoAddress | Self::NoStock => Kind::Conflict,
            Self::Store(error) => error.kind(),
        }
    }
}

/// Why an allocation is not submitted yet. Met by a job, which is to run again unless it says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("there is no such allocation")]
    NotFound,
    /// Run the job again: it asks the custodian before it sends anything.
    #[error("what the custodian did with the transfer is not known yet")]
    Unsettled(#[source] CustodyError),
    /// It stays queued, and no try was begun.
    #[error("the vault cannot pay for the run")]
    Short(#[source] Shortfall),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for SubmitError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "allocation_not_found",
            Self::Unsettled(_) => "transfer_unsettled",
            Self::Short(shortfall) => shortfall.code(),
            Self::Report(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            // It does not heal by itself.
            Self::Unsettled(CustodyError::NotAuthorized { .. }) => Kind::Internal,
            Self::Unsettled(_) => Kind::Unavailable,
            Self::Short(shortfall) => shortfall.kind(),
            Self::Report(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

/// Why a custodian's report is not applied.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Perhaps our own commit is still on its way: try again later, then leave it to a person.
    #[error("no allocation of this site belongs to the transfer")]
    NoSuchTransfer,
    #[error("another site owns the custodian's transfer")]
    ForeignTransfer,
    /// Try again later: it speaks of a try that we hold for dead.
    #[error("the custodian cannot be asked whether an earlier try lives")]
    Unsettled(#[source] CustodyError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ReportError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchTransfer => "transfer_not_found",
            Self::ForeignTransfer => "transfer_foreign",
            Self::Unsettled(_) => "transfer_unsettled",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchTransfer => Kind::NotFound,
            Self::ForeignTransfer => Kind::Internal,
            Self::Unsettled(_) => Kind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    #[error("there is no such allocation")]
    NotFound,
    #[error("the allocation cannot be tried again: {}", match .0 {
        RetryRefusal::NotFailed(state) => state.as_str(),
        RetryRefusal::OnChain => "it has a transaction hash and may be on chain",
        RetryRefusal::Alive => "the custodian does not say that the last try failed",
        RetryRefusal::NeedsPerson => "a person must find out why it failed",
    })]
    Refused(RetryRefusal),
    #[error("the custodian cannot be asked whether the last try is dead")]
    Unsettled(#[source] CustodyError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for RetryError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "allocation_not_found",
            Self::Refused(RetryRefusal::NotFailed(_)) => "allocation_not_failed",
            Self::Refused(RetryRefusal::OnChain) => "allocation_on_chain",
            Self::Refused(RetryRefusal::Alive) => "allocation_transfer_alive",
            Self::Refused(RetryRefusal::NeedsPerson) => "allocation_needs_person",
            Self::Unsettled(_) => "transfer_unsettled",
            Self::Report(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Refused(_) => Kind::Conflict,
            Self::Unsettled(_) => Kind::Unavailable,
            Self::Report(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}
