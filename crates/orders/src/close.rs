//! Closing a placed order: by its buyer, or because its time is up. The provider's intent is cancelled first; only then is
//! the stock free.

use posx_kernel::{OrderId, PartyId, PaymentAttemptId, SiteScope, retry_busy};
use posx_ledger::{Account, EntryKind};
use posx_tiers::StockChange;
use serde_json::json;

use crate::checkout::unavailable;
use crate::gateway::{CancelOutcome, IntentId, IntentState};
use crate::promo::give_back_promo_in_tx;
use crate::service::happened;
use crate::{Attempt, AttemptState, DueOrder, Lifecycle, OrderError, Orders, WrongMove};

/// What became of a wish to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    Now,
    /// It was closed this way before.
    Already,
    /// Money was faster: the order is paid.
    Paid,
    /// The provider is still processing a payment: nothing was closed.
    PaymentUnderWay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Expired,
    Cancelled,
}

/// The attempt that was stopped, so that no money arrives by it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stopped {
    attempt: PaymentAttemptId,
    /// `None`: the provider had not heard of the attempt when it was asked.
    intent: Option<IntentId>,
    unknown_to_provider: bool,
}

impl Stopped {
    /// Not if its intent was attached since: that one can still be paid.
    fn is(&self, attempt: &Attempt) -> bool {
        self.attempt == attempt.id && (attempt.intent.is_none() || attempt.intent == self.intent)
    }
}

impl Orders {
    /// Cancels a placed order. `buyer` restricts to that buyer's own.
    pub async fn cancel(
        &self,
        scope: &SiteScope,
        id: OrderId,
        buyer: Option<PartyId>,
    ) -> Result<Closed, OrderError> {
        match self.close(scope, id, buyer, Why::Cancelled).await? {
            Closed::PaymentUnderWay => Err(OrderError::PaymentUnderWay),
            Closed::Paid => Err(OrderError::NotPlaced(Lifecycle::Confirmed)),
            closed => Ok(closed),
        }
    }

    /// Expires a placed order whose time is up; one that is not due yet is left alone.
    pub async fn expire(&self, scope: &SiteScope, id: OrderId) -> Result<Closed, OrderError> {
        self.close(scope, id, None, Why::Expired).await
    }

    /// Orders whose time is up, longest due first, from `after` on: one that stays due does not hide those behind it.
    pub async fn due_for_expiry(
        &self,
        scope: &SiteScope,
        after: Option<DueOrder>,
        limit: u16,
    ) -> Result<Vec<DueOrder>, OrderError> {
        let mut tx = self.begin(scope).await?;
        Ok(tx.orders().due(self.clock.now(), after, limit).await?)
    }

    async fn close(
        &self,
        scope: &SiteScope,
        id: OrderId,
        buyer: Option<PartyId>,
        why: Why,
    ) -> Result<Closed, OrderError> {
        let open = match self.open_for_closing(scope, id, buyer, why).await? {
            Ok(open) => open,
            Err(closed) => return Ok(closed),
        };
        let stopped = match &open {
            None => None,
            Some(attempt) => match self.stop_payment(scope, attempt).await? {
                Ok(stopped) => Some(stopped),
                Err(closed) => return Ok(closed),
            },
        };
        retry_busy(|| self.close_once(scope, id, why, stopped.as_ref())).await
    }

    /// The open attempt, if the order can be closed; else why not.
    async fn open_for_closing(
        &self,
        scope: &SiteScope,
        id: OrderId,
        buyer: Option<PartyId>,
        why: Why,
    ) -> Result<Result<Option<Attempt>, Closed>, OrderError> {
        let mut tx = self.begin(scope).await?;
        let order = tx.orders().for_update(id).await?.ok_or(OrderError::NotFound)?;
        if buyer.is_some_and(|buyer| buyer != order.buyer) {
            return Err(OrderError::NotFound);
        }
        match (order.lifecycle, why) {
            (Lifecycle::Placed, _) => {}
            (Lifecycle::Expired, Why::Expired) | (Lifecycle::Cancelled, Why::Cancelled) => {
                return Ok(Err(Closed::Already));
            }
            (Lifecycle::Confirmed | Lifecycle::Fulfilled, Why::Expired) => return Ok(Err(Closed::Paid)),
            (other, _) => return Err(OrderError::NotPlaced(other)),
        }
        if why == Why::Expired && order.expires_at > self.clock.now() {
            return Err(WrongMove {
                from: Lifecycle::Placed,
                to: Lifecycle::Expired,
            }
            .into());
        }
        Ok(Ok(tx.attempts().open_of(id).await?))
    }

    /// No money can arrive after this, or what keeps the order open.
    async fn stop_payment(
        &self,
        scope: &SiteScope,
        attempt: &Attempt,
    ) -> Result<Result<Stopped, Closed>, OrderError> {
        let site = scope.site();
        let intent = match &attempt.intent {
            Some(intent) => Some(intent.clone()),
            // An answer was lost: the provider may hold an intent of which we never heard.
            None => self
                .gateway
                .intent_of_attempt(site, attempt.id)
                .await
                .map_err(unavailable)?
                .map(|intent| intent.id),
        };
        let mut stopped = Stopped {
            attempt: attempt.id,
            intent,
            unknown_to_provider: false,
        };
        let Some(intent) = &stopped.intent else {
            return Ok(Ok(stopped));
        };
        match self
            .gateway
            .cancel_intent(site, intent)
            .await
            .map_err(unavailable)?
        {
            CancelOutcome::Cancelled => Ok(Ok(stopped)),
            CancelOutcome::NoSuchIntent => {
                stopped.unknown_to_provider = true;
                Ok(Ok(stopped))
            }
            CancelOutcome::NotCancellable(found) => {
                if attempt.intent.is_none() {
                    self.resolve_attempt(scope, attempt.id).await?;
                } else {
                    self.apply(scope, &found).await?;
                }
                let paid = matches!(found.state, IntentState::Succeeded { .. });
                Ok(Err(if paid {
                    Closed::Paid
                } else {
                    Closed::PaymentUnderWay
                }))
            }
        }
    }

    async fn close_once(
        &self,
        scope: &SiteScope,
        id: OrderId,
        why: Why,
        stopped: Option<&Stopped>,
    ) -> Result<Closed, OrderError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let mut order = tx.orders().for_update(id).await?.ok_or(OrderError::NotFound)?;
        match order.lifecycle {
            Lifecycle::Placed => {}
            Lifecycle::Confirmed | Lifecycle::Fulfilled => return Ok(Closed::Paid),
            Lifecycle::Cancelled | Lifecycle::Expired => return Ok(Closed::Already),
        }
        if let Some(mut attempt) = tx.attempts().open_of(id).await? {
            if !stopped.is_some_and(|stopped| stopped.is(&attempt)) {
                // A payment was opened, or came to its intent, while we asked the provider: the next round stops that one.
                return Ok(Closed::PaymentUnderWay);
            }
            attempt.state = AttemptState::Cancelled;
            attempt.outcome_unknown = false;
            attempt.updated_at = now;
            tx.attempts().save(&attempt).await?;
        }
        if stopped.is_some_and(|stopped| stopped.unknown_to_provider) {
            // The stock is not held for ever; why the intent is gone (other keys, another account) is for a person to find.
            order.attention = Some("intent_missing".to_owned());
        }
        let kind = match why {
            Why::Expired => {
                order.expire(now)?;
                "order.expired"
            }
            Why::Cancelled => {
                order.cancel(now)?;
                "order.cancelled"
            }
        };
        tx.orders().save(&order).await?;
        let (free, reserved) = (Account::TokensFree, Account::TokensReserved);
        for entry in self.token_entries(&order, EntryKind::TokensReleased, &free, &reserved, now) {
            tx.ledger().post(&entry).await?;
        }
        tx.outbox().append(happened(kind, &order, json!({}), now)).await?;
        self.uncount_buyer_in_tx(tx.as_mut(), &order).await?;
        give_back_promo_in_tx(tx.as_mut(), &order, now).await?;
        if self
            .move_stock_in_tx(tx.as_mut(), &order, &StockChange::Release, now)
            .await?
            .is_err()
        {
            return Err(posx_kernel::StoreError::broken("a placed order's reservation is missing").into());
        }
        tx.commit().await?;
        Ok(Closed::Now)
    }
}

#[cfg(test)]
mod tests {
    use posx_kernel::{Ids as _, Money, OrderId, SeededIds, Timestamp};

    use super::*;

    #[test]
    fn an_attempt_whose_intent_came_after_the_provider_was_asked_is_not_stopped() {
        let now = Timestamp::UNIX_EPOCH;
        let usd = |minor| Money::from_minor(minor, posx_kernel::Currency::from_code("USD").unwrap());
        let ids = SeededIds::new(1);
        let mut attempt = Attempt {
            id: PaymentAttemptId::from_uuid(ids.uuid(now)),
            order: OrderId::from_uuid(ids.uuid(now)),
            provider: "sandbox".to_owned(),
            intent: None,
            amount: usd(100),
            received: usd(0),
            state: AttemptState::Created,
            outcome_unknown: true,
            last_decline: None,
            created_at: now,
            updated_at: now,
        };
        let stopped = |intent: Option<&str>| Stopped {
            attempt: attempt.id,
            intent: intent.map(|id| IntentId(id.to_owned())),
            unknown_to_provider: false,
        };
        let (unheard, cancelled) = (stopped(None), stopped(Some("pi_1")));
        assert!(unheard.is(&attempt) && cancelled.is(&attempt));
        attempt.intent = Some(IntentId("pi_1".to_owned()));
        assert!(cancelled.is(&attempt));
        assert!(!unheard.is(&attempt), "it can still be paid");
        attempt.id = PaymentAttemptId::from_uuid(ids.uuid(now));
        assert!(!cancelled.is(&attempt));
    }
}
