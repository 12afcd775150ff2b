//! What the custodian knows, and what each call does to it. Nothing here waits.

use std::collections::{BTreeMap, HashMap, VecDeque};

use chrono::TimeDelta;
use posx_kernel::Timestamp;
use serde_json::{Value, json};

use super::error::CustodianError;
use super::transfer::{End, Order, SandboxTransfer};
use crate::env::Env;

/// So long a key gives its first answer again (F04).
const KEYS_KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// What a vault holds of anything until it is told otherwise.
const PLENTY: &str = "1000000000000";

#[derive(Debug, Default)]
pub(super) struct Book {
    /// By external id, which is unique for ever (F05).
    pub(super) transfers: BTreeMap<String, SandboxTransfer>,
    keys: HashMap<String, (Timestamp, Stored)>,
    /// How the next transfers will end; one that goes well is `None`.
    pub(super) ends: VecDeque<End>,
    /// By vault and asset, in whole tokens; `None` is a vault without a wallet for the asset.
    pub(super) balances: HashMap<(String, String), Option<String>>,
}

#[derive(Debug, Clone)]
enum Stored {
    Answer(Result<Value, CustodianError>),
    /// The first call met an internal error: the key is spent.
    InternalError,
}

impl Book {
    /// The stored outcome of a key that is not older than a day.
    pub(super) fn known(&self, key: &str, now: Timestamp) -> Option<Result<Value, CustodianError>> {
        let (since, stored) = self.keys.get(key)?;
        if now - *since >= KEYS_KEPT_FOR {
            return None;
        }
        Some(match stored {
            Stored::Answer(outcome) => outcome.clone(),
            Stored::InternalError => Err(CustodianError::spent_key()),
        })
    }

    pub(super) fn store(&mut self, key: &str, now: Timestamp, outcome: Result<Value, CustodianError>) {
        self.keys.insert(key.to_owned(), (now, Stored::Answer(outcome)));
    }

    pub(super) fn spend(&mut self, key: &str, now: Timestamp) {
        self.keys.insert(key.to_owned(), (now, Stored::InternalError));
    }

    pub(super) fn submit(&mut self, env: &Env, order: Order) -> Result<SandboxTransfer, CustodianError> {
        if self.transfers.contains_key(&order.external_id) {
            return Err(CustodianError::duplicate());
        }
        let end = self.ends.pop_front();
        let transfer = SandboxTransfer::new(env, order, end);
        self.transfers
            .insert(transfer.external_id.clone(), transfer.clone());
        Ok(transfer)
    }

    pub(super) fn by_external_id(&self, external_id: &str) -> Result<&SandboxTransfer, CustodianError> {
        self.transfers
            .get(external_id)
            .ok_or_else(CustodianError::not_found)
    }

    pub(super) fn by_id(&self, id: &str) -> Result<&SandboxTransfer, CustodianError> {
        self.transfers
            .values()
            .find(|transfer| transfer.id.to_string() == id)
            .ok_or_else(CustodianError::not_found)
    }

    pub(super) fn wallet(&self, vault: String, asset: String) -> Result<Value, CustodianError> {
        let wallet = (vault, asset);
        let balance = match self.balances.get(&wallet) {
            Some(Some(balance)) => balance,
            Some(None) => return Err(CustodianError::no_wallet()),
            None => PLENTY,
        };
        Ok(json!({
            "id": wallet.1, "total": balance, "available": balance,
            "pending": "0", "frozen": "0", "lockedAmount": "0",
        }))
    }

    /// The transfer as it is after a change; `None` if nothing changed.
    pub(super) fn change(
        &mut self,
        external_id: &str,
        change: impl FnOnce(&mut SandboxTransfer) -> bool,
    ) -> Option<SandboxTransfer> {
        let transfer = self.transfers.get_mut(external_id)?;
        change(transfer).then(|| transfer.clone())
    }
}

/// The answer to a transfer that was accepted.
pub(super) fn accepted(transfer: &SandboxTransfer) -> Value {
    json!({ "id": transfer.id, "status": transfer.status.as_str() })
}
