//! A payment provider in memory: keys, intents, refunds, lost answers and stored failures, on the run's clock.

mod cards;
mod returns;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use posx_kernel::{PaymentAttemptId, RefundId, SiteId};
use posx_orders::gateway::{
    CancelOutcome, CreateIntent, CreateRefund, GatewayError, Intent, IntentId, IntentState, PaymentGateway,
    ProviderDispute, ProviderRefund,
};

pub(crate) use self::cards::CardDoes;
use crate::bugs::Bug;
use crate::env::Env;
use crate::faults::Fault;
use crate::sim::{DAY, Millis};
use crate::webhooks::Sender;

/// What was answered under a key, until the key expires.
#[derive(Debug, Clone)]
enum Stored {
    Made(String),
    Failure,
}

#[derive(Debug, Default)]
struct Books {
    intents: BTreeMap<String, Intent>,
    refunds: BTreeMap<String, (IntentId, ProviderRefund)>,
    keys: BTreeMap<String, (Millis, Stored)>,
    disputes: BTreeMap<String, ProviderDispute>,
    /// Intents of which it once said that it has no such thing.
    denied: BTreeSet<String>,
    /// Refunds whose way has begun.
    under_way: BTreeSet<String>,
    last: u64,
}

impl Books {
    fn next(&mut self, prefix: &str) -> String {
        self.last += 1;
        format!("{prefix}_{}", self.last)
    }
}

/// Keys are kept for a day.
const KEY_KEPT: Millis = DAY;

#[derive(Clone)]
pub(crate) struct Payments {
    env: Arc<Env>,
    sender: Sender,
    books: Arc<Mutex<Books>>,
}

impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Payments")
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Good,
    LostThere,
    LostBack,
    /// 500, stored under the request's key.
    Failure {
        effect: bool,
    },
}

fn lost() -> GatewayError {
    GatewayError::Unknown("the connection was lost".into())
}

impl Payments {
    pub(crate) fn new(env: &Arc<Env>, sender: Sender) -> Self {
        Self {
            env: Arc::clone(env),
            sender,
            books: Arc::default(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn intents(&self) -> Vec<Intent> {
        self.books().intents.values().cloned().collect()
    }

    pub(crate) fn was_denied(&self, intent: &IntentId) -> bool {
        self.books().denied.contains(&intent.0)
    }

    pub(crate) fn all_refunds(&self) -> Vec<(IntentId, ProviderRefund)> {
        self.books().refunds.values().cloned().collect()
    }

    pub(crate) fn all_disputes(&self) -> Vec<ProviderDispute> {
        self.books().disputes.values().cloned().collect()
    }

    async fn line(&self, call: &'static str) -> Line {
        let sim = &self.env.sim;
        sim.step(call).await;
        sim.sleep(sim.between(20, 400)).await;
        if self.env.strikes(Fault::LostAnswers, 8) {
            *sim.pick(&[Line::LostThere, Line::LostBack])
        } else if self.env.strikes(Fault::StoredFailures, 10) {
            Line::Failure {
                effect: sim.one_in(2),
            }
        } else {
            Line::Good
        }
    }

    /// On the way back.
    async fn answer<T: Send>(&self, line: Line, answer: T) -> Result<T, GatewayError> {
        let sim = &self.env.sim;
        sim.step("answer").await;
        if line == Line::Good {
            return Ok(answer);
        }
        sim.note(|| format!("the provider's answer: {line:?}"));
        Err(self.timed_out())
    }

    fn timed_out(&self) -> GatewayError {
        if self.env.planted(Bug::TimeoutTakenAsRefusal) {
            return GatewayError::Refused {
                code: "timeout".to_owned(),
            };
        }
        lost()
    }

    /// What the key has stored, if it has not expired.
    fn stored(&self, key: &str) -> Option<Stored> {
        let (now, mut books) = (self.env.sim.now(), self.books());
        let (at, stored) = books.keys.get(key).cloned()?;
        if now - at >= KEY_KEPT {
            books.keys.remove(key);
            return None;
        }
        Some(stored)
    }

    fn store(&self, key: &str, stored: Stored) {
        let now = self.env.sim.now();
        self.books().keys.insert(key.to_owned(), (now, stored));
    }

    /// A driver's key: by our own id, unless it is a bad driver.
    fn key(&self, ours: String, bad: Bug) -> String {
        if self.env.planted(bad) {
            return self.books().next("key");
        }
        ours
    }

    /// The body of a call under a key: what was answered is answered again.
    fn under_key(
        &self,
        key: &str,
        line: Line,
        make: impl FnOnce(&mut Books) -> String,
    ) -> Result<String, Line> {
        match self.stored(key) {
            Some(Stored::Made(id)) => return Ok(id),
            Some(Stored::Failure) => return Err(Line::Failure { effect: false }),
            None => {}
        }
        match line {
            Line::LostThere => Err(line),
            Line::Failure { effect } => {
                if effect {
                    make(&mut self.books());
                }
                self.store(key, Stored::Failure);
                Err(line)
            }
            Line::Good | Line::LostBack => {
                let id = make(&mut self.books());
                self.store(key, Stored::Made(id.clone()));
                Ok(id)
            }
        }
    }

    fn shown(&self, mut intent: Intent) -> Intent {
        if self.env.planted(Bug::ProcessingTakenAsPaid) && intent.state == IntentState::Processing {
            let received = intent.amount;
            intent.state = IntentState::Succeeded { received };
        }
        if self.env.planted(Bug::AmountNotCompared)
            && let IntentState::Succeeded { received } = &mut intent.state
        {
            *received = intent.amount;
        }
        intent
    }
}

#[async_trait]
impl PaymentGateway for Payments {
    fn provider(&self) -> &'static str {
        "simulated"
    }

    async fn create_intent(&self, request: &CreateIntent) -> Result<Intent, GatewayError> {
        let line = self.line("payments.create_intent").await;
        let key = self.key(format!("intent:{}", request.attempt), Bug::NewKeyEachCall);
        let made = self.under_key(&key, line, |books| {
            let id = books.next("pi");
            let intent = Intent {
                id: IntentId(id.clone()),
                attempt: Some(request.attempt),
                amount: request.amount,
                state: IntentState::RequiresPaymentMethod { last_decline: None },
                client_secret: format!("{id}_secret"),
                livemode: false,
            };
            books.intents.insert(id.clone(), intent);
            id
        });
        match made {
            Err(line) => Err(self.answer(line, ()).await.err().unwrap_or_else(lost)),
            Ok(id) => {
                let found = self.books().intents.get(&id).cloned();
                let intent = found.ok_or_else(lost)?;
                self.answer(line, self.shown(intent)).await
            }
        }
    }

    async fn intent(&self, _: SiteId, id: &IntentId) -> Result<Option<Intent>, GatewayError> {
        let line = self.line("payments.intent").await;
        let found = self.books().intents.get(&id.0).cloned();
        self.answer(line, found.map(|intent| self.shown(intent))).await
    }

    async fn intent_of_attempt(
        &self,
        _: SiteId,
        attempt: PaymentAttemptId,
    ) -> Result<Option<Intent>, GatewayError> {
        let line = self.line("payments.intent_of_attempt").await;
        if self.env.planted(Bug::NewKeyEachCall) {
            // Who makes new keys does not look up either.
            return self.answer(line, None).await;
        }
        let of_attempt = |intent: &&Intent| intent.attempt == Some(attempt);
        let found = self.books().intents.values().find(of_attempt).cloned();
        self.answer(line, found.map(|intent| self.shown(intent))).await
    }

    async fn cancel_intent(&self, _: SiteId, id: &IntentId) -> Result<CancelOutcome, GatewayError> {
        if self.env.planted(Bug::IntentNotCancelled) {
            return Ok(CancelOutcome::Cancelled);
        }
        let line = self.line("payments.cancel_intent").await;
        if line == Line::LostThere {
            return self.answer(line, CancelOutcome::Cancelled).await;
        }
        if self.env.strikes(Fault::WrongKeys, 3) {
            self.books().denied.insert(id.0.clone());
            return self.answer(line, CancelOutcome::NoSuchIntent).await;
        }
        let Some(intent) = self.books().intents.get(&id.0).cloned() else {
            return self.answer(line, CancelOutcome::NoSuchIntent).await;
        };
        let outcome = match intent.state {
            IntentState::Succeeded { .. } | IntentState::Processing => {
                CancelOutcome::NotCancellable(self.shown(intent))
            }
            _ => {
                self.set(id, IntentState::Cancelled);
                CancelOutcome::Cancelled
            }
        };
        self.answer(line, outcome).await
    }

    async fn create_refund(&self, request: &CreateRefund) -> Result<ProviderRefund, GatewayError> {
        let line = self.line("payments.create_refund").await;
        let made = self.make_refund(request, line)?;
        match made {
            Err(line) => Err(self.answer(line, ()).await.err().unwrap_or_else(lost)),
            Ok(refund) => self.answer(line, self.shown_refund(refund)).await,
        }
    }

    async fn refund(
        &self,
        _: SiteId,
        _: &IntentId,
        refund: RefundId,
    ) -> Result<Option<ProviderRefund>, GatewayError> {
        let line = self.line("payments.refund").await;
        if self.env.planted(Bug::RefundSentAgain) {
            return self.answer(line, None).await;
        }
        let ours = |(_, made): &&(IntentId, ProviderRefund)| made.refund == Some(refund);
        let found = self
            .books()
            .refunds
            .values()
            .find(ours)
            .map(|(_, made)| made.clone());
        self.answer(line, found.map(|refund| self.shown_refund(refund)))
            .await
    }

    async fn refunds(&self, _: SiteId, intent: &IntentId) -> Result<Vec<ProviderRefund>, GatewayError> {
        let line = self.line("payments.refunds").await;
        let refunds = self.refunds_of(intent);
        self.answer(line, refunds).await
    }

    async fn dispute(&self, _: SiteId, id: &str) -> Result<Option<ProviderDispute>, GatewayError> {
        let line = self.line("payments.dispute").await;
        let found = self.books().disputes.get(id).cloned();
        self.answer(line, found).await
    }
}
