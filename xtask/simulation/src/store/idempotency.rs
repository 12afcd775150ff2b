//! Keys and answers.

use async_trait::async_trait;
use posx_kernel::{
    ApprovalId, ApprovalUse, Claim, Idempotency, IdempotentCall, StoreError, StoreFault, StoredAnswer,
};

use super::SimTx;
use super::rows::CallKey;
use crate::bugs::Bug;

/// FNV-1a over the parts: the name of the advisory lock.
fn lock_of(key: &CallKey) -> u128 {
    let text = format!("{}|{}|{}", key.0, key.1, key.2);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_01b3) & u128::from(u64::MAX)
    })
}

fn key_of(call: &IdempotentCall) -> CallKey {
    (call.actor.clone(), call.operation, call.key.clone())
}

impl SimTx {
    pub(super) fn claim_now(&self, call: &IdempotentCall) -> Claim {
        let key = key_of(call);
        match self.get(|rows| &rows.answers, &key) {
            Some((fingerprint, answer)) if fingerprint == call.fingerprint => Claim::Replay(answer),
            Some(_) => Claim::Mismatch,
            None if self.planted(Bug::KeyUnlocked) || self.lock_now(("answer", lock_of(&key))) => Claim::New,
            None => Claim::InProgress,
        }
    }

    pub(super) fn store_now(
        &mut self,
        call: &IdempotentCall,
        answer: &StoredAnswer,
    ) -> Result<(), StoreError> {
        if self.planted(Bug::AnswerNotStored) {
            return Ok(());
        }
        let key = key_of(call);
        if self.get(|rows| &rows.answers, &key).is_some() {
            return Err(StoreError::new(
                StoreFault::Retry,
                "the key was taken in the meantime",
            ));
        }
        let row = (call.fingerprint, answer.clone());
        if self.planted(Bug::AnswerOutsideTransaction) {
            let (db, site) = (self.db.clone(), self.site);
            db.arrange(site, |rows| {
                rows.answers.insert(key, row);
            });
        } else {
            self.put(|rows| &mut rows.answers, key, row);
        }
        Ok(())
    }
}

#[async_trait]
impl Idempotency for SimTx {
    async fn claim(&mut self, call: &IdempotentCall) -> Result<Claim, StoreError> {
        self.step("idempotency.claim").await;
        Ok(self.claim_now(call))
    }

    async fn store(&mut self, call: &IdempotentCall, answer: &StoredAnswer) -> Result<(), StoreError> {
        self.step("idempotency.store").await;
        self.store_now(call, answer)
    }

    /// The scenes ask for no second person.
    async fn use_approval(&mut self, _: &IdempotentCall, _: ApprovalId) -> Result<ApprovalUse, StoreError> {
        self.step("idempotency.use_approval").await;
        Ok(ApprovalUse::Unknown)
    }
}
