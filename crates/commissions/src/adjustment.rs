//! What was taken back of a commission at one time, or given back.

use posx_kernel::{AdjustmentId, CommissionId, Money, OrderId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Commission, CommissionState};

#[cfg(test)]
mod tests;

/// How much of an order went back, by its facts as they stand. Not how it came to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returns {
    pub total: Money,
    /// Counts as at most the total.
    pub returned: Money,
    /// A dispute is open.
    pub disputed: bool,
}

impl Returns {
    /// Nothing went back, and nobody disputes it.
    pub const fn none(&self) -> bool {
        self.returned.is_zero() && !self.disputed
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentKind {
    /// Taken back before it was paid out.
    Reversal,
    /// Given back: a refund failed, a lost dispute was won after all.
    Restoration,
    /// Taken back of what is paid out, or in a settlement batch: the agent's balance may fall below zero.
    Clawback,
}

impl AdjustmentKind {
    pub const ALL: &'static [Self] = &[Self::Reversal, Self::Restoration, Self::Clawback];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reversal => "reversal",
            Self::Restoration => "restoration",
            Self::Clawback => "clawback",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

/// One step of a commission towards its target. Never changed; the next step sets right what was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub id: AdjustmentId,
    pub commission: CommissionId,
    pub order: OrderId,
    pub kind: AdjustmentKind,
    /// Positive: the kind says which way.
    pub amount: Money,
    /// What had been taken back in all, before and after it.
    pub reversed_before: Money,
    pub reversed_after: Money,
    /// What it was counted from.
    pub returned: Money,
    pub total: Money,
    pub at: Timestamp,
}

/// A step that was taken, before it has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub kind: AdjustmentKind,
    pub amount: Money,
    pub before: Money,
    pub after: Money,
}

/// The order cost nothing, or is in another currency: nothing was earned of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commission cannot follow the returns of an order that it does not belong to")]
pub struct WrongReturns;

impl Commission {
    /// What the agent keeps of it.
    pub fn left(&self) -> Money {
        Money::from_minor(
            self.amount.minor() - self.reversed.minor(),
            self.amount.currency(),
        )
    }

    /// Comes to what the order's returns ask for. The target depends on how much went back in all and on nothing else, so
    /// following again, late, or past steps that were missed ends in the same. `None`: there was nothing to take or to give.
    pub fn follow(&mut self, returns: &Returns) -> Result<Option<Step>, WrongReturns> {
        if returns.total.currency() != self.amount.currency() {
            return Err(WrongReturns);
        }
        let target = self.amount.proportion(returns.returned, returns.total);
        let target = target.ok_or(WrongReturns)?;
        let before = std::mem::replace(&mut self.reversed, target);
        let difference = target.minor() - before.minor();
        let paid_out = matches!(self.state, CommissionState::Batched | CommissionState::Paid);
        self.stand(returns.disputed);
        let kind = match difference {
            0 => return Ok(None),
            i64::MIN..0 => AdjustmentKind::Restoration,
            _ if paid_out => AdjustmentKind::Clawback,
            _ => AdjustmentKind::Reversal,
        };
        Ok(Some(Step {
            kind,
            amount: Money::from_minor(difference.abs(), target.currency()),
            before,
            after: target,
        }))
    }

    /// Stands where it belongs: void when nothing is left, frozen while the order is disputed, else where it was before
    /// either. What is paid out, or about to be, stays where it is.
    fn stand(&mut self, disputed: bool) {
        let open = match self.state {
            CommissionState::Batched | CommissionState::Paid => return,
            CommissionState::Held | CommissionState::Ready => self.state,
            // Held is the careful answer: its time decides again.
            CommissionState::Frozen | CommissionState::Void => self.back_to.unwrap_or(CommissionState::Held),
        };
        self.state = if self.left().is_zero() {
            CommissionState::Void
        } else if disputed {
            CommissionState::Frozen
        } else {
            open
        };
        self.back_to = (self.state != open).then_some(open);
    }
}
