//! A payment provider that behaves as Stripe does, as far as POSX relies on it: rules S01 to S33 of semantics.md.

mod account;
mod book;
mod client;
mod connect;
mod dispute;
mod error;
mod http;
mod idempotency;
mod intent;
mod lines;
mod params;
mod payouts;
mod perform;
mod refund;
mod sign;
mod wire;

use std::fmt;
use std::sync::{Arc, Mutex};

use posx_kernel::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use account::SandboxLines;
pub use client::SandboxGateway;
pub use connect::{ConnectAccount, ConnectTransfer};
pub use dispute::{DisputeStatus, SandboxDispute};
pub use error::ApiError;
pub use intent::{IntentStatus, PaymentFailure, PaymentIntent};
pub use lines::SandboxLine;
pub use payouts::SandboxPayouts;
pub use refund::{RefundStatus, SandboxRefund};

use crate::env::{Env, lock};
use crate::line::Line;
use crate::webhooks::{Notice, RetryPolicy, Webhooks};
use book::{Book, Effect};
use intent::{Happened, LIVEMODE, Method};
use params::Metadata;
use refund::RefundRequest;
use sign::Signer;

pub(crate) use http::router;

/// The version that events say they are of.
pub const STRIPE_API_VERSION: &str = "2026-05-27.dahlia";

/// The kinds of its notices.
pub(crate) const EVENT_KINDS: [&str; 16] = [
    "payment_intent.created",
    "payment_intent.requires_action",
    "payment_intent.processing",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "transfer.created",
    "transfer.reversed",
];

/// The calls that can be counted and made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentCall {
    CreateIntent,
    RetrieveIntent,
    ListIntents,
    SearchIntents,
    CancelIntent,
    /// The browser's calls: confirm, and coming back from the bank.
    Confirm,
    CreateRefund,
    ListRefunds,
    RetrieveDispute,
    CreateAccount,
    RetrieveAccount,
    LinkAccount,
    CreateTransfer,
    RetrieveTransfer,
    ListTransfers,
    /// Of the balance.
    ListLines,
}

/// The payment provider, seen from behind its counter. A clone is a handle on the same.
#[derive(Clone)]
pub struct Payments {
    inner: Arc<Inner>,
}

impl fmt::Debug for Payments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payments").finish_non_exhaustive()
    }
}

struct Inner {
    env: Env,
    secret_key: String,
    line: Line<PaymentCall>,
    signer: Arc<Signer>,
    webhooks: Webhooks,
    book: Mutex<Book>,
}

impl Payments {
    pub(crate) fn new(
        env: Env,
        http: reqwest::Client,
        secret_key: String,
        webhook_secrets: Vec<String>,
        retry: RetryPolicy,
    ) -> Self {
        let signer = Arc::new(Signer::new(webhook_secrets));
        let webhooks = Webhooks::new(env.clone(), http, Arc::clone(&signer) as _, retry);
        let inner = Inner {
            env,
            secret_key,
            line: Line::new(),
            signer,
            webhooks,
            book: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub fn webhooks(&self) -> &Webhooks {
        &self.inner.webhooks
    }

    pub fn line(&self) -> &Line<PaymentCall> {
        &self.inner.line
    }

    /// In the order of their ids, which is no order of time.
    pub fn intents(&self) -> Vec<PaymentIntent> {
        lock(&self.inner.book).intents.values().cloned().collect()
    }

    pub fn intent(&self, id: &str) -> Option<PaymentIntent> {
        lock(&self.inner.book).intents.get(id).cloned()
    }

    /// Oldest first.
    pub fn refunds(&self) -> Vec<SandboxRefund> {
        lock(&self.inner.book).refunds.clone()
    }

    /// A buyer's try, as the browser makes it over HTTP. `method` is one of the provider's test methods:
    /// `pm_card_visa`, `pm_card_chargeDeclined`, `pm_card_threeDSecure2Required`, `pm_bank_debit`, ….
    pub fn confirm(&self, intent: &str, method: &str) -> Result<PaymentIntent, ApiError> {
        self.act(intent, |book, env| book.confirm(env, intent, method))
    }

    /// The buyer comes back from 3-D Secure.
    pub fn complete_action(&self, intent: &str, succeeded: bool) -> Result<PaymentIntent, ApiError> {
        self.act(intent, |book, env| book.authenticate(env, intent, succeeded))
    }

    /// The bank settles or returns the debit of an intent that is processing.
    pub fn settle(&self, intent: &str, succeeded: bool) -> Result<PaymentIntent, ApiError> {
        self.act(intent, |book, env| {
            book.change(intent, |intent| intent.settle(env, succeeded))
        })
    }

    /// Makes an intent succeed with an amount of the test's choice, in its currency's minor units: also a wrong one.
    pub fn receive(&self, intent: &str, minor: i64) -> Result<PaymentIntent, ApiError> {
        self.act(intent, |book, env| {
            book.change(intent, |intent| intent.receive(env, minor))
        })
    }

    /// The next `cards` that would be accepted are declined.
    pub fn decline_next(&self, cards: usize) {
        lock(&self.inner.book).declines = cards;
    }

    /// From now on new refunds are pending until [`settle_refund`](Self::settle_refund).
    pub fn keep_refunds_pending(&self, pending: bool) {
        lock(&self.inner.book).refunds_stay_pending = pending;
    }

    /// What became of a refund; also one that had succeeded may fail.
    pub fn settle_refund(&self, refund: &str, status: RefundStatus) -> Result<(), ApiError> {
        self.apply(|book, _| book.settle_refund(refund, status)).map(drop)
    }

    /// Oldest first.
    pub fn disputes(&self) -> Vec<SandboxDispute> {
        lock(&self.inner.book).disputes.clone()
    }

    /// Somebody refunds at the provider's dashboard: all that is left if no amount is said. Its id.
    pub fn refund_by_hand(&self, intent: &str, minor: Option<i64>) -> Result<String, ApiError> {
        let request = RefundRequest {
            intent: intent.to_owned(),
            amount: minor,
            metadata: Metadata::new(),
        };
        self.id_of(|book, env| book.refund(env, request))
    }

    /// The buyer's bank disputes the payment, or asks about it; of all of it if no amount is said. Its id. No money moves yet.
    pub fn open_dispute(
        &self,
        intent: &str,
        minor: Option<i64>,
        status: DisputeStatus,
    ) -> Result<String, ApiError> {
        self.id_of(|book, env| book.open_dispute(env, intent, minor, status))
    }

    pub fn decide_dispute(&self, dispute: &str, status: DisputeStatus) -> Result<(), ApiError> {
        self.change_dispute(dispute, |_, dispute| dispute.decide(status))
    }

    /// Takes the disputed amount away, and a fee besides.
    pub fn withdraw_funds(&self, dispute: &str, fee_minor: i64) -> Result<(), ApiError> {
        self.change_dispute(dispute, |env, dispute| dispute.move_funds(env, true, fee_minor))
    }

    /// Gives the disputed amount back, and so much of the fee.
    pub fn reinstate_funds(&self, dispute: &str, fee_minor: i64) -> Result<(), ApiError> {
        self.change_dispute(dispute, |env, dispute| dispute.move_funds(env, false, -fee_minor))
    }

    /// Until when evidence is taken.
    pub fn evidence_due(&self, dispute: &str, due_by: Timestamp) -> Result<(), ApiError> {
        self.change_dispute(dispute, |_, dispute| {
            dispute.evidence_due_by = due_by;
            dispute.decide(dispute.status)
        })
    }

    /// The secrets that webhooks are signed with from now on; two during a rotation.
    pub fn set_webhook_secrets(&self, secrets: Vec<String>) {
        self.inner.signer.set_secrets(secrets);
    }

    /// The line, the deliveries, cards and refunds are as at the start. What happened stays.
    pub fn repair(&self) {
        self.inner.line.repair();
        self.inner.webhooks.repair();
        self.decline_next(0);
        self.set_short_of_balance(false);
        self.keep_refunds_pending(false);
    }

    pub(crate) fn knows_method(name: &str) -> bool {
        Method::from_name(name).is_some()
    }

    /// How many of the next cards are declined.
    pub(crate) fn declines(&self) -> usize {
        lock(&self.inner.book).declines
    }

    pub(crate) fn refunds_stay_pending(&self) -> bool {
        lock(&self.inner.book).refunds_stay_pending
    }

    fn change_dispute(
        &self,
        id: &str,
        change: impl FnOnce(&Env, &mut SandboxDispute) -> Happened,
    ) -> Result<(), ApiError> {
        self.apply(|book, env| book.change_dispute(id, |dispute| change(env, dispute)))
            .map(drop)
    }

    fn id_of(&self, effect: impl FnOnce(&mut Book, &Env) -> Effect) -> Result<String, ApiError> {
        let made = self.apply(effect)?;
        Ok(made["id"].as_str().unwrap_or_default().to_owned())
    }

    fn act(
        &self,
        intent: &str,
        effect: impl FnOnce(&mut Book, &Env) -> Effect,
    ) -> Result<PaymentIntent, ApiError> {
        self.apply(effect)?;
        self.intent(intent)
            .ok_or_else(|| ApiError::not_found("payment_intent", intent))
    }

    fn apply(&self, effect: impl FnOnce(&mut Book, &Env) -> Effect) -> Result<Value, ApiError> {
        let (answer, happened) = self.take_effect(effect);
        self.emit(happened, None);
        answer
    }

    /// The book and its balance change together.
    fn take_effect(&self, effect: impl FnOnce(&mut Book, &Env) -> Effect) -> Effect {
        let mut book = lock(&self.inner.book);
        let (answer, happened) = effect(&mut book, &self.inner.env);
        book.keep_lines(&self.inner.env, &happened);
        (answer, happened)
    }

    fn emit(&self, happened: Vec<Happened>, idempotency_key: Option<&str>) {
        let notices = happened
            .into_iter()
            .map(|(kind, object)| self.notice(kind, &object, idempotency_key))
            .collect();
        self.inner.webhooks.emit(notices);
    }

    fn notice(&self, kind: &'static str, object: &Value, idempotency_key: Option<&str>) -> Notice {
        debug_assert!(EVENT_KINDS.contains(&kind), "{kind} is not listed");
        let id = self.inner.env.stripe_id("evt");
        let resource = object["id"].as_str().unwrap_or_default().to_owned();
        let event = json!({
            "id": id,
            "object": "event",
            "api_version": STRIPE_API_VERSION,
            "created": self.inner.env.now().timestamp(),
            "data": { "object": object },
            "livemode": LIVEMODE,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": idempotency_key },
            "type": kind,
        });
        Notice {
            id,
            kind: kind.to_owned(),
            resource,
            body: event.to_string().into_bytes().into(),
        }
    }
}
