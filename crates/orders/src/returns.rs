//! What went back of an order's money: always counted anew from its refunds and disputes, never by event, so that neither
//! their number nor their order changes it.

use std::collections::HashSet;

use posx_kernel::{Money, MoneyError, PaymentAttemptId, StoreError, Timestamp};
use posx_ledger::Entry;
use serde_json::json;
use uuid::Uuid;

use crate::refund::Booking;
use crate::service::happened;
use crate::{Dispute, DisputeState, Order, OrderError, Orders, OrdersTx, Refund, RefundOrigin, RefundState};

/// An order's money, as its refunds and disputes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returns {
    /// Captured for the sale: without what came too much.
    of_sale: Money,
    /// Refunds of the sale that did not fail, those on their way among them.
    refunding: Money,
    /// Refunds that are through, of what came too much among them.
    refunded: Money,
    /// What disputes of the sale's payment hold or have taken.
    withdrawn: Money,
    /// …and what of it is lost.
    lost: Money,
    /// Captured, the sale's or not, less every refund that did not fail and everything that disputes took.
    not_gone: Money,
    disputed: bool,
}

impl Returns {
    pub fn of(order: &Order, refunds: &[Refund], disputes: &[Dispute]) -> Result<Self, MoneyError> {
        let zero = Money::zero(order.currency());
        // An attempt's money is kept whole or owed back whole.
        let automatic = refunds
            .iter()
            .filter(|refund| refund.origin == RefundOrigin::Automatic);
        let surplus: HashSet<PaymentAttemptId> = automatic.map(|refund| refund.attempt).collect();
        let came_too_much = amounts(refunds, zero, |refund| refund.origin == RefundOrigin::Automatic)?;
        let of_sale = |dispute: &&Dispute| !surplus.contains(&dispute.attempt);
        let gone = amounts(refunds, zero, |refund| refund.state.counts())?;
        let taken = sum(zero, disputes.iter().map(Dispute::taken))?;
        Ok(Self {
            of_sale: order.captured.checked_sub(came_too_much)?,
            refunding: amounts(refunds, zero, |refund| {
                refund.is_of_sale() && refund.state.counts()
            })?,
            refunded: amounts(refunds, zero, |refund| refund.state == RefundState::Succeeded)?,
            withdrawn: sum(zero, disputes.iter().filter(of_sale).map(Dispute::taken))?,
            lost: sum(zero, disputes.iter().filter(of_sale).map(|dispute| dispute.lost))?,
            not_gone: order.captured.checked_sub(gone)?.checked_sub(taken)?,
            disputed: disputes.iter().any(|dispute| dispute.state == DisputeState::Open),
        })
    }

    /// What staff can still give back.
    pub fn left(&self) -> Result<Money, MoneyError> {
        let left = self
            .of_sale
            .checked_sub(self.refunding)?
            .checked_sub(self.withdrawn)?;
        Ok(at_least_nothing(less(left, self.not_gone)))
    }

    /// How much of the sale went back or is on its way back. What was lost counts only as far as refunds left something of the
    /// captured amount: the same money is not counted twice.
    pub fn returned(&self, total: Money) -> Result<Money, MoneyError> {
        let not_refunded = at_least_nothing(self.of_sale.checked_sub(self.refunding)?);
        let returned = self.refunding.checked_add(less(self.lost, not_refunded))?;
        Ok(less(returned, total))
    }
}

fn sum(zero: Money, mut amounts: impl Iterator<Item = Money>) -> Result<Money, MoneyError> {
    amounts.try_fold(zero, Money::checked_add)
}

fn amounts(refunds: &[Refund], zero: Money, which: impl Fn(&Refund) -> bool) -> Result<Money, MoneyError> {
    sum(
        zero,
        refunds
            .iter()
            .filter(|refund| which(refund))
            .map(|refund| refund.amount),
    )
}

fn less(one: Money, other: Money) -> Money {
    if one.minor() <= other.minor() { one } else { other }
}

pub(crate) fn at_least_nothing(amount: Money) -> Money {
    if amount.is_negative() {
        Money::zero(amount.currency())
    } else {
        amount
    }
}

impl Order {
    /// Takes over what its refunds and disputes say. True: what was returned, or whether it is disputed, is not what it was.
    fn settle(&mut self, returns: &Returns) -> Result<bool, MoneyError> {
        let before = (self.returned, self.disputed);
        self.refunded = returns.refunded;
        self.returned = returns.returned(self.total)?;
        self.disputed = returns.disputed;
        Ok((self.returned, self.disputed) != before)
    }
}

pub(crate) async fn returns_in_tx(tx: &mut dyn OrdersTx, order: &Order) -> Result<Returns, OrderError> {
    let refunds = tx.refunds().of_order(order.id).await?;
    let disputes = tx.disputes().of_order(order.id).await?;
    Ok(Returns::of(order, &refunds, &disputes)?)
}

/// After a refund or a dispute of the order, whose row is locked, was stored: counts anew, saves the order, and tells when
/// it makes a difference to shares and tokens.
pub(crate) async fn settle_returns_in_tx(
    tx: &mut dyn OrdersTx,
    order: &mut Order,
    now: Timestamp,
) -> Result<(), OrderError> {
    let refunds = tx.refunds().of_order(order.id).await?;
    let disputes = tx.disputes().of_order(order.id).await?;
    order.look_at_refunds(&refunds);
    if order.settle(&Returns::of(order, &refunds, &disputes)?)? {
        let payload = json!({ "returned": order.returned, "total": order.total, "disputed": order.disputed });
        let changed = happened("order.returns_changed", order, payload, now);
        tx.outbox().append(changed).await?;
    }
    tx.orders().save(order).await?;
    Ok(())
}

impl Orders {
    pub(crate) async fn book_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        bookings: impl IntoIterator<Item = Booking>,
        cause: Uuid,
        amount: Money,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        for (kind, debit, credit) in bookings {
            let id = posx_kernel::EntryId::from_uuid(self.id(now));
            let entry = Entry::of_money(id, kind, cause, now, amount, debit, credit);
            tx.ledger().post(&entry).await?;
        }
        Ok(())
    }
}
