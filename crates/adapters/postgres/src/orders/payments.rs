//! Attempts and refunds.

use async_trait::async_trait;
use posx_kernel::{Money, OrderId, PaymentAttemptId, RefundId, StoreError, Timestamp};
use posx_orders::gateway::{IntentId, RefundState};
use posx_orders::{Attempt, AttemptRepository, AttemptState, Refund, RefundReason, RefundRepository};
use sqlx::Row;
use sqlx::postgres::PgQueryResult;
use sqlx::postgres::PgRow;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;
use crate::tiers::currency;

fn attempt_of(row: &PgRow) -> Result<Attempt, StoreError> {
    let currency = currency(row.try_get("currency").store()?)?;
    let intent: Option<String> = row.try_get("intent_id").store()?;
    Ok(Attempt {
        id: PaymentAttemptId::from_uuid(row.try_get("id").store()?),
        order: OrderId::from_uuid(row.try_get("order_id").store()?),
        provider: row.try_get("provider").store()?,
        intent: intent.map(IntentId),
        amount: Money::from_minor(row.try_get("amount").store()?, currency),
        received: Money::from_minor(row.try_get("received").store()?, currency),
        state: AttemptState::from_name(row.try_get("state").store()?)
            .ok_or_else(|| StoreError::broken("an attempt's state"))?,
        outcome_unknown: row.try_get("outcome_unknown").store()?,
        last_decline: row.try_get("last_decline").store()?,
        created_at: row.try_get("created_at").store()?,
        updated_at: row.try_get("updated_at").store()?,
    })
}

#[async_trait]
impl AttemptRepository for SiteTx {
    async fn open_of(&mut self, order: OrderId) -> Result<Option<Attempt>, StoreError> {
        let row = sqlx::query(
            "select * from payment_attempts where order_id = $1 and state in ('created', 'requires_action', 'processing')",
        )
        .bind(order.as_uuid())
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.as_ref().map(attempt_of).transpose()
    }

    async fn find(&mut self, id: PaymentAttemptId) -> Result<Option<Attempt>, StoreError> {
        let row = sqlx::query("select * from payment_attempts where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(attempt_of).transpose()
    }

    async fn by_intent(&mut self, provider: &str, intent: &IntentId) -> Result<Option<Attempt>, StoreError> {
        let row = sqlx::query("select * from payment_attempts where provider = $1 and intent_id = $2")
            .bind(provider)
            .bind(&intent.0)
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(attempt_of).transpose()
    }

    async fn insert(&mut self, attempt: &Attempt) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into payment_attempts (id, order_id, provider, intent_id, currency, amount, received, state, outcome_unknown,
               last_decline, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict do nothing",
        )
        .bind(attempt.id.as_uuid())
        .bind(attempt.order.as_uuid())
        .bind(&attempt.provider)
        .bind(attempt.intent.as_ref().map(|intent| &intent.0))
        .bind(attempt.amount.currency().code())
        .bind(attempt.amount.minor())
        .bind(attempt.received.minor())
        .bind(attempt.state.as_str())
        .bind(attempt.outcome_unknown)
        .bind(&attempt.last_decline)
        .bind(attempt.created_at)
        .bind(attempt.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn save(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update payment_attempts set intent_id = $2, received = $3, state = $4, outcome_unknown = $5, last_decline = $6,
               updated_at = $7 where id = $1",
        )
        .bind(attempt.id.as_uuid())
        .bind(attempt.intent.as_ref().map(|intent| &intent.0))
        .bind(attempt.received.minor())
        .bind(attempt.state.as_str())
        .bind(attempt.outcome_unknown)
        .bind(&attempt.last_decline)
        .bind(attempt.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        one(&done, "an attempt that was read is gone")
    }

    async fn unsettled(&mut self, before: Timestamp, limit: u16) -> Result<Vec<Attempt>, StoreError> {
        let rows = sqlx::query(
            "select * from payment_attempts
             where state in ('created', 'requires_action', 'processing') and updated_at < $1 order by updated_at limit $2",
        )
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().map(attempt_of).collect()
    }

    async fn claim_external_id(&mut self, provider: &str, external_id: &str) -> Result<bool, StoreError> {
        claim_external_id(self, provider, external_id).await
    }
}

pub(crate) async fn claim_external_id(
    tx: &mut SiteTx,
    provider: &str,
    external_id: &str,
) -> Result<bool, StoreError> {
    let row = sqlx::query("select app.claim_external_id($1, $2)")
        .bind(provider)
        .bind(external_id)
        .fetch_one(tx.connection())
        .await
        .store()?;
    row.try_get(0).store()
}

const fn refund_state(state: RefundState) -> &'static str {
    match state {
        RefundState::Pending => "pending",
        RefundState::Succeeded => "succeeded",
        RefundState::Failed => "failed",
        RefundState::Cancelled => "cancelled",
    }
}

#[async_trait]
impl RefundRepository for SiteTx {
    async fn insert(&mut self, refund: &Refund) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into refunds (id, order_id, attempt_id, currency, amount, reason, state, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict on constraint refunds_once do nothing",
        )
        .bind(refund.id.as_uuid())
        .bind(refund.order.as_uuid())
        .bind(refund.attempt.as_uuid())
        .bind(refund.amount.currency().code())
        .bind(refund.amount.minor())
        .bind(refund.reason.as_str())
        .bind(refund_state(refund.state))
        .bind(refund.created_at)
        .bind(refund.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn find(&mut self, id: RefundId) -> Result<Option<Refund>, StoreError> {
        let row = sqlx::query("select * from refunds where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let states = [
            RefundState::Pending,
            RefundState::Succeeded,
            RefundState::Failed,
            RefundState::Cancelled,
        ];
        let stored: String = row.try_get("state").store()?;
        let currency = currency(row.try_get("currency").store()?)?;
        Ok(Some(Refund {
            id,
            order: OrderId::from_uuid(row.try_get("order_id").store()?),
            attempt: PaymentAttemptId::from_uuid(row.try_get("attempt_id").store()?),
            amount: Money::from_minor(row.try_get("amount").store()?, currency),
            reason: RefundReason::from_name(row.try_get("reason").store()?)
                .ok_or_else(|| StoreError::broken("a refund's reason"))?,
            state: states
                .into_iter()
                .find(|state| refund_state(*state) == stored)
                .ok_or_else(|| StoreError::broken("a refund's state"))?,
            provider_refund: row.try_get("provider_refund_id").store()?,
            created_at: row.try_get("created_at").store()?,
            updated_at: row.try_get("updated_at").store()?,
        }))
    }

    async fn save(&mut self, refund: &Refund) -> Result<(), StoreError> {
        let done = sqlx::query(
            "update refunds set state = $2, provider_refund_id = $3, updated_at = $4 where id = $1",
        )
        .bind(refund.id.as_uuid())
        .bind(refund_state(refund.state))
        .bind(&refund.provider_refund)
        .bind(refund.updated_at)
        .execute(self.connection())
        .await
        .store()?;
        one(&done, "a refund that was read is gone")
    }
}

/// A save that finds no row would lose what a use case decided.
fn one(done: &PgQueryResult, otherwise: &'static str) -> Result<(), StoreError> {
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::broken(otherwise))
    }
}
