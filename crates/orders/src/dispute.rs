//! A dispute: a buyer takes the money back through their bank. POSX only takes over what the provider says; evidence is given
//! at the provider.

mod apply;
mod evidence;
mod view;

use posx_kernel::{DisputeId, Money, OrderId, PaymentAttemptId, Timestamp};
use posx_ledger::{Account, EntryKind};
use serde::{Deserialize, Serialize};

pub use self::apply::DisputeApplied;
pub use self::view::DisputeView;
use crate::gateway::{DisputeMovement, ProviderDispute};
use crate::order::named_states;
use crate::refund::Booking;
use crate::returns::at_least_nothing;

named_states! {
    /// Where a dispute stands for us. An open one freezes shares and delivery.
    DisputeState {
        Open = "open",
        Won = "won",
        Lost = "lost",
        /// Closed without a verdict.
        Withdrawn = "withdrawn",
    }
}

named_states! {
    /// Where it stands at the provider (S37). A warning is an inquiry: it moves no money.
    ProviderDisputeState {
        WarningNeedsResponse = "warning_needs_response",
        WarningUnderReview = "warning_under_review",
        WarningClosed = "warning_closed",
        NeedsResponse = "needs_response",
        UnderReview = "under_review",
        Won = "won",
        Lost = "lost",
        Prevented = "prevented",
        /// One that this version does not know: never guessed.
        Unknown = "unknown",
    }
}

impl ProviderDisputeState {
    /// What it is for us; `None` of one that is not known.
    pub const fn ours(self) -> Option<DisputeState> {
        match self {
            Self::WarningNeedsResponse
            | Self::WarningUnderReview
            | Self::NeedsResponse
            | Self::UnderReview => Some(DisputeState::Open),
            Self::WarningClosed | Self::Prevented => Some(DisputeState::Withdrawn),
            Self::Won => Some(DisputeState::Won),
            Self::Lost => Some(DisputeState::Lost),
            Self::Unknown => None,
        }
    }

    pub const fn is_inquiry(self) -> bool {
        matches!(
            self,
            Self::WarningNeedsResponse | Self::WarningUnderReview | Self::WarningClosed
        )
    }

    /// Evidence is waited for.
    pub const fn needs_response(self) -> bool {
        matches!(self, Self::WarningNeedsResponse | Self::NeedsResponse)
    }
}

impl DisputeState {
    /// Every move there is. A verdict may be turned, and what was withdrawn may come back as a dispute, but a verdict is
    /// never open again.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Open => !matches!(next, Self::Open),
            Self::Withdrawn => !matches!(next, Self::Withdrawn),
            Self::Won => matches!(next, Self::Lost),
            Self::Lost => matches!(next, Self::Won),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    pub id: DisputeId,
    pub order: OrderId,
    pub attempt: PaymentAttemptId,
    pub provider: String,
    pub provider_dispute: String,
    /// What is disputed, in the order's currency; may be less or more than was paid.
    pub amount: Money,
    pub reason: String,
    pub state: DisputeState,
    pub provider_state: ProviderDisputeState,
    pub refundable: bool,
    pub evidence_due_by: Option<Timestamp>,
    /// The last alarm that was given: so many hours before evidence is due.
    pub evidence_alarm_hours: Option<u8>,
    /// Taken away by the provider and not given back, as it is booked.
    pub withdrawn: Money,
    /// What is booked as lost…
    pub lost: Money,
    /// …in so many entries.
    pub verdicts: u32,
    /// Grows with each word of the provider that was applied.
    pub revision: u32,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub asked_at: Timestamp,
}

impl Dispute {
    /// Whether staff may still refund the payment instead (S36).
    pub fn takes_a_refund(&self) -> bool {
        self.state != DisputeState::Open || self.refundable
    }

    /// What it holds or has taken of the payment.
    pub(crate) fn taken(&self) -> Money {
        at_least_nothing(self.withdrawn)
    }

    /// Takes over the facts; money and verdict are booked besides. True: the state moved.
    pub(crate) fn observe(&mut self, seen: &ProviderDispute, next: DisputeState, now: Timestamp) -> bool {
        if self.evidence_due_by != seen.evidence_due_by {
            self.evidence_due_by = seen.evidence_due_by;
            self.evidence_alarm_hours = None;
        }
        self.amount = seen.amount;
        self.reason.clone_from(&seen.reason);
        self.refundable = seen.refundable;
        self.asked_at = now;
        self.revision += 1;
        if self.state != next && !self.state.may_become(next) {
            return false;
        }
        self.provider_state = seen.state;
        let moved = self.state != next;
        if moved {
            self.state = next;
            self.closed_at = (next != DisputeState::Open).then_some(now);
        }
        moved
    }

    /// What one line of the provider's balance books, in the order's currency: how much, and the entry. A line in another
    /// currency stands for the disputed amount.
    pub(crate) fn movement(&self, line: &DisputeMovement) -> Option<(Money, Booking)> {
        let own_currency = line.amount.currency() == self.amount.currency();
        let amount = if own_currency {
            Money::from_minor(line.amount.minor().checked_abs()?, line.amount.currency())
        } else {
            self.amount
        };
        let (held, clearing) = (Account::DisputesWithdrawn, Account::ProviderClearing);
        if line.amount.is_zero() {
            None
        } else if line.amount.is_negative() {
            Some((amount, (EntryKind::DisputeWithdrawn, held, clearing)))
        } else {
            Some((amount, (EntryKind::DisputeReinstated, clearing, held)))
        }
    }

    /// By how much what is booked as lost differs from what should be: all that was taken if it is lost, else nothing.
    pub(crate) fn verdict(&mut self) -> Option<(Money, Booking)> {
        let currency = self.amount.currency();
        let should = match self.state {
            DisputeState::Lost => self.taken(),
            _ => Money::zero(currency),
        };
        let (returned, held) = (Account::SalesReturned, Account::DisputesWithdrawn);
        let more = should.minor() - self.lost.minor();
        self.lost = should;
        if more == 0 {
            return None;
        }
        self.verdicts += 1;
        let amount = Money::from_minor(more.abs(), currency);
        Some((
            amount,
            if more > 0 {
                (EntryKind::DisputeLost, returned, held)
            } else {
                (EntryKind::DisputeRecovered, held, returned)
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p16_a_dispute_makes_only_the_listed_moves() {
        use DisputeState::{Lost, Open, Withdrawn, Won};
        let listed = [
            (Open, Won),
            (Open, Lost),
            (Open, Withdrawn),
            (Withdrawn, Open),
            (Withdrawn, Won),
            (Withdrawn, Lost),
            (Won, Lost),
            (Lost, Won),
        ];
        for from in DisputeState::ALL {
            for to in DisputeState::ALL {
                let expected = listed.contains(&(*from, *to));
                assert_eq!(from.may_become(*to), expected, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn s37_each_state_of_the_provider_is_one_of_ours_and_an_unknown_one_is_none() {
        let ours: Vec<_> = ProviderDisputeState::ALL
            .iter()
            .map(|state| state.ours().map(DisputeState::as_str))
            .collect();
        let open = Some("open");
        let withdrawn = Some("withdrawn");
        assert_eq!(
            ours,
            [
                open,
                open,
                withdrawn,
                open,
                open,
                Some("won"),
                Some("lost"),
                withdrawn,
                None
            ]
        );
    }
}
