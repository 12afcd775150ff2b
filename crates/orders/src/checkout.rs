//! Opening the payment of a placed order: transaction (attempt) → provider → transaction (attach the intent).

use posx_kernel::{
    Claim, IdempotentCall, KeyRefusal, Money, OrderId, PartyId, PaymentAttemptId, SiteScope, StoreError,
    StoredAnswer, retry_busy,
};
use serde_json::json;

use crate::gateway::{CancelOutcome, CreateIntent, GatewayError, Intent, IntentId};
use crate::service::happened;
use crate::{Attempt, AttemptState, Lifecycle, Order, OrderError, Orders};

/// What the buyer's browser needs to pay.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkout {
    pub attempt: PaymentAttemptId,
    pub intent: IntentId,
    pub amount: Money,
    pub client_secret: String,
}

impl std::fmt::Debug for Checkout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkout")
            .field("attempt", &self.attempt)
            .field("intent", &self.intent)
            .finish_non_exhaustive()
    }
}

impl Orders {
    /// Opens a payment for the buyer's placed order, or returns the one that is open: two tabs pay one intent.
    ///
    /// When the provider's answer is lost the refusal is [`OrderError::PaymentUnavailable`]; calling again asks the provider
    /// under the same key, and a job does so anyway.
    pub async fn checkout(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        order: OrderId,
        call: &IdempotentCall,
    ) -> Result<Checkout, OrderError> {
        let attempt = retry_busy(|| self.open_attempt(scope, buyer, order, call)).await?;
        let intent = match &attempt.intent {
            // A repeated call whose order lapsed in the meantime: nobody may pay this intent any more.
            Some(_) if attempt.state == AttemptState::Cancelled => return Err(OrderError::Expired),
            Some(id) => self
                .gateway
                .intent(scope.site(), id)
                .await
                .map_err(unavailable)?
                .ok_or(OrderError::UnknownIntent)?,
            None => self.create_intent(scope, &attempt).await?,
        };
        Ok(Checkout {
            attempt: attempt.id,
            intent: intent.id,
            amount: attempt.amount,
            client_secret: intent.client_secret,
        })
    }

    /// The first transaction: the attempt, and with it the provider's idempotency key, is committed before any call.
    async fn open_attempt(
        &self,
        scope: &SiteScope,
        buyer: PartyId,
        id: OrderId,
        call: &IdempotentCall,
    ) -> Result<Attempt, OrderError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        match tx.idempotency().claim(call).await? {
            Claim::New => {}
            Claim::Mismatch => return Err(KeyRefusal::Reused.into()),
            Claim::InProgress => return Err(KeyRefusal::InProgress.into()),
            Claim::Replay(answer) => {
                let attempt = attempt_of(&answer)?;
                return tx.attempts().find(attempt).await?.ok_or(OrderError::NotFound);
            }
        }
        let order = tx
            .orders()
            .for_update(id)
            .await?
            .filter(|order| order.buyer == buyer)
            .ok_or(OrderError::NotFound)?;
        if order.lifecycle != Lifecycle::Placed {
            return Err(OrderError::NotPlaced(order.lifecycle));
        }
        if order.expires_at <= now {
            return Err(OrderError::Expired);
        }
        let attempt = if let Some(open) = tx.attempts().open_of(id).await? {
            open
        } else {
            let attempt = self.new_attempt(&order);
            if !tx.attempts().insert(&attempt).await? {
                return Err(StoreError::broken("two open attempts under one order's lock").into());
            }
            let opened = happened(
                "checkout.opened",
                &order,
                json!({ "attempt": attempt.id.as_uuid() }),
                now,
            );
            tx.outbox().append(opened).await?;
            attempt
        };
        tx.idempotency()
            .store(
                call,
                &StoredAnswer {
                    status: 200,
                    body: attempt.id.to_string().into_bytes(),
                },
            )
            .await?;
        tx.commit().await?;
        Ok(attempt)
    }

    fn new_attempt(&self, order: &Order) -> Attempt {
        let now = self.clock.now();
        Attempt {
            id: PaymentAttemptId::from_uuid(self.id(now)),
            order: order.id,
            provider: self.gateway.provider().to_owned(),
            intent: None,
            amount: order.total,
            received: Money::zero(order.currency()),
            state: AttemptState::Created,
            outcome_unknown: true,
            last_decline: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// The provider is asked with the attempt's own key, so asking again makes no second intent.
    async fn create_intent(&self, scope: &SiteScope, attempt: &Attempt) -> Result<Intent, OrderError> {
        let request = CreateIntent {
            site: scope.site(),
            order: attempt.order,
            attempt: attempt.id,
            amount: attempt.amount,
        };
        let intent = match self.gateway.create_intent(&request).await {
            Ok(intent) => intent,
            Err(unknown @ GatewayError::Unknown(_)) => {
                match self.gateway.intent_of_attempt(scope.site(), attempt.id).await {
                    Ok(Some(intent)) => intent,
                    Ok(None) | Err(_) => return Err(OrderError::PaymentUnavailable(unknown)),
                }
            }
            Err(refused) => {
                retry_busy(|| self.drop_attempt(scope, attempt)).await?;
                return Err(OrderError::PaymentRefused(refused));
            }
        };
        if retry_busy(|| self.attach(scope, attempt.id, &intent)).await? {
            return Ok(intent);
        }
        self.cancel_lapsed(scope, &intent).await?;
        Err(OrderError::Expired)
    }

    /// The order lapsed while we asked: nobody may pay this intent any more. If somebody has, the money finds its order.
    async fn cancel_lapsed(&self, scope: &SiteScope, intent: &Intent) -> Result<(), OrderError> {
        let cancelled = self.gateway.cancel_intent(scope.site(), &intent.id).await;
        if let CancelOutcome::NotCancellable(found) = cancelled.map_err(unavailable)? {
            self.apply(scope, &found).await?;
        }
        Ok(())
    }

    /// The second transaction. False: the attempt was closed meanwhile; the intent is stored all the same, so that money
    /// which still arrives finds its order.
    async fn attach(
        &self,
        scope: &SiteScope,
        id: PaymentAttemptId,
        intent: &Intent,
    ) -> Result<bool, OrderError> {
        let now = self.clock.now();
        let mut tx = self.begin(scope).await?;
        let order = tx.attempts().find(id).await?.ok_or(OrderError::NotFound)?.order;
        tx.orders().for_update(order).await?.ok_or(OrderError::NotFound)?;
        let mut attempt = tx.attempts().find(id).await?.ok_or(OrderError::NotFound)?;
        if !tx
            .attempts()
            .claim_external_id(&attempt.provider, &intent.id.0)
            .await?
        {
            return Err(OrderError::UnknownIntent);
        }
        attempt.intent = Some(intent.id.clone());
        attempt.outcome_unknown = false;
        attempt.updated_at = now;
        tx.attempts().save(&attempt).await?;
        tx.commit().await?;
        Ok(attempt.state != AttemptState::Cancelled)
    }

    async fn drop_attempt(&self, scope: &SiteScope, attempt: &Attempt) -> Result<(), OrderError> {
        let mut tx = self.begin(scope).await?;
        tx.orders()
            .for_update(attempt.order)
            .await?
            .ok_or(OrderError::NotFound)?;
        let Some(mut stored) = tx.attempts().find(attempt.id).await? else {
            return Ok(());
        };
        if stored.state.is_open() && stored.intent.is_none() {
            stored.state = AttemptState::Cancelled;
            stored.outcome_unknown = false;
            stored.updated_at = self.clock.now();
            tx.attempts().save(&stored).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Settles an attempt whose intent we never heard of, by asking: after a crash between the two transactions, or a lost
    /// answer. True: it has an intent now.
    pub async fn resolve_attempt(&self, scope: &SiteScope, id: PaymentAttemptId) -> Result<bool, OrderError> {
        let mut tx = self.begin(scope).await?;
        let attempt = tx.attempts().find(id).await?.ok_or(OrderError::NotFound)?;
        drop(tx);
        if attempt.intent.is_some() {
            return Ok(true);
        }
        let found = self
            .gateway
            .intent_of_attempt(scope.site(), id)
            .await
            .map_err(unavailable)?;
        let Some(intent) = found else { return Ok(false) };
        if !retry_busy(|| self.attach(scope, id, &intent)).await? {
            self.cancel_lapsed(scope, &intent).await?;
        }
        self.apply_intent(scope, &intent.id).await?;
        Ok(true)
    }
}

fn attempt_of(answer: &StoredAnswer) -> Result<PaymentAttemptId, StoreError> {
    let text = std::str::from_utf8(&answer.body).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::broken("a stored checkout names no attempt"))
}

pub(crate) fn unavailable(error: GatewayError) -> OrderError {
    match error {
        GatewayError::Refused { .. } => OrderError::PaymentRefused(error),
        GatewayError::Unknown(_) => OrderError::PaymentUnavailable(error),
    }
}
