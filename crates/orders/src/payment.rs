//! What a payment provider's word does to an order. It is always asked what the intent is now, so events may come in any
//! order and any number of times.

use posx_kernel::{EntryId, Money, RefundId, SiteScope, Timestamp, retry_busy};
use posx_ledger::{Account, Entry, EntryKind};
use posx_tiers::{StockChange, StockRefusal};
use serde_json::json;

use crate::checkout::unavailable;
use crate::gateway::{Intent, IntentId, IntentState};
use crate::promo::use_promo_again_in_tx;
use crate::service::{bind_referrer_in_tx, happened};
use crate::{
    Attempt, AttemptState, Lifecycle, Order, OrderError, Orders, OrdersTx, Refund, RefundOrigin,
    RefundReason, RefundState, Restock,
};

/// What applying an intent came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentApplied {
    /// Nothing was new.
    AlreadyApplied,
    /// The attempt moved; the order did not.
    AttemptMoved,
    /// The order is paid and confirmed, now.
    Paid,
    /// Money came that cannot be kept: its refund is under way.
    RefundOwed(RefundReason),
    /// The provider's amount or currency is not ours: nothing moved but the flag for a person.
    Mismatch,
}

impl Orders {
    /// Asks the provider about the intent and applies what it says.
    pub async fn apply_intent(&self, scope: &SiteScope, id: &IntentId) -> Result<PaymentApplied, OrderError> {
        let intent = self
            .gateway
            .intent(scope.site(), id)
            .await
            .map_err(unavailable)?
            .ok_or(OrderError::UnknownIntent)?;
        self.apply(scope, &intent).await
    }

    pub(crate) async fn apply(
        &self,
        scope: &SiteScope,
        intent: &Intent,
    ) -> Result<PaymentApplied, OrderError> {
        if let IntentState::Other { name } = &intent.state {
            return Err(OrderError::UnknownIntentState(name.clone()));
        }
        match retry_busy(|| self.apply_once(scope, intent, true)).await {
            // The stock of a late payment is gone, or its promo code is used up: begin again, and owe the money back instead.
            Err(
                OrderError::SoldOut { .. } | OrderError::OverBuyerLimit { .. } | OrderError::PromoCode(_),
            ) => retry_busy(|| self.apply_once(scope, intent, false)).await,
            outcome => outcome,
        }
    }

    async fn apply_once(
        &self,
        scope: &SiteScope,
        intent: &Intent,
        take_stock_again: bool,
    ) -> Result<PaymentApplied, OrderError> {
        let now = self.clock.now();
        let provider = self.gateway.provider();
        let mut tx = self.begin(scope).await?;
        let known = tx
            .attempts()
            .by_intent(provider, &intent.id)
            .await?
            .ok_or(OrderError::UnattachedIntent)?;
        let order = tx
            .orders()
            .for_update(known.order)
            .await?
            .ok_or(OrderError::NotFound)?;
        // Read again under the order's lock: another delivery may have been faster.
        let mut attempt = tx.attempts().find(known.id).await?.ok_or(OrderError::NotFound)?;
        let declined_before = attempt.last_decline.clone();
        if !attempt.observe(&intent.state, now) {
            return Ok(PaymentApplied::AlreadyApplied);
        }
        if attempt.state == AttemptState::Succeeded {
            return self.succeed(tx, order, attempt, take_stock_again, now).await;
        }
        tx.attempts().save(&attempt).await?;
        if attempt.last_decline.is_some() && attempt.last_decline != declined_before {
            let declined = happened(
                "payment.declined",
                &order,
                json!({ "reason": attempt.last_decline }),
                now,
            );
            tx.outbox().append(declined).await?;
        }
        tx.commit().await?;
        Ok(PaymentApplied::AttemptMoved)
    }

    async fn succeed(
        &self,
        mut tx: Box<dyn OrdersTx>,
        mut order: Order,
        mut attempt: Attempt,
        take_stock_again: bool,
        now: Timestamp,
    ) -> Result<PaymentApplied, OrderError> {
        let received = attempt.received;
        if received != attempt.amount {
            attempt.received = Money::zero(attempt.amount.currency());
            return Self::hold(tx, order, received, now).await;
        }
        let change = match order.lifecycle {
            Lifecycle::Placed => StockChange::Sell,
            Lifecycle::Expired | Lifecycle::Cancelled if take_stock_again => StockChange::SellFree,
            Lifecycle::Expired | Lifecycle::Cancelled => {
                return self
                    .owe_back(tx, order, attempt, RefundReason::PaidTooLate, now)
                    .await;
            }
            Lifecycle::Confirmed | Lifecycle::Fulfilled => {
                return self
                    .owe_back(tx, order, attempt, RefundReason::PaidTwice, now)
                    .await;
            }
        };
        let late = change == StockChange::SellFree;
        order.confirm(received, now)?;
        if late {
            order.attention = Some("paid_after_closing".to_owned());
            self.count_buyer_again_in_tx(tx.as_mut(), &order).await?;
        }
        tx.attempts().save(&attempt).await?;
        tx.orders().save(&order).await?;
        let source = if late {
            Account::TokensFree
        } else {
            Account::TokensReserved
        };
        let mut entries =
            self.token_entries(&order, EntryKind::TokensSold, &Account::TokensSold, &source, now);
        entries.push(self.captured(&attempt, EntryKind::PaymentCaptured, Account::Sales, now));
        for entry in &entries {
            tx.ledger().post(entry).await?;
        }
        tx.outbox()
            .append(happened(
                "order.paid",
                &order,
                json!({ "total": order.total, "late": late }),
                now,
            ))
            .await?;
        if !bind_referrer_in_tx(tx.as_mut(), &order, now).await?
            && let Some(bound_at) = tx.referrals().bound_after(order.buyer, now).await?
        {
            // Another order of this buyer was paid at the same time, and bound the referrer: this one was not paid before.
            order.paid_at = Some(bound_at);
            tx.orders().save(&order).await?;
        }
        if late {
            use_promo_again_in_tx(tx.as_mut(), &order, now).await?;
        }
        match self.move_stock_in_tx(tx.as_mut(), &order, &change, now).await? {
            Ok(()) => {}
            Err((line, StockRefusal::NotEnough { available })) => {
                return Err(OrderError::SoldOut { line, available });
            }
            Err(_) => {
                return Err(posx_kernel::StoreError::broken("a placed order's stock is missing").into());
            }
        }
        tx.commit().await?;
        Ok(PaymentApplied::Paid)
    }

    async fn count_buyer_again_in_tx(&self, tx: &mut dyn OrdersTx, order: &Order) -> Result<(), OrderError> {
        for (line, sold) in order
            .lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.counted_per_buyer)
        {
            let limit = tx
                .tiers()
                .find(sold.tier)
                .await?
                .and_then(|tier| tier.max_per_buyer);
            let counted = tx
                .stock()
                .count_for_buyer(sold.tier, order.buyer, i64::from(sold.quantity), limit)
                .await?;
            counted.map_err(|_| OrderError::OverBuyerLimit { line })?;
        }
        Ok(())
    }

    /// An amount that is not ours is a matter for a person: the event is not lost, and nothing is delivered.
    async fn hold(
        mut tx: Box<dyn OrdersTx>,
        mut order: Order,
        received: Money,
        now: Timestamp,
    ) -> Result<PaymentApplied, OrderError> {
        if order.attention.as_deref() != Some("payment_mismatch") {
            order.attention = Some("payment_mismatch".to_owned());
            tx.orders().save(&order).await?;
            tx.outbox()
                .append(happened(
                    "order.payment_mismatch",
                    &order,
                    json!({ "received": received }),
                    now,
                ))
                .await?;
            tx.commit().await?;
        }
        Ok(PaymentApplied::Mismatch)
    }

    async fn owe_back(
        &self,
        mut tx: Box<dyn OrdersTx>,
        mut order: Order,
        attempt: Attempt,
        reason: RefundReason,
        now: Timestamp,
    ) -> Result<PaymentApplied, OrderError> {
        let received = attempt.received;
        let refund = Refund {
            id: RefundId::from_uuid(self.id(now)),
            order: order.id,
            attempt: attempt.id,
            amount: received,
            reason,
            note: None,
            origin: RefundOrigin::Automatic,
            restock: Restock::None,
            state: RefundState::Pending,
            provider_refund: None,
            created_at: now,
            updated_at: now,
        };
        order.owe_back(received, reason)?;
        tx.attempts().save(&attempt).await?;
        tx.orders().save(&order).await?;
        if tx.refunds().insert(&refund).await? {
            tx.ledger()
                .post(&self.captured(&attempt, EntryKind::RefundOwed, Account::RefundsPayable, now))
                .await?;
            let payload = json!({ "refund": refund.id.as_uuid(), "amount": received, "reason": reason });
            tx.outbox()
                .append(happened("refund.requested", &order, payload, now))
                .await?;
        }
        tx.commit().await?;
        Ok(PaymentApplied::RefundOwed(reason))
    }

    fn captured(&self, attempt: &Attempt, kind: EntryKind, credit: Account, now: Timestamp) -> Entry {
        let id = EntryId::from_uuid(self.id(now));
        Entry::of_money(
            id,
            kind,
            attempt.id.as_uuid(),
            now,
            attempt.received,
            Account::ProviderClearing,
            credit,
        )
    }

    /// Asks the provider about attempts that have been open for long without a word: a webhook that never came, a crash
    /// between two transactions. Returns how many it asked about; one that fails does not stop the others.
    pub async fn reconcile_attempts(
        &self,
        scope: &SiteScope,
        older_than: Timestamp,
    ) -> Result<usize, OrderError> {
        let mut tx = self.begin(scope).await?;
        let unsettled = tx.attempts().unsettled(older_than, 100).await?;
        drop(tx);
        for attempt in &unsettled {
            let settled = match &attempt.intent {
                Some(intent) => self.apply_intent(scope, intent).await.map(|_| ()),
                None => self.resolve_attempt(scope, attempt.id).await.map(|_| ()),
            };
            if let Err(error) = settled {
                tracing::warn!(attempt = %attempt.id, %error, "an open payment attempt could not be settled");
            }
        }
        Ok(unsettled.len())
    }
}
