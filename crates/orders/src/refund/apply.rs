//! What a payment provider's word does to refunds. It is always asked for all refunds of the intent, so events may come in any
//! order and any number of times, and a refund that somebody made at the provider's dashboard is found as well.

use posx_kernel::{RefundId, SiteScope, StoreError, Timestamp, retry_busy};
use serde_json::json;

use super::{Refund, RefundOrigin, RefundReason, RefundState, Restock};
use crate::checkout::unavailable;
use crate::gateway::{IntentId, ProviderRefund};
use crate::returns::settle_returns_in_tx;
use crate::service::happened;
use crate::{Attempt, AttemptState, Order, OrderError, Orders, OrdersTx};

impl Orders {
    /// Asks the provider about the intent's refunds and applies what it says.
    pub async fn apply_refunds(&self, scope: &SiteScope, intent: &IntentId) -> Result<(), OrderError> {
        self.apply_payment_first(scope, intent).await?;
        let seen = self.gateway.refunds(scope.site(), intent).await;
        let mut seen = seen.map_err(unavailable)?;
        // What failed makes room for what was made in its place.
        seen.sort_by_key(|refund| refund.state.counts());
        for refund in &seen {
            retry_busy(|| self.apply_refund(scope, intent, refund)).await?;
        }
        Ok(())
    }

    /// The same, by the provider's id of one that is known: for events that name nothing else.
    pub async fn apply_refund_by_id(&self, scope: &SiteScope, id: &str) -> Result<(), OrderError> {
        let mut tx = self.begin(scope).await?;
        let known = tx.refunds().by_provider_id(id).await?;
        let refund = known.ok_or(OrderError::UnknownRefund)?;
        let attempt = tx.attempts().find(refund.attempt).await?;
        drop(tx);
        let intent = attempt.and_then(|attempt| attempt.intent);
        self.apply_refunds(scope, &intent.ok_or(OrderError::UnattachedIntent)?)
            .await
    }

    /// A refund or a dispute may be heard of before the payment that it is of.
    pub(crate) async fn apply_payment_first(
        &self,
        scope: &SiteScope,
        intent: &IntentId,
    ) -> Result<(), OrderError> {
        let mut tx = self.begin(scope).await?;
        let known = tx.attempts().by_intent(self.gateway.provider(), intent).await?;
        drop(tx);
        let attempt = known.ok_or(OrderError::UnattachedIntent)?;
        if attempt.state != AttemptState::Succeeded {
            self.apply_intent(scope, intent).await?;
        }
        Ok(())
    }

    /// What the provider says of one refund that we asked for.
    pub(super) async fn settle_refund(
        &self,
        scope: &SiteScope,
        id: RefundId,
        seen: &ProviderRefund,
    ) -> Result<(), OrderError> {
        let mut tx = self.begin(scope).await?;
        let found = tx.refunds().find(id).await?.ok_or(OrderError::RefundNotFound)?;
        let order = tx.orders().for_update(found.order).await?;
        let order = order.ok_or(OrderError::NotFound)?;
        // Read again under the order's lock: another word may have been faster.
        let refund = tx.refunds().find(id).await?.ok_or(OrderError::RefundNotFound)?;
        self.observe_refund_in_tx(tx.as_mut(), order, refund, seen)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn apply_refund(
        &self,
        scope: &SiteScope,
        intent: &IntentId,
        seen: &ProviderRefund,
    ) -> Result<(), OrderError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let provider = self.gateway.provider();
        let known = tx.attempts().by_intent(provider, intent).await?;
        let known = known.ok_or(OrderError::UnattachedIntent)?;
        let order = tx.orders().for_update(known.order).await?;
        let order = order.ok_or(OrderError::NotFound)?;
        let attempt = tx.attempts().find(known.id).await?.ok_or(OrderError::NotFound)?;
        if attempt.state != AttemptState::Succeeded {
            return Err(OrderError::NotCaptured);
        }
        let refund = match known_refund_in_tx(tx.as_mut(), &attempt, seen).await? {
            Some(refund) => refund,
            None => {
                self.found_refund_in_tx(tx.as_mut(), &order, &attempt, seen, now)
                    .await?
            }
        };
        self.observe_refund_in_tx(tx.as_mut(), order, refund, seen)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Made at the provider itself: recorded as a refund of ours, so that no money leaves the books unseen.
    async fn found_refund_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        order: &Order,
        attempt: &Attempt,
        seen: &ProviderRefund,
        now: Timestamp,
    ) -> Result<Refund, OrderError> {
        let mut own = tx.refunds().of_order(order.id).await?.into_iter();
        let surplus =
            own.find(|refund| refund.origin == RefundOrigin::Automatic && refund.attempt == attempt.id);
        let said = || {
            let word = seen.reason.as_deref().unwrap_or_default();
            RefundReason::of_staff().find(|reason| reason.as_str() == word)
        };
        let reason = match surplus {
            Some(surplus) => surplus.reason,
            None => said().unwrap_or(RefundReason::Other),
        };
        let refund = Refund {
            id: RefundId::from_uuid(self.id(now)),
            order: order.id,
            attempt: attempt.id,
            amount: seen.amount,
            reason,
            note: None,
            origin: RefundOrigin::Provider,
            restock: if reason.is_surplus() {
                Restock::None
            } else {
                Restock::Undelivered
            },
            // One that is over already took no room and moved nothing in the end.
            state: if seen.state.counts() {
                RefundState::Pending
            } else {
                seen.state
            },
            provider_refund: Some(seen.id.clone()),
            created_at: now,
            updated_at: now,
        };
        tx.refunds().insert(&refund).await?;
        self.own_at_provider_in_tx(tx, &seen.id).await?;
        let asked = refund.asked().filter(|_| refund.state.counts());
        self.book_in_tx(tx, asked, refund.id.as_uuid(), refund.amount, now)
            .await?;
        let payload = json!({ "refund": refund.id.as_uuid(), "amount": refund.amount, "reason": reason });
        tx.outbox()
            .append(happened("refund.found", order, payload, now))
            .await?;
        Ok(refund)
    }

    async fn observe_refund_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        mut order: Order,
        mut refund: Refund,
        seen: &ProviderRefund,
    ) -> Result<(), OrderError> {
        let now = self.clock.now();
        let was_nameless = refund.provider_refund.is_none();
        let moved = refund.observe(seen, now);
        if let Some(id) = refund.provider_refund.as_deref().filter(|_| was_nameless) {
            self.own_at_provider_in_tx(tx, id).await?;
        }
        tx.refunds().save(&refund).await?;
        if let Some(bookings) = moved {
            let cause = refund.id.as_uuid();
            self.book_in_tx(tx, bookings, cause, refund.amount, now).await?;
            if let Some(kind) = told(refund.state) {
                let payload = json!({ "refund": cause, "amount": refund.amount });
                tx.outbox().append(happened(kind, &order, payload, now)).await?;
            }
        }
        settle_returns_in_tx(tx, &mut order, now).await
    }
}

impl Orders {
    /// So that the provider's next event about the object finds its site.
    pub(crate) async fn own_at_provider_in_tx(
        &self,
        tx: &mut dyn OrdersTx,
        id: &str,
    ) -> Result<(), StoreError> {
        if tx
            .attempts()
            .claim_external_id(self.gateway.provider(), id)
            .await?
        {
            return Ok(());
        }
        Err(StoreError::broken(
            "an object of this site's payment is another site's at the provider",
        ))
    }
}

/// By our own id if it carries one, else by the provider's.
async fn known_refund_in_tx(
    tx: &mut dyn OrdersTx,
    attempt: &Attempt,
    seen: &ProviderRefund,
) -> Result<Option<Refund>, StoreError> {
    if let Some(id) = seen.refund
        && let Some(own) = tx.refunds().find(id).await?
        && own.attempt == attempt.id
    {
        return Ok(Some(own));
    }
    let known = tx.refunds().by_provider_id(&seen.id).await?;
    Ok(known.filter(|refund| refund.attempt == attempt.id))
}

const fn told(state: RefundState) -> Option<&'static str> {
    match state {
        RefundState::Pending => None,
        RefundState::RequiresAction => Some("refund.action_required"),
        RefundState::Succeeded => Some("refund.succeeded"),
        RefundState::Failed => Some("refund.failed"),
        RefundState::Cancelled => Some("refund.cancelled"),
    }
}
