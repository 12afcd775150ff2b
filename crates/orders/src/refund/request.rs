//! Staff give money of a sale back.

use posx_kernel::{
    IdempotentCall, Made, Money, OrderId, RefundId, SiteScope, made_before_in_tx, remember_in_tx, retry_busy,
};
use serde_json::json;

use super::{Refund, RefundOrigin, RefundReason, RefundState, Restock};
use crate::returns::{returns_in_tx, settle_returns_in_tx};
use crate::service::happened;
use crate::{Attempt, AttemptState, OrderError, Orders, OrdersTx};

const NOTE_CHARS_MAX: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRefund {
    pub order: OrderId,
    /// Everything that is left when absent.
    pub amount: Option<Money>,
    /// What was looked at when the wish was reviewed: never more than this goes back.
    pub at_most: Money,
    pub reason: RefundReason,
    /// Needed for `other`; 1 to 500 characters.
    pub note: Option<String>,
    pub restock: Restock,
}

impl RequestRefund {
    fn check(&self) -> Result<(), OrderError> {
        if self.reason.is_surplus() {
            return Err(OrderError::RefundReason);
        }
        let chars = self.note.as_ref().map(|note| note.trim().chars().count());
        match chars {
            None if self.reason == RefundReason::Other => Err(OrderError::RefundNote),
            Some(chars) if !(1..=NOTE_CHARS_MAX).contains(&chars) => Err(OrderError::RefundNote),
            _ => Ok(()),
        }
    }

    /// How much goes back, if `left` can.
    fn amount(&self, left: Money) -> Result<Money, OrderError> {
        let currency = left.currency();
        let step = currency.charge_step();
        let Some(wished) = self.amount else {
            let whole = left.minor().min(self.at_most.minor());
            let whole = Money::from_minor(whole - whole % step, currency);
            return if whole.is_positive() {
                Ok(whole)
            } else {
                Err(OrderError::NothingToRefund)
            };
        };
        if wished.currency() != currency {
            return Err(OrderError::RefundCurrency(currency.code()));
        }
        if !wished.is_positive() || wished.minor() % step != 0 {
            return Err(OrderError::RefundAmount(Money::from_minor(step, currency)));
        }
        if wished.minor() > left.minor() {
            return Err(if left.is_zero() {
                OrderError::NothingToRefund
            } else {
                OrderError::RefundTooMuch(left)
            });
        }
        Ok(wished)
    }
}

impl Orders {
    /// How much of the order staff can give back now. It promises nothing.
    pub async fn refundable(&self, scope: &SiteScope, id: OrderId) -> Result<Money, OrderError> {
        let mut tx = self.begin(scope).await?;
        let order = tx.orders().for_update(id).await?.ok_or(OrderError::NotFound)?;
        Ok(returns_in_tx(tx.as_mut(), &order).await?.left()?)
    }

    /// Asks for a refund of the sale, before or after shares and delivery; a job sends it. All that goes back never exceeds what
    /// was captured, less what disputes took, however many ask at once.
    pub async fn request_refund(
        &self,
        scope: &SiteScope,
        wish: &RequestRefund,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<RefundId>, OrderError> {
        wish.check()?;
        retry_busy(|| self.request_refund_once(scope, wish, call)).await
    }

    async fn request_refund_once(
        &self,
        scope: &SiteScope,
        wish: &RequestRefund,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<RefundId>, OrderError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, RefundId, OrderError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        let mut order = tx
            .orders()
            .for_update(wish.order)
            .await?
            .ok_or(OrderError::NotFound)?;
        let amount = wish.amount(returns_in_tx(tx.as_mut(), &order).await?.left()?)?;
        let attempt = paying_attempt_in_tx(tx.as_mut(), wish.order).await?;
        let disputes = tx.disputes().of_order(wish.order).await?;
        if disputes.iter().any(|dispute| !dispute.takes_a_refund()) {
            return Err(OrderError::Disputed);
        }
        let refund = Refund {
            id: RefundId::from_uuid(self.id(now)),
            order: wish.order,
            attempt: attempt.id,
            amount,
            reason: wish.reason,
            note: wish.note.as_ref().map(|note| note.trim().to_owned()),
            origin: RefundOrigin::Staff,
            restock: wish.restock,
            state: RefundState::Pending,
            provider_refund: None,
            created_at: now,
            updated_at: now,
        };
        tx.refunds().insert(&refund).await?;
        remember_in_tx(tx.as_mut(), call, &refund.id).await?;
        self.book_in_tx(tx.as_mut(), refund.asked(), refund.id.as_uuid(), amount, now)
            .await?;
        let payload = json!({ "refund": refund.id.as_uuid(), "amount": amount, "reason": wish.reason });
        tx.outbox()
            .append(happened("refund.requested", &order, payload, now))
            .await?;
        settle_returns_in_tx(tx.as_mut(), &mut order, now).await?;
        tx.commit().await?;
        Ok(Made::now(refund.id))
    }
}

/// The attempt that paid for the sale: others that succeeded came too much, and have a refund of their own.
async fn paying_attempt_in_tx(
    tx: &mut dyn OrdersTx,
    order: posx_kernel::OrderId,
) -> Result<Attempt, OrderError> {
    let refunds = tx.refunds().of_order(order).await?;
    let is_surplus = |attempt: &Attempt| {
        refunds
            .iter()
            .any(|refund| refund.origin == RefundOrigin::Automatic && refund.attempt == attempt.id)
    };
    let attempts = tx.attempts().of_order(order).await?;
    attempts
        .into_iter()
        .find(|attempt| attempt.state == AttemptState::Succeeded && !is_surplus(attempt))
        .ok_or(OrderError::NothingToRefund)
}
