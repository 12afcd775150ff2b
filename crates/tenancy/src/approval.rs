//! The second person: what one asks for above a site's limit, another agrees to, once and to exactly that.
//!
//! An approval is bound to the SHA-256 of one request of one maker and is used up in the transaction of its effect
//! ([`posx_kernel::made_before_in_tx`]).

mod error;
mod operation;
mod ports;
mod service;
#[cfg(test)]
mod tests;

use chrono::TimeDelta;
use posx_kernel::{ApprovalId, ApprovalUse, IdempotentCall, IdentityId, Timestamp};
use serde::{Deserialize, Serialize};

pub use error::ApprovalError;
pub use operation::ReviewedOperation;
pub use ports::{
    ApprovalFilter, ApprovalLimitView, ApprovalLimits, ApprovalQueries, ApprovalRepository, ApprovalView,
    ApprovalsTx, ReviewedRequestView,
};
pub use service::{Approvals, AskApproval};

/// From asking to the effect.
pub const APPROVAL_LIFE: TimeDelta = TimeDelta::hours(24);
const REASON_CHARS_MAX: usize = 500;

/// The request as it was sent, so that the second person sees what they agree to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewedRequest {
    pub method: String,
    pub path: String,
    /// Canonical JSON: `null` without a body.
    pub body: String,
    /// SHA-256 of the three.
    pub hash: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    pub operation: ReviewedOperation,
    /// In the operation's unit.
    pub quantity: i64,
    pub request: ReviewedRequest,
    pub maker: IdentityId,
    pub state: ApprovalState,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalState {
    /// Never stored: who is refused for want of a second person asks for one in the same breath.
    Draft,
    Submitted,
    Approved {
        checker: IdentityId,
        at: Timestamp,
    },
    Rejected {
        checker: IdentityId,
        at: Timestamp,
        reason: String,
    },
    Withdrawn {
        at: Timestamp,
    },
    Applied {
        checker: IdentityId,
        approved_at: Timestamp,
        at: Timestamp,
    },
}

/// As it is shown and asked for. What nobody ended in time is expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalStateName {
    Draft,
    Submitted,
    Approved,
    Rejected,
    Withdrawn,
    Applied,
    Expired,
}

impl ApprovalStateName {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Applied => "applied",
            Self::Expired => "expired",
        }
    }
}

impl Approval {
    pub const fn draft(
        id: ApprovalId,
        operation: ReviewedOperation,
        quantity: i64,
        request: ReviewedRequest,
        maker: IdentityId,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            operation,
            quantity,
            request,
            maker,
            state: ApprovalState::Draft,
            created_at: now,
            expires_at,
        }
    }

    pub fn state_name(&self, now: Timestamp) -> ApprovalStateName {
        use ApprovalStateName as Name;
        match &self.state {
            ApprovalState::Rejected { .. } => Name::Rejected,
            ApprovalState::Withdrawn { .. } => Name::Withdrawn,
            ApprovalState::Applied { .. } => Name::Applied,
            _ if now >= self.expires_at => Name::Expired,
            ApprovalState::Draft => Name::Draft,
            ApprovalState::Submitted => Name::Submitted,
            ApprovalState::Approved { .. } => Name::Approved,
        }
    }

    pub fn submit(&mut self, now: Timestamp) -> Result<(), ApprovalError> {
        self.expect(ApprovalStateName::Draft, now)?;
        self.state = ApprovalState::Submitted;
        Ok(())
    }

    /// `seen` is the hash of what the checker looked at.
    pub fn approve(
        &mut self,
        checker: IdentityId,
        seen: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), ApprovalError> {
        self.check_by(checker, now)?;
        if *seen != self.request.hash {
            return Err(ApprovalError::Mismatch);
        }
        self.state = ApprovalState::Approved { checker, at: now };
        Ok(())
    }

    pub fn reject(&mut self, checker: IdentityId, reason: &str, now: Timestamp) -> Result<(), ApprovalError> {
        let reason = reason.trim();
        if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) {
            return Err(ApprovalError::Reason);
        }
        self.check_by(checker, now)?;
        self.state = ApprovalState::Rejected {
            checker,
            at: now,
            reason: reason.to_owned(),
        };
        Ok(())
    }

    pub fn withdraw(&mut self, by: IdentityId, now: Timestamp) -> Result<(), ApprovalError> {
        if by != self.maker {
            return Err(ApprovalError::NotTheMaker);
        }
        self.expect(ApprovalStateName::Submitted, now)?;
        self.state = ApprovalState::Withdrawn { at: now };
        Ok(())
    }

    /// Uses it up for `call`, if that is the request that was approved, of the one who asked.
    pub fn apply(&mut self, call: &IdempotentCall) -> ApprovalUse {
        if call.actor != self.maker.to_string() || call.fingerprint != self.request.hash {
            return ApprovalUse::Mismatch;
        }
        match self.state {
            ApprovalState::Approved { checker, at } if call.at < self.expires_at => {
                self.state = ApprovalState::Applied {
                    checker,
                    approved_at: at,
                    at: call.at,
                };
                ApprovalUse::Applied
            }
            _ => ApprovalUse::NotApproved,
        }
    }

    /// Maker and checker are never the same.
    fn check_by(&self, checker: IdentityId, now: Timestamp) -> Result<(), ApprovalError> {
        if checker == self.maker {
            return Err(ApprovalError::OwnRequest);
        }
        self.expect(ApprovalStateName::Submitted, now)
    }

    fn expect(&self, wanted: ApprovalStateName, now: Timestamp) -> Result<(), ApprovalError> {
        let found = self.state_name(now);
        if found == wanted {
            Ok(())
        } else {
            Err(ApprovalError::NotOpen(found.as_str()))
        }
    }
}
