//! Where a batch stands.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchState {
    /// To be looked at: its allocations are in no other batch, and nothing is sent.
    Draft,
    /// Two people agreed, and nothing is sent yet.
    Approved,
    Sending,
    /// What is on its way goes on; nothing else is sent.
    Paused,
    Done,
    /// Nothing is under way, and not everything was delivered.
    PartlyFailed,
    Discarded,
}

/// Why a batch is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    ByPerson,
    /// Several lines failed one after the other: somebody should find out why.
    RepeatedFailures,
    /// A line is left out that had been agreed to: two people agree to the rest anew.
    Changed,
    /// Two people agreed too long ago, or one of them may not any more: two agree anew.
    ApprovalsLapsed,
}

impl BatchState {
    pub const ALL: &'static [Self] = &[
        Self::Draft,
        Self::Approved,
        Self::Sending,
        Self::Paused,
        Self::Done,
        Self::PartlyFailed,
        Self::Discarded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Sending => "sending",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::PartlyFailed => "partly_failed",
            Self::Discarded => "discarded",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    pub(crate) const fn event(self) -> &'static str {
        match self {
            Self::Draft => "allocation_batch.approvals_voided",
            Self::Approved => "allocation_batch.approved",
            Self::Sending => "allocation_batch.sending",
            Self::Paused => "allocation_batch.paused",
            Self::Done => "allocation_batch.done",
            Self::PartlyFailed => "allocation_batch.partly_failed",
            Self::Discarded => "allocation_batch.discarded",
        }
    }

    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft, Self::Approved | Self::Discarded)
                | (Self::Approved, Self::Sending | Self::Paused | Self::Draft)
                | (Self::Sending, Self::Paused | Self::Done | Self::PartlyFailed)
                | (Self::Paused, Self::Sending | Self::Done | Self::PartlyFailed)
        )
    }

    pub(crate) const fn check(self, next: Self) -> Result<(), WrongBatchMove> {
        if self.may_become(next) {
            Ok(())
        } else {
            Err(WrongBatchMove { from: self, to: next })
        }
    }
}

impl PauseReason {
    pub const ALL: &'static [Self] = &[
        Self::ByPerson,
        Self::RepeatedFailures,
        Self::Changed,
        Self::ApprovalsLapsed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ByPerson => "by_person",
            Self::RepeatedFailures => "repeated_failures",
            Self::Changed => "changed",
            Self::ApprovalsLapsed => "approvals_lapsed",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == name)
    }
}

/// A move that the machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a batch that is {} cannot become {}", from.as_str(), to.as_str())]
pub struct WrongBatchMove {
    pub from: BatchState,
    pub to: BatchState,
}
