//! Why nothing is done with a document or its draft.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Money, Refusal, StoreError};
use posx_orders::OrderError;
use posx_tenancy::CustomerError;

use super::storage::StorageError;
use super::{DocumentState, DraftKind, DraftState, Finding, Unusable};

#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("there is no such document")]
    NotFound,
    #[error("the draft was changed by someone else: read it again")]
    Stale,
    #[error("a document's name has 1 to 200 characters")]
    Name,
    #[error("a document has at least one byte")]
    Empty,
    #[error("a document has at most 20 MiB (20971520 bytes)")]
    TooLarge,
    #[error("nothing has arrived yet")]
    NothingArrived,
    #[error("the document is {}", .0.as_str())]
    NotAwaited(DocumentState),
    #[error("the file is not what was announced: {}", .0.as_str())]
    Refused(Unusable),
    #[error("there is no draft of the document")]
    NoDraft,
    #[error("the draft is {}", .0.as_str())]
    DraftNotOpen(DraftState),
    #[error("the draft is of the kind {}", .0.as_str())]
    OtherKind(DraftKind),
    #[error("a value has 1 to 500 characters, and an order at most 200 lines")]
    Value(String),
    #[error("an error must be cured by an edit first: {} at {}", .0.code.as_str(), .0.field)]
    HasErrors(Finding),
    #[error("a warning was not acknowledged: {} at {}", .0.code.as_str(), .0.field)]
    WarningsUnseen(Finding),
    #[error("the site's prices come to {ours}, and the draft to {drafted}")]
    TotalDiffers { ours: Money, drafted: Money },
    #[error("the customer has bound a wallet: no other address is taken")]
    WalletBound,
    #[error("the same is accepted already")]
    AcceptedBefore,
    #[error("a reason has 1 to 500 characters")]
    Reason,
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error(transparent)]
    Customer(#[from] CustomerError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for DocumentError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "document_not_found",
            Self::Stale => "version_stale",
            Self::Name => "document_name_invalid",
            Self::Empty => "document_empty",
            Self::TooLarge => "document_too_large",
            Self::NothingArrived => "document_not_uploaded",
            Self::NotAwaited(_) => "document_not_awaited",
            Self::Refused(_) => "document_refused",
            Self::NoDraft => "document_draft_not_found",
            Self::DraftNotOpen(_) => "document_draft_not_open",
            Self::OtherKind(_) => "document_draft_kind",
            Self::Value(_) => "document_draft_value_invalid",
            Self::HasErrors(_) => "document_draft_has_errors",
            Self::WarningsUnseen(_) => "document_draft_warnings_unseen",
            Self::TotalDiffers { .. } => "document_draft_total_differs",
            Self::WalletBound => "document_draft_wallet_bound",
            Self::AcceptedBefore => "document_draft_accepted_before",
            Self::Reason => "document_draft_reason_invalid",
            Self::Order(error) => error.code(),
            Self::Customer(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound | Self::NoDraft => Kind::NotFound,
            Self::Stale => Kind::Stale,
            Self::TooLarge => Kind::TooLarge,
            Self::NothingArrived
            | Self::NotAwaited(_)
            | Self::DraftNotOpen(_)
            | Self::HasErrors(_)
            | Self::WarningsUnseen(_)
            | Self::TotalDiffers { .. }
            | Self::WalletBound
            | Self::AcceptedBefore => Kind::Conflict,
            Self::Name
            | Self::Empty
            | Self::Refused(_)
            | Self::OtherKind(_)
            | Self::Value(_)
            | Self::Reason => Kind::Invalid,
            Self::Order(error) => error.kind(),
            Self::Customer(error) => error.kind(),
            Self::Storage(error) => error.kind(),
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        Some(match self {
            Self::Name => "name".into(),
            Self::Empty | Self::TooLarge => "bytes".into(),
            Self::Value(field) => field.clone().into(),
            Self::Reason => "reason".into(),
            Self::WarningsUnseen(_) => "acknowledged".into(),
            Self::WalletBound => "wallet_address".into(),
            Self::Order(error) => return error.field(),
            _ => return None,
        })
    }
}
