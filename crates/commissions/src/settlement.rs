//! Settlement batches: what all agents are paid, looked at by two people before it goes.

mod approve;
mod preview;
#[cfg(test)]
mod tests;

use aws_lc_rs::digest::{Context, SHA256};
use posx_kernel::{Event, IdentityId, Money, PartyId, PayoutId, SettlementId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{PayoutMethod, PayoutState};

pub use preview::LeftBecause;
pub(crate) use preview::transferable;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettlementState {
    /// A preview: nothing is taken from anybody.
    Draft,
    /// The money is taken from the balances, and nothing is sent.
    Approved,
    Paying,
    Done,
    /// Nothing is under way, and not everybody was paid.
    PartlyFailed,
    Discarded,
}

impl SettlementState {
    pub const ALL: &'static [Self] = &[
        Self::Draft,
        Self::Approved,
        Self::Paying,
        Self::Done,
        Self::PartlyFailed,
        Self::Discarded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Approved => "approved",
            Self::Paying => "paying",
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
            Self::Draft => "settlement.previewed",
            Self::Approved => "settlement.approved",
            Self::Paying => "settlement.paying",
            Self::Done => "settlement.done",
            Self::PartlyFailed => "settlement.partly_failed",
            Self::Discarded => "settlement.discarded",
        }
    }

    /// From the end there is a way back: a failed line is tried again, a transfer is taken back.
    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft, Self::Approved | Self::Discarded)
                | (Self::Approved | Self::PartlyFailed, Self::Paying)
                | (Self::Paying, Self::Done | Self::PartlyFailed)
                | (Self::Done, Self::PartlyFailed)
        )
    }

    /// Where a settlement is whose payouts stand so.
    fn of(states: &[(PayoutState, u32)]) -> Self {
        let any = |wanted: &[PayoutState]| states.iter().any(|(state, _)| wanted.contains(state));
        let waits = any(&[PayoutState::Requested, PayoutState::Approved]);
        let moved = states
            .iter()
            .any(|(state, _)| !matches!(state, PayoutState::Requested | PayoutState::Approved));
        match (waits, any(&[PayoutState::Sending]), moved) {
            (true, false, false) => Self::Approved,
            (true, ..) | (_, true, _) => Self::Paying,
            _ if states.iter().all(|(state, _)| *state == PayoutState::Done) => Self::Done,
            _ => Self::PartlyFailed,
        }
    }
}

/// A move that the machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a settlement that is {} cannot become {}", from.as_str(), to.as_str())]
pub struct WrongSettlementMove {
    pub from: SettlementState,
    pub to: SettlementState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub id: SettlementId,
    pub method: PayoutMethod,
    pub state: SettlementState,
    /// Of the preview: counted up each time it is made anew.
    pub revision: i32,
    /// [`hash_of`] the present revision.
    pub hash: [u8; 32],
    pub made_by: IdentityId,
    /// Who, and when. Never who made it.
    pub approved: Option<(IdentityId, Timestamp)>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What a preview says of one agent in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementLine {
    /// Also the payout's, if it comes to one.
    pub id: PayoutId,
    pub agent: PartyId,
    /// Never zero; below zero the agent owes it.
    pub amount: Money,
    pub account_version: Option<i32>,
    /// Why it is not paid this time.
    pub left: Option<LeftBecause>,
}

impl SettlementLine {
    pub const fn is_paid(&self) -> bool {
        self.left.is_none()
    }

    /// Says the same, whatever its id.
    fn same_as(&self, other: &Self) -> bool {
        (self.agent, self.amount, self.account_version, self.left)
            == (other.agent, other.amount, other.account_version, other.left)
    }
}

/// What a second person agrees to: how, and to whom how much goes to which account.
pub fn hash_of(id: SettlementId, method: PayoutMethod, revision: i32, paid: &[SettlementLine]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(format!("{id} {} {revision}\n", method.as_str()).as_bytes());
    for line in paid {
        let account = line.account_version.unwrap_or_default();
        let (minor, currency) = (line.amount.minor(), line.amount.currency());
        context.update(format!("{} {minor} {currency} {account}\n", line.agent).as_bytes());
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

impl Settlement {
    pub const fn become_(
        &mut self,
        next: SettlementState,
        now: Timestamp,
    ) -> Result<(), WrongSettlementMove> {
        if !self.state.may_become(next) {
            return Err(WrongSettlementMove {
                from: self.state,
                to: next,
            });
        }
        self.state = next;
        self.updated_at = now;
        Ok(())
    }

    /// Goes to where the payouts are; false: it is there.
    pub(crate) fn follow(
        &mut self,
        states: &[(PayoutState, u32)],
        now: Timestamp,
    ) -> Result<bool, WrongSettlementMove> {
        let next = match SettlementState::of(states) {
            // A line that is tried again: it was under way before.
            SettlementState::Approved if self.state != SettlementState::Approved => SettlementState::Paying,
            next => next,
        };
        if next == self.state {
            return Ok(false);
        }
        // One that is paid by hand is begun and done in one step.
        if !self.state.may_become(next) {
            self.become_(SettlementState::Paying, now)?;
        }
        if self.state != next {
            self.become_(next, now)?;
        }
        Ok(true)
    }

    pub(crate) fn happened(&self, kind: &'static str, at: Timestamp) -> Event {
        Event {
            kind,
            subject: self.id.as_uuid(),
            payload: json!({
                "method": self.method, "revision": self.revision, "hash": hex::encode(self.hash), "made_by": self.made_by,
            }),
            at,
        }
    }
}
