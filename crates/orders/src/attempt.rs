//! A payment attempt: our side of one intent at the provider.

use posx_kernel::{Money, OrderId, PaymentAttemptId, Timestamp};

use crate::gateway::{IntentId, IntentState};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptState {
    /// Waits for a card; a declined try comes back here.
    Created,
    RequiresAction,
    Processing,
    Succeeded,
    Cancelled,
}

impl AttemptState {
    pub const ALL: &'static [Self] = &[
        Self::Created,
        Self::RequiresAction,
        Self::Processing,
        Self::Succeeded,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == name)
    }

    pub const fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::RequiresAction | Self::Processing)
    }

    /// Money that has arrived stays arrived. A cancelled attempt may still succeed: the provider decides that race.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Succeeded => false,
            Self::Cancelled => matches!(next, Self::Succeeded),
            Self::Created | Self::RequiresAction | Self::Processing => true,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub id: PaymentAttemptId,
    pub order: OrderId,
    pub provider: String,
    pub intent: Option<IntentId>,
    pub amount: Money,
    pub received: Money,
    pub state: AttemptState,
    /// The answer to creating the intent is not known: ask before anything is sent again.
    pub outcome_unknown: bool,
    /// The provider's word for why the last card was declined.
    pub last_decline: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Attempt {
    /// Takes over what the provider says, unless it would go back from a terminal state. True when something changed.
    pub fn observe(&mut self, state: &IntentState, now: Timestamp) -> bool {
        let (next, decline) = match state {
            IntentState::RequiresPaymentMethod { last_decline } => {
                (AttemptState::Created, last_decline.clone())
            }
            IntentState::RequiresAction => (AttemptState::RequiresAction, None),
            IntentState::Processing => (AttemptState::Processing, None),
            IntentState::Succeeded { received } => {
                if self.state.may_become(AttemptState::Succeeded) {
                    self.received = *received;
                }
                (AttemptState::Succeeded, None)
            }
            IntentState::Cancelled => (AttemptState::Cancelled, None),
            IntentState::Other { .. } => return false,
        };
        let same = self.state == next && (decline.is_none() || self.last_decline == decline);
        if same || !self.state.may_become(next) {
            return false;
        }
        self.state = next;
        self.last_decline = decline.or(self.last_decline.take());
        self.updated_at = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p16_an_attempt_leaves_succeeded_never_and_cancelled_only_for_succeeded() {
        for from in AttemptState::ALL {
            for to in AttemptState::ALL {
                let allowed = match from {
                    AttemptState::Succeeded => false,
                    AttemptState::Cancelled => *to == AttemptState::Succeeded,
                    _ => true,
                };
                assert_eq!(from.may_become(*to), allowed, "{from:?} → {to:?}");
            }
        }
    }
}
