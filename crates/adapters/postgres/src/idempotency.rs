//! Idempotency keys: the claim hardly waits, the answer commits with its effect.

use std::time::Duration;

use async_trait::async_trait;
use posx_kernel::{
    ApprovalId, ApprovalUse, Claim, Idempotency, IdempotentCall, StoreError, StoreFault, StoredAnswer,
};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::error::StoreResult;
use crate::site_tx::SiteTx;

/// What one call locks for the length of its transaction. Two keys that hash alike wait for nothing: the second is told to
/// try again.
pub(crate) fn lock_name(tx: &SiteTx, call: &IdempotentCall) -> String {
    format!("{}|{}|{}|{}", tx.site(), call.actor, call.operation, call.key)
}

/// Columns `locked`, `fingerprint`, `status`, `body` as a claim.
pub(crate) fn claim_of(row: &PgRow, call: &IdempotentCall) -> Result<Claim, StoreError> {
    let stored: Option<Vec<u8>> = row.try_get("fingerprint").store()?;
    let Some(stored) = stored else {
        let locked: bool = row.try_get("locked").store()?;
        return Ok(if locked { Claim::New } else { Claim::InProgress });
    };
    if stored != call.fingerprint {
        return Ok(Claim::Mismatch);
    }
    let status: i16 = row.try_get("status").store()?;
    let status = u16::try_from(status).map_err(|_| StoreError::broken("a stored answer's status"))?;
    Ok(Claim::Replay(StoredAnswer {
        status,
        body: row.try_get("body").store()?,
    }))
}

/// How long a call waits for the one before it under the same key. A refused call gives its lock back when its connection
/// has rolled back, a moment after its caller has the answer: an honest repeat must not meet that moment.
const PATIENCE: [Duration; 4] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
];

impl SiteTx {
    async fn try_claim(&mut self, call: &IdempotentCall) -> Result<Claim, StoreError> {
        let lock = lock_name(self, call);
        let row = sqlx::query(
            "select l.locked, k.fingerprint, k.status, k.body
             from (select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked) l
             left join idempotency_keys k on k.actor = $2 and k.operation = $3 and k.key = $4",
        )
        .bind(lock)
        .bind(&call.actor)
        .bind(call.operation)
        .bind(&call.key)
        .fetch_one(self.connection())
        .await
        .store()?;
        claim_of(&row, call)
    }
}

#[async_trait]
impl Idempotency for SiteTx {
    async fn claim(&mut self, call: &IdempotentCall) -> Result<Claim, StoreError> {
        let mut claim = self.try_claim(call).await?;
        for pause in PATIENCE {
            if !matches!(claim, Claim::InProgress) {
                break;
            }
            tokio::time::sleep(pause).await;
            claim = self.try_claim(call).await?;
        }
        Ok(claim)
    }

    async fn store(&mut self, call: &IdempotentCall, answer: &StoredAnswer) -> Result<(), StoreError> {
        let stored = sqlx::query(
            "insert into idempotency_keys (actor, operation, key, fingerprint, status, body, created_at)
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
        )
        .bind(&call.actor)
        .bind(call.operation)
        .bind(&call.key)
        .bind(call.fingerprint.as_slice())
        .bind(i16::try_from(answer.status).unwrap_or(i16::MAX))
        .bind(&answer.body)
        .bind(call.at)
        .execute(self.connection())
        .await
        .store()?;
        if stored.rows_affected() == 1 {
            return Ok(());
        }
        // The first call committed between our snapshot and our lock: begin again, and find its answer.
        Err(StoreError::new(
            StoreFault::Retry,
            "the key was taken in the meantime",
        ))
    }

    async fn use_approval(
        &mut self,
        call: &IdempotentCall,
        approval: ApprovalId,
    ) -> Result<ApprovalUse, StoreError> {
        self.use_approval_of(call, approval).await
    }
}
