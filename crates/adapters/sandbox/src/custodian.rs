//! A custodian of tokens that behaves as Fireblocks does, as far as POSX relies on it: rules F04 to F25 of semantics.md
//! as they apply to single transfers. Requests are known by their API key alone: F01's signed requests are not asked for.

mod book;
mod client;
mod error;
mod http;
mod lines;
mod sign;
mod transfer;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

pub use client::SandboxCustody;
pub use error::CustodianError;
pub use transfer::{End, SandboxTransfer, TransferStatus};

use crate::env::{Env, lock};
use crate::keys::{KeyError, KeyRing, OldKeys};
use crate::line::Line;
use crate::webhooks::{Notice, RetryPolicy, Webhooks};
use book::Book;
use sign::Signer;

pub(crate) use http::router;

/// The kinds of its notices.
pub(crate) const EVENT_KINDS: [&str; 2] = ["transaction.created", "transaction.status.updated"];

/// The calls that can be counted and made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustodyCall {
    Submit,
    /// By either id.
    Find,
    Cancel,
    /// What a vault holds.
    Balance,
    List,
    /// Of its webhooks' signatures. It is served from elsewhere: it knows faults, but is neither down nor slow with the
    /// custodian.
    KeySet,
}

/// What moves transfers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// Each step follows the one before after this much real time.
    Automatic { step: Duration },
    /// Only [`Custodian::advance`], [`Custodian::settle_all`] and [`Custodian::end`].
    Manual,
}

/// The custodian, seen from behind its counter. A clone is a handle on the same.
#[derive(Clone)]
pub struct Custodian {
    inner: Arc<Inner>,
}

impl fmt::Debug for Custodian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custodian").finish_non_exhaustive()
    }
}

struct Inner {
    env: Env,
    api_key: String,
    line: Line<CustodyCall>,
    keys: Arc<KeyRing>,
    webhooks: Webhooks,
    webhook_id: Uuid,
    workspace_id: Uuid,
    drive: Mutex<Drive>,
    drive_at_start: Drive,
    book: Mutex<Book>,
}

impl Custodian {
    pub(crate) fn new(
        env: Env,
        http: reqwest::Client,
        api_key: String,
        keys: Arc<KeyRing>,
        drive: Drive,
        retry: RetryPolicy,
    ) -> Self {
        let signer = Arc::new(Signer {
            keys: Arc::clone(&keys),
        });
        let inner = Inner {
            webhooks: Webhooks::new(env.clone(), http, signer, retry),
            webhook_id: env.uuid(),
            workspace_id: env.uuid(),
            env,
            api_key,
            line: Line::new(),
            keys,
            drive: Mutex::new(drive),
            drive_at_start: drive,
            book: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub fn webhooks(&self) -> &Webhooks {
        &self.inner.webhooks
    }

    pub fn line(&self) -> &Line<CustodyCall> {
        &self.inner.line
    }

    /// For transfers that are accepted from now on.
    pub fn set_drive(&self, drive: Drive) {
        *lock(&self.inner.drive) = drive;
    }

    /// Every transfer there ever was, by external id. That nothing was sent twice is to be read off their addresses and
    /// amounts: an external id has one transfer by construction.
    pub fn transfers(&self) -> Vec<SandboxTransfer> {
        lock(&self.inner.book).transfers.values().cloned().collect()
    }

    pub fn transfer(&self, external_id: &str) -> Option<SandboxTransfer> {
        lock(&self.inner.book).transfers.get(external_id).cloned()
    }

    pub fn transfers_to(&self, address: &str) -> Vec<SandboxTransfer> {
        let mut found = self.transfers();
        found.retain(|transfer| transfer.to == address);
        found
    }

    /// What a vault can spend of an asset, in whole tokens; `None`: it has no wallet for it. Until this is said there is
    /// plenty of everything in every vault, and transfers take nothing from it.
    pub fn set_balance(&self, vault: &str, asset: &str, balance: Option<&str>) {
        let wallet = (vault.to_owned(), asset.to_owned());
        lock(&self.inner.book)
            .balances
            .insert(wallet, balance.map(str::to_owned));
    }

    /// One step of one transfer. `None` if it is not known or has ended.
    pub fn advance(&self, external_id: &str) -> Option<TransferStatus> {
        self.change(external_id, SandboxTransfer::advance)
    }

    /// Every transfer goes to its end, step by step.
    pub fn settle_all(&self) {
        for transfer in self.transfers() {
            while self.advance(&transfer.external_id).is_some() {}
        }
    }

    /// Ends a transfer now. `None` if it is not known, has ended, or is too far on its way to end like this.
    pub fn end(&self, external_id: &str, end: End) -> Option<TransferStatus> {
        self.change(external_id, |transfer, env| transfer.end(env, end))
    }

    /// The next `transfers` that are accepted will go their way and end like this.
    pub fn end_next(&self, end: End, transfers: usize) {
        lock(&self.inner.book)
            .ends
            .extend(std::iter::repeat_n(end, transfers));
    }

    /// Webhooks are signed with a new key from now on. Making it takes some tenths of a second.
    pub async fn rotate_key(&self, old: OldKeys) -> Result<(), KeyError> {
        let keys = Arc::clone(&self.inner.keys);
        tokio::task::spawn_blocking(move || keys.rotate(old))
            .await
            .map_err(|_| KeyError::Generate)?
    }

    /// The line, the deliveries, the drive, what the next transfers come to and what vaults hold are as at the start.
    /// What happened stays; what stood still moves on.
    pub fn repair(&self) {
        self.inner.line.repair();
        self.inner.webhooks.repair();
        {
            let mut book = lock(&self.inner.book);
            book.ends.clear();
            book.balances.clear();
        }
        let start = self.inner.drive_at_start;
        let stood_still = std::mem::replace(&mut *lock(&self.inner.drive), start) == Drive::Manual;
        if stood_still {
            for transfer in self.transfers() {
                self.drive_on(transfer.external_id);
            }
        }
    }

    pub(crate) fn key_ids(&self) -> Vec<String> {
        self.inner.keys.ids()
    }

    pub(crate) fn drive(&self) -> Drive {
        *lock(&self.inner.drive)
    }

    /// How the next transfers end.
    pub(crate) fn planned_ends(&self) -> Vec<End> {
        lock(&self.inner.book).ends.iter().copied().collect()
    }

    fn change(
        &self,
        external_id: &str,
        change: impl FnOnce(&mut SandboxTransfer, &Env) -> bool,
    ) -> Option<TransferStatus> {
        let env = &self.inner.env;
        let changed = lock(&self.inner.book).change(external_id, |transfer| change(transfer, env))?;
        self.emit("transaction.status.updated", &changed);
        Some(changed.status)
    }

    /// A transfer that was just accepted begins its way.
    fn begin(&self, transfer: &SandboxTransfer) {
        self.emit("transaction.created", transfer);
        self.drive_on(transfer.external_id.clone());
    }

    /// To its end, if transfers move by themselves.
    fn drive_on(&self, external_id: String) {
        let Drive::Automatic { step } = self.drive() else {
            return;
        };
        let this = self.clone();
        self.inner.env.tasks.spawn(async move {
            loop {
                tokio::time::sleep(step).await;
                if this.advance(&external_id).is_none() {
                    return;
                }
            }
        });
    }

    fn emit(&self, kind: &str, transfer: &SandboxTransfer) {
        debug_assert!(EVENT_KINDS.contains(&kind), "{kind} is not listed");
        let inner = &self.inner;
        let id = inner.env.uuid().to_string();
        let event = json!({
            "id": id,
            "resourceId": transfer.id,
            "webhookId": inner.webhook_id,
            "workspaceId": inner.workspace_id,
            "eventType": kind,
            "eventVersion": 1,
            "createdAt": inner.env.now().timestamp_millis(),
            "data": transfer.json(),
        });
        inner.webhooks.emit(vec![Notice {
            id,
            kind: kind.to_owned(),
            resource: transfer.id.to_string(),
            body: event.to_string().into_bytes().into(),
        }]);
    }
}
