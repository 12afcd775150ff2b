//! A refund: money that goes back to a buyer, because it came too much, or because staff or somebody at the provider gives it
//! back.

mod apply;
mod request;
mod send;
mod view;

use posx_kernel::{Money, OrderId, PaymentAttemptId, RefundId, Timestamp};
use posx_ledger::{Account, EntryKind};
use serde::{Deserialize, Serialize};

pub use self::request::RequestRefund;
pub use self::view::RefundView;
use crate::Order;
use crate::gateway::ProviderRefund;
use crate::order::named_states;

named_states! {
    /// Why money goes back.
    RefundReason {
        /// By itself: it arrived after the order had lapsed, and the stock was gone.
        PaidTooLate = "paid_too_late",
        /// By itself: another attempt had paid the order already.
        PaidTwice = "paid_twice",
        RequestedByCustomer = "requested_by_customer",
        Duplicate = "duplicate",
        Fraudulent = "fraudulent",
        Other = "other",
    }
}

named_states! {
    /// Who wanted it.
    RefundOrigin {
        /// POSX: the money cannot be kept.
        Automatic = "automatic",
        Staff = "staff",
        /// Somebody at the provider's own dashboard.
        Provider = "provider",
    }
}

named_states! {
    /// What becomes of tokens that are cut because of it.
    Restock {
        /// Whole units of what was not delivered are for sale again.
        Undelivered = "undelivered",
        None = "none",
    }
}

named_states! {
    /// Where it stands at the provider. A succeeded one may still fail: its money comes back (S32).
    RefundState {
        Pending = "pending",
        /// The buyer must say where the money goes to.
        RequiresAction = "requires_action",
        Succeeded = "succeeded",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl RefundReason {
    /// Money that came too much and is not the sale's.
    pub const fn is_surplus(self) -> bool {
        matches!(self, Self::PaidTooLate | Self::PaidTwice)
    }

    /// The reasons that staff choose from.
    pub fn of_staff() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|reason| !reason.is_surplus())
    }
}

impl RefundState {
    /// The money went, or will: it counts against what was captured.
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Failed | Self::Cancelled)
    }

    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::RequiresAction)
    }

    /// Every move there is. An open one may go anywhere, a paid one only bounce, and what is over stays so: an old word that
    /// comes late undoes nothing.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => !matches!(next, Self::Pending),
            Self::RequiresAction => !matches!(next, Self::RequiresAction),
            Self::Succeeded => matches!(next, Self::Failed),
            Self::Failed | Self::Cancelled => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub id: RefundId,
    pub order: OrderId,
    pub attempt: PaymentAttemptId,
    pub amount: Money,
    pub reason: RefundReason,
    /// Staff's own words, for staff.
    pub note: Option<String>,
    pub origin: RefundOrigin,
    pub restock: Restock,
    pub state: RefundState,
    pub provider_refund: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// One entry's part of what a move books: debit and credit.
pub(crate) type Booking = (EntryKind, Account, Account);

impl Refund {
    /// Money of the sale: it counts in what the order returned.
    pub const fn is_of_sale(&self) -> bool {
        !self.reason.is_surplus()
    }

    /// What asking for it books. Money that came too much was booked as owed when it came.
    pub(crate) fn asked(&self) -> Option<Booking> {
        self.is_of_sale().then_some((
            EntryKind::RefundRequested,
            Account::SalesReturned,
            Account::RefundsPayable,
        ))
    }

    /// Takes over what the provider says. What it books, or `None`: it is no move.
    pub(crate) fn observe(&mut self, seen: &ProviderRefund, now: Timestamp) -> Option<Vec<Booking>> {
        if !seen.id.is_empty() && self.provider_refund.is_none() {
            self.provider_refund = Some(seen.id.clone());
        }
        self.updated_at = now;
        if !self.state.may_become(seen.state) {
            return None;
        }
        let was_paid = self.state == RefundState::Succeeded;
        self.state = seen.state;
        let (payable, clearing) = (Account::RefundsPayable, Account::ProviderClearing);
        let mut bookings = Vec::new();
        match seen.state {
            RefundState::Pending | RefundState::RequiresAction => {}
            RefundState::Succeeded => bookings.push((EntryKind::RefundPaid, payable, clearing)),
            RefundState::Failed | RefundState::Cancelled => {
                if was_paid {
                    bookings.push((EntryKind::RefundBounced, clearing, payable.clone()));
                }
                if self.is_of_sale() {
                    bookings.push((EntryKind::RefundUndone, payable, Account::SalesReturned));
                }
            }
        }
        Some(bookings)
    }
}

/// The flag of an order whose buyer did not get a refund's money.
const FAILED: &str = "refund_failed";

impl Order {
    /// The buyer has no money: a person decides how they get it, until a refund that was made later is through; of the sale for
    /// one of the sale, of what came too much for such. A reason of another kind for a person to look stays, and this one comes
    /// when that has passed.
    pub(crate) fn look_at_refunds(&mut self, refunds: &[Refund]) {
        let made_good = |failed: &Refund| {
            refunds.iter().any(|later| {
                later.state == RefundState::Succeeded
                    && later.is_of_sale() == failed.is_of_sale()
                    && later.created_at > failed.created_at
            })
        };
        let fails = refunds
            .iter()
            .any(|refund| !refund.state.counts() && !made_good(refund));
        let of_the_same = |why: &str| RefundReason::from_name(why).is_some_and(RefundReason::is_surplus);
        match self.attention.as_deref() {
            Some(FAILED) if !fails => self.attention = None,
            None if fails => self.attention = Some(FAILED.to_owned()),
            Some(why) if fails && of_the_same(why) => self.attention = Some(FAILED.to_owned()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p16_s32_a_refund_makes_only_the_listed_moves() {
        use RefundState::{Cancelled, Failed, Pending, RequiresAction, Succeeded};
        let listed = [
            (Pending, RequiresAction),
            (Pending, Succeeded),
            (Pending, Failed),
            (Pending, Cancelled),
            (RequiresAction, Pending),
            (RequiresAction, Succeeded),
            (RequiresAction, Failed),
            (RequiresAction, Cancelled),
            (Succeeded, Failed),
        ];
        for from in RefundState::ALL {
            for to in RefundState::ALL {
                let expected = listed.contains(&(*from, *to));
                assert_eq!(from.may_become(*to), expected, "{from:?} → {to:?}");
            }
        }
    }

    #[test]
    fn staff_never_choose_what_posx_decides() {
        let names: Vec<_> = RefundReason::of_staff().map(RefundReason::as_str).collect();
        assert_eq!(
            names,
            ["requested_by_customer", "duplicate", "fraudulent", "other"]
        );
    }
}
