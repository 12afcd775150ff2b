//! Attempts.

use async_trait::async_trait;
use posx_kernel::{Money, OrderId, PaymentAttemptId, StoreError, Timestamp};
use posx_orders::gateway::IntentId;
use posx_orders::{Attempt, AttemptRepository, AttemptState};
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

    async fn of_order(&mut self, order: OrderId) -> Result<Vec<Attempt>, StoreError> {
        let rows = sqlx::query("select * from payment_attempts where order_id = $1 order by id")
            .bind(order.as_uuid())
            .fetch_all(self.connection())
            .await
            .store()?;
        rows.iter().map(attempt_of).collect()
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

/// A save that finds no row would lose what a use case decided.
pub(super) fn one(done: &PgQueryResult, otherwise: &'static str) -> Result<(), StoreError> {
    if done.rows_affected() == 1 {
        Ok(())
    } else {
        Err(StoreError::broken(otherwise))
    }
}
