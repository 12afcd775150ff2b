//! One agent's share of one order at one level.

use posx_kernel::{CommissionId, Money, OrderId, PartyId, PlanId, Rate, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a commission stands. What is taken back after `Paid` is a clawback: the state stays, and the balance bears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CommissionState {
    /// Until its hold time is over.
    Held,
    /// May be settled.
    Ready,
    Batched,
    Paid,
    /// The order is disputed.
    Frozen,
    /// Nothing is left of it.
    Void,
}

/// A move that the machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commission that is {} cannot become {}", from.as_str(), to.as_str())]
pub struct WrongMove {
    pub from: CommissionState,
    pub to: CommissionState,
}

impl CommissionState {
    pub const ALL: &'static [Self] = &[
        Self::Held,
        Self::Ready,
        Self::Batched,
        Self::Paid,
        Self::Frozen,
        Self::Void,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Ready => "ready",
            Self::Batched => "batched",
            Self::Paid => "paid",
            Self::Frozen => "frozen",
            Self::Void => "void",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    pub const fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Held, Self::Ready | Self::Frozen | Self::Void)
                | (Self::Ready, Self::Batched | Self::Frozen | Self::Void)
                | (
                    Self::Batched,
                    Self::Paid | Self::Ready | Self::Frozen | Self::Void
                )
                | (Self::Frozen, Self::Held | Self::Ready | Self::Void)
                | (Self::Void, Self::Held | Self::Ready | Self::Frozen)
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commission {
    pub id: CommissionId,
    pub order: OrderId,
    pub agent: PartyId,
    pub level: u8,
    pub rate: Rate,
    pub base: Money,
    pub amount: Money,
    /// How much of the amount was taken back in all.
    pub reversed: Money,
    pub state: CommissionState,
    /// While it is frozen or void: where it goes when it is neither any more, held or ready.
    pub back_to: Option<CommissionState>,
    pub hold_until: Timestamp,
    pub plan: PlanId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Commission {
    pub const fn become_(&mut self, next: CommissionState, now: Timestamp) -> Result<(), WrongMove> {
        if !self.state.may_become(next) {
            return Err(WrongMove {
                from: self.state,
                to: next,
            });
        }
        self.state = next;
        self.updated_at = now;
        Ok(())
    }

    /// Its hold time is over, and nothing else keeps it.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state == CommissionState::Held && self.hold_until <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_moves_exist() {
        use CommissionState::{Batched, Frozen, Held, Paid, Ready, Void};
        let listed = [
            (Held, Ready),
            (Held, Frozen),
            (Held, Void),
            (Ready, Batched),
            (Ready, Frozen),
            (Ready, Void),
            (Batched, Paid),
            (Batched, Ready),
            (Batched, Frozen),
            (Batched, Void),
            (Frozen, Held),
            (Frozen, Ready),
            (Frozen, Void),
            (Void, Held),
            (Void, Ready),
            (Void, Frozen),
        ];
        for from in CommissionState::ALL {
            for to in CommissionState::ALL {
                assert_eq!(
                    from.may_become(*to),
                    listed.contains(&(*from, *to)),
                    "{from:?} → {to:?}"
                );
            }
            assert_eq!(CommissionState::from_name(from.as_str()), Some(*from));
        }
    }
}
