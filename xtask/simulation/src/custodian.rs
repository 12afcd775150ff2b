//! A custodian in memory: external ids that are unique for ever, transfers that move by themselves, and what is on chain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_allocations::CustodyAsset;
use posx_allocations::custody::{Custody, CustodyError, ExternalId, Transfer, TransferRequest};
use posx_kernel::{SiteId, TokenAmount};

use crate::bugs::Bug;
use crate::env::Env;
use crate::faults::Fault;
use crate::sim::{MINUTE, SECOND};
use crate::webhooks::{Notice, Sender};

/// How a transfer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Delivered,
    /// `COMPLETED`, and yet not delivered.
    CompletedButRejected,
    FailedBeforeChain,
    /// It failed for the custodian, and the chain has it.
    FailedOnChain,
    Rejected,
}

#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// As it was asked for.
    pub(crate) request: TransferRequest,
    pub(crate) transfer: Transfer,
    pub(crate) on_chain: bool,
    end: End,
}

#[derive(Debug, Default)]
struct Book {
    /// By external id.
    sent: BTreeMap<String, Sent>,
    last: u64,
}

#[derive(Clone)]
pub(crate) struct Custodian {
    env: Arc<Env>,
    sender: Sender,
    book: Arc<Mutex<Book>>,
}

impl std::fmt::Debug for Custodian {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Custodian")
    }
}

fn lost() -> CustodyError {
    CustodyError::Unknown("the connection was lost".into())
}

impl Custodian {
    pub(crate) fn new(env: &Arc<Env>, sender: Sender) -> Self {
        Self {
            env: Arc::clone(env),
            sender,
            book: Arc::default(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.book().sent.values().cloned().collect()
    }

    async fn arrives(&self, call: &'static str) -> bool {
        let sim = &self.env.sim;
        sim.step(call).await;
        sim.sleep(sim.between(20, 400)).await;
        !self.env.strikes(Fault::LostAnswers, 10)
    }

    async fn returns(&self) -> bool {
        self.env.sim.step("answer").await;
        !self.env.strikes(Fault::LostAnswers, 6)
    }

    /// `None`: the external id is taken.
    fn make(&self, request: &TransferRequest) -> Option<Transfer> {
        let sim = &self.env.sim;
        let end = if self.env.strikes(Fault::FailingTransfers, 2) {
            *sim.pick(&[
                End::CompletedButRejected,
                End::FailedBeforeChain,
                End::FailedOnChain,
                End::Rejected,
            ])
        } else {
            End::Delivered
        };
        let mut book = self.book();
        if book.sent.contains_key(&request.external_id.0) {
            return None;
        }
        book.last += 1;
        let transfer = Transfer {
            provider_id: format!("tx_{}", book.last),
            external_id: Some(request.external_id.clone()),
            status: "SUBMITTED".to_owned(),
            sub_status: None,
            tx_hash: None,
            confirmations: 0,
        };
        let sent = Sent {
            request: request.clone(),
            transfer: transfer.clone(),
            on_chain: false,
            end,
        };
        book.sent.insert(request.external_id.0.clone(), sent);
        drop(book);
        sim.note(|| format!("{} becomes a transfer", request.external_id));
        let (custodian, id) = (self.clone(), request.external_id.0.clone());
        sim.spawn(
            format!("transfer {id}"),
            async move { custodian.moves(&id).await },
        );
        Some(transfer)
    }

    /// The way of one transfer.
    async fn moves(&self, id: &str) {
        let sim = Arc::clone(&self.env.sim);
        let Some(end) = self.book().sent.get(id).map(|sent| sent.end) else {
            return;
        };
        self.reports(id, "SUBMITTED", |_| {});
        let odd = self.env.strikes(Fault::FailingTransfers, 3);
        let early: &[&str] = match (end, odd) {
            (End::Rejected, _) => &["PENDING_AML_SCREENING"],
            (_, true) => &["PENDING_AUTHORIZATION", "TIMEOUT", "QUEUED"],
            (_, false) => &["PENDING_SIGNATURE"],
        };
        for word in early {
            sim.lag(SECOND, 4 * MINUTE).await;
            self.reports(id, word, |_| {});
        }
        sim.lag(SECOND, 4 * MINUTE).await;
        if matches!(end, End::Rejected | End::FailedBeforeChain) {
            let (word, sub_status) = match end {
                End::Rejected => ("REJECTED", "REJECTED_AML_SCREENING"),
                _ => ("FAILED", "INSUFFICIENT_FUNDS"),
            };
            self.reports(id, word, |sent| {
                sent.transfer.sub_status = Some(sub_status.to_owned());
            });
            return;
        }
        self.reports(id, "BROADCASTING", |_| {});
        sim.lag(SECOND, MINUTE).await;
        self.reports(id, "CONFIRMING", |sent| {
            sent.transfer.tx_hash = Some(format!("0x{}", sent.transfer.provider_id));
            sent.transfer.confirmations = 1;
            sent.on_chain = sent.end != End::CompletedButRejected;
        });
        sim.lag(SECOND, MINUTE).await;
        let (word, sub_status) = match end {
            End::CompletedButRejected => ("COMPLETED", Some("COMPLETED_BUT_3RD_PARTY_REJECTED")),
            End::FailedOnChain => ("FAILED", Some("DROPPED_BY_BLOCKCHAIN")),
            _ => ("COMPLETED", None),
        };
        self.reports(id, word, |sent| {
            sent.transfer.sub_status = sub_status.map(str::to_owned);
            sent.transfer.confirmations = 12;
        });
    }

    fn reports(&self, id: &str, word: &str, change: impl FnOnce(&mut Sent)) {
        let mut book = self.book();
        let Some(sent) = book.sent.get_mut(id) else { return };
        word.clone_into(&mut sent.transfer.status);
        change(sent);
        let transfer = sent.transfer.clone();
        drop(book);
        self.env.sim.note(|| format!("{id} is {word}"));
        self.sender.tell(&Notice::Transfer(transfer));
    }

    /// What a driver makes of the custodian's words.
    pub(crate) fn read(&self, mut transfer: Transfer) -> Transfer {
        let env = &self.env;
        if env.planted(Bug::RejectedTakenAsDelivered) && transfer.status == "COMPLETED" {
            transfer.sub_status = None;
        }
        if env.planted(Bug::UnknownWordTakenAsFailure) && transfer.status == "TIMEOUT" {
            "FAILED".clone_into(&mut transfer.status);
        }
        if env.planted(Bug::HashDropped) && transfer.status == "FAILED" {
            transfer.tx_hash = None;
        }
        transfer
    }
}

#[async_trait]
impl Custody for Custodian {
    fn provider(&self) -> &'static str {
        "simulated"
    }

    fn moves_real_tokens(&self) -> bool {
        false
    }

    async fn submit(&self, request: &TransferRequest) -> Result<Transfer, CustodyError> {
        let env = &self.env;
        let timed_out = || {
            if env.planted(Bug::SubmitTimeoutTakenAsRefusal) {
                let code = "timeout".to_owned();
                return CustodyError::Refused { code };
            }
            lost()
        };
        if !self.arrives("custody.submit").await {
            return Err(timed_out());
        }
        let mut request = request.clone();
        if env.planted(Bug::NewExternalIdEachCall) {
            let number = self.book().sent.len();
            request.external_id = ExternalId(format!("{}x{number}", request.external_id));
        }
        let made = self.make(&request);
        if !self.returns().await {
            return Err(timed_out());
        }
        made.map(|transfer| self.read(transfer))
            .ok_or(CustodyError::Duplicate)
    }

    async fn find(&self, _: SiteId, external_id: &ExternalId) -> Result<Option<Transfer>, CustodyError> {
        if !self.arrives("custody.find").await {
            return Err(lost());
        }
        let found = self
            .book()
            .sent
            .get(&external_id.0)
            .map(|sent| sent.transfer.clone());
        if !self.returns().await {
            return Err(lost());
        }
        Ok(found.map(|transfer| self.read(transfer)))
    }

    async fn available(&self, _: SiteId, _: &CustodyAsset) -> Result<Option<TokenAmount>, CustodyError> {
        if self.arrives("custody.available").await {
            Ok(Some(TokenAmount::MAX))
        } else {
            Err(lost())
        }
    }
}
