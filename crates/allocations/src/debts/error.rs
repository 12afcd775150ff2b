//! Refusals of ending a debt.

use std::borrow::Cow;

use posx_kernel::{KeyRefusal, Kind, Refusal, StoreError};

use crate::AllocateError;

#[derive(Debug, thiserror::Error)]
pub enum DebtError {
    #[error("there is no such allocation")]
    NotFound,
    #[error("a debt is ended by more than nothing")]
    Amount,
    #[error("the buyer does not owe so much of it")]
    OwesLess,
    #[error("a reason has 1 to 500 characters")]
    Reason,
    #[error("what came back names its transaction in 1 to 200 visible characters, and nothing else does")]
    TxHash,
    #[error("the transaction has ended this debt already, or is of another buyer or token")]
    TransactionUsed,
    /// What is due of the order beside the debt cannot be done.
    #[error(transparent)]
    Adjust(#[from] AllocateError),
    #[error(transparent)]
    Key(#[from] KeyRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for DebtError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "allocation_not_found",
            Self::Amount => "token_debt_amount_invalid",
            Self::OwesLess => "token_debt_smaller",
            Self::Reason => "token_debt_reason_invalid",
            Self::TxHash => "token_debt_tx_hash_invalid",
            Self::TransactionUsed => "token_debt_transaction_used",
            Self::Adjust(refusal) => refusal.code(),
            Self::Key(refusal) => refusal.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Amount | Self::Reason | Self::TxHash => Kind::Invalid,
            Self::OwesLess | Self::TransactionUsed => Kind::Conflict,
            Self::Adjust(refusal) => refusal.kind(),
            Self::Key(refusal) => refusal.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn field(&self) -> Option<Cow<'static, str>> {
        let field = match self {
            Self::Amount | Self::OwesLess => "amount",
            Self::Reason => "reason",
            Self::TxHash | Self::TransactionUsed => "tx_hash",
            _ => return None,
        };
        Some(field.into())
    }
}
