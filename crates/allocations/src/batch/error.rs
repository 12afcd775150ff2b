//! Refusals of what staff do with batches.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

use super::{BATCH_SIZE_MAX, WrongBatchMove};
use crate::custody::CustodyError;
use crate::{QueueRefusal, ReportError};

#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    #[error("there is no such allocation batch")]
    NoSuchBatch,
    #[error("a batch has at least one allocation")]
    Empty,
    #[error("a batch has at most {BATCH_SIZE_MAX} allocations")]
    TooMany,
    #[error("an allocation is named twice")]
    Duplicate { at: usize },
    #[error("there is no such allocation")]
    NotFound { at: usize },
    /// The whole batch is refused; nothing of it is queued.
    #[error("the allocation cannot be queued: {refusal}")]
    NotQueueable { at: usize, refusal: QueueRefusal },
    #[error("a batch that is {0} cannot do this")]
    State(&'static str),
    #[error("whoever made a batch does not approve it")]
    OwnBatch,
    #[error("a batch is approved by two people")]
    ApprovedBefore,
    #[error("the hash is not that of what would be sent now: look at the batch again")]
    HashMismatch,
    #[error("what is left to be sent is not approved by two people")]
    NotApproved,
    #[error("the custodian cannot be asked now")]
    Custodian(#[source] CustodyError),
    /// What it said of a transfer is not applied.
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<WrongBatchMove> for BatchError {
    fn from(wrong: WrongBatchMove) -> Self {
        Self::State(wrong.from.as_str())
    }
}

impl Refusal for BatchError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoSuchBatch => "allocation_batch_not_found",
            Self::Empty => "batch_empty",
            Self::TooMany => "batch_too_large",
            Self::Duplicate { .. } => "batch_allocation_duplicate",
            Self::NotFound { .. } => "allocation_not_found",
            Self::NotQueueable { refusal, .. } => match refusal {
                QueueRefusal::NotPending(_) => "allocation_not_pending",
                QueueRefusal::NeedsPerson => "allocation_needs_person",
                QueueRefusal::OrderDisputed => "allocation_order_disputed",
                QueueRefusal::OrderReturned => "allocation_order_returned",
                QueueRefusal::VaultNotAssigned => "allocation_vault_not_assigned",
                QueueRefusal::CoolingOff { .. } => "wallet_cooling_off",
            },
            Self::State(_) => "batch_state",
            Self::OwnBatch => "batch_own",
            Self::ApprovedBefore => "batch_approved_before",
            Self::HashMismatch => "batch_hash_mismatch",
            Self::NotApproved => "batch_not_approved",
            Self::Custodian(_) => "custodian_unavailable",
            Self::Report(error) => error.code(),
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchBatch => Kind::NotFound,
            Self::Empty | Self::TooMany | Self::Duplicate { .. } | Self::NotFound { .. } => Kind::Invalid,
            Self::NotQueueable { .. }
            | Self::State(_)
            | Self::ApprovedBefore
            | Self::HashMismatch
            | Self::NotApproved => Kind::Conflict,
            Self::OwnBatch => Kind::Forbidden,
            Self::Custodian(_) => Kind::Unavailable,
            Self::Report(error) => error.kind(),
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::Empty | Self::TooMany => Some("allocations".into()),
            Self::Duplicate { at } | Self::NotFound { at } | Self::NotQueueable { at, .. } => {
                Some(format!("allocations/{at}").into())
            }
            Self::HashMismatch => Some("hash".into()),
            _ => None,
        }
    }
}
