//! Delivering webhooks: signed at each try, tried again with back-off, and, when a plan says so, twice, late, out of
//! order or not at all.

mod plan;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posx_kernel::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

pub use plan::{DeliveryPlan, RetryPolicy};

use crate::env::{Env, lock};

/// Notices and deliveries that are remembered; the oldest go first.
const REMEMBERED_MAX: usize = 20_000;
const TIMEOUT: Duration = Duration::from_secs(5);

/// One event, as its receiver will read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The event's id, by which a receiver knows a repetition.
    pub id: String,
    /// `payment_intent.succeeded`, `transaction.status.updated`, …
    pub kind: String,
    /// The id of the object that it is about.
    pub resource: String,
    /// The exact bytes that are signed.
    pub body: Arc<[u8]>,
}

/// One try to deliver one notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub notice: String,
    pub kind: String,
    /// When, by the world's clock.
    pub at: Timestamp,
    /// From 1.
    pub attempt: u32,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The receiver's HTTP status.
    Answered(u16),
    /// No connection, or no answer in time.
    Unreachable,
    /// The plan says that this kind is never sent.
    Dropped,
}

impl Outcome {
    const fn is_accepted(self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }
}

/// Makes a provider's signature headers over the bytes that are sent.
pub(crate) trait Sign: Send + Sync {
    fn headers(&self, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)>;
    /// Whether the provider tries again after this status.
    fn retries(&self, status: u16) -> bool;
}

/// The webhooks of one provider. A clone is a handle on the same.
///
/// Notices of one happening are sent one after the other; those of two happenings may overtake each other. For a certain
/// order, [`hold`](Self::hold) and [`release`](Self::release).
#[derive(Clone)]
pub struct Webhooks {
    inner: Arc<Inner>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").finish_non_exhaustive()
    }
}

struct Inner {
    env: Env,
    http: reqwest::Client,
    sign: Arc<dyn Sign>,
    retry: RetryPolicy,
    state: Mutex<State>,
    /// Batches that are being delivered.
    under_way: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    address: Option<String>,
    holding: bool,
    plan: DeliveryPlan,
    held: Vec<Notice>,
    notices: VecDeque<Notice>,
    deliveries: VecDeque<Delivery>,
}

impl Webhooks {
    pub(crate) fn new(env: Env, http: reqwest::Client, sign: Arc<dyn Sign>, retry: RetryPolicy) -> Self {
        let inner = Inner {
            env,
            http,
            sign,
            retry,
            state: Mutex::default(),
            under_way: watch::Sender::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Where everything is delivered from now on, the next try of what is under way included. Until there is an
    /// address, notices are held.
    pub fn deliver_to(&self, url: impl Into<String>) {
        let waiting = {
            let mut state = self.state();
            state.address = Some(url.into());
            if state.holding {
                Vec::new()
            } else {
                std::mem::take(&mut state.held)
            }
        };
        self.start(waiting);
    }

    /// For what happens from now on.
    pub fn plan(&self, plan: DeliveryPlan) {
        self.state().plan = plan;
    }

    /// From now on nothing is sent until [`release`](Self::release).
    pub fn hold(&self) {
        self.state().holding = true;
    }

    /// As if [`plan`](Self::plan) and [`hold`](Self::hold) had not been called: what was held is sent, as it happened.
    /// What waits for an address goes on waiting.
    pub fn repair(&self) {
        let waiting = {
            let mut state = self.state();
            state.plan = DeliveryPlan::default();
            state.holding = false;
            if state.address.is_some() {
                std::mem::take(&mut state.held)
            } else {
                Vec::new()
            }
        };
        self.start(waiting);
    }

    pub(crate) fn address(&self) -> Option<String> {
        self.state().address.clone()
    }

    pub(crate) fn is_holding(&self) -> bool {
        self.state().holding
    }

    pub(crate) fn current_plan(&self) -> DeliveryPlan {
        self.state().plan.clone()
    }

    /// What waits, in the order in which it happened.
    pub fn held(&self) -> Vec<Notice> {
        self.state().held.clone()
    }

    /// Ends the holding and sends what waited, one after the other, in the order that `arrange` gives: reversed,
    /// shuffled, with notices left out or repeated.
    pub fn release(&self, arrange: impl FnOnce(Vec<Notice>) -> Vec<Notice>) {
        let held = {
            let mut state = self.state();
            state.holding = false;
            std::mem::take(&mut state.held)
        };
        self.start(arrange(held));
    }

    /// Sends a notice once more, as a provider's "resend" does, whatever became of it. False if it is not remembered.
    pub fn resend(&self, notice: &str) -> bool {
        let found = self.notices().into_iter().find(|known| known.id == notice);
        let is_known = found.is_some();
        self.start(found.into_iter().collect());
        is_known
    }

    /// Everything that happened, oldest first, whether or not it was sent.
    pub fn notices(&self) -> Vec<Notice> {
        self.state().notices.iter().cloned().collect()
    }

    /// Every try, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.iter().cloned().collect()
    }

    /// Waits until nothing is under way: all sent, given up, dropped or held. False if that takes longer.
    pub async fn idle(&self, within: Duration) -> bool {
        let mut under_way = self.inner.under_way.subscribe();
        let none_left = under_way.wait_for(|batches| *batches == 0);
        matches!(tokio::time::timeout(within, none_left).await, Ok(Ok(_)))
    }

    /// Notices of one thing that happened, in their true order.
    pub(crate) fn emit(&self, batch: Vec<Notice>) {
        let now = self.inner.env.now();
        let (batch, plan) = {
            let mut state = self.state();
            state.remember(&batch);
            let plan = state.plan.clone();
            let (dropped, kept): (Vec<_>, Vec<_>) =
                batch.into_iter().partition(|notice| plan.drops(&notice.kind));
            for notice in &dropped {
                state.log(delivery(notice, now, 0, Outcome::Dropped));
            }
            if state.holding || state.address.is_none() {
                state.held.extend(kept);
                return;
            }
            (plan.in_order(kept), plan)
        };
        self.start_planned(batch, &plan);
    }

    fn start(&self, batch: Vec<Notice>) {
        let plan = self.state().plan.clone();
        self.start_planned(batch, &plan);
    }

    fn start_planned(&self, batch: Vec<Notice>, plan: &DeliveryPlan) {
        if batch.is_empty() {
            return;
        }
        let under_way = UnderWay::begin(Arc::clone(&self.inner));
        let (delay, copies) = (plan.delay, plan.copies.max(1));
        self.inner.env.tasks.spawn(async move {
            tokio::time::sleep(delay).await;
            for notice in &batch {
                for _ in 0..copies {
                    under_way.inner.deliver(notice).await;
                }
            }
        });
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        lock(&self.inner.state)
    }
}

/// Counts a batch for as long as its task lives.
struct UnderWay {
    inner: Arc<Inner>,
}

impl UnderWay {
    fn begin(inner: Arc<Inner>) -> Self {
        inner.under_way.send_modify(|batches| *batches += 1);
        Self { inner }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.inner
            .under_way
            .send_modify(|batches| *batches = batches.saturating_sub(1));
    }
}

impl Inner {
    /// Until it is accepted, refused for good, or the tries are used up.
    async fn deliver(&self, notice: &Notice) {
        for attempt in 1..=self.retry.attempts_max {
            let outcome = self.send(notice).await;
            let at = self.env.now();
            lock(&self.state).log(delivery(notice, at, attempt, outcome));
            if outcome.is_accepted() {
                return;
            }
            if !self.is_retried(outcome) {
                break;
            }
            if attempt < self.retry.attempts_max {
                tokio::time::sleep(self.retry.pause_after(attempt)).await;
            }
        }
        tracing::warn!(notice = notice.id, kind = notice.kind, "a webhook was given up");
    }

    fn is_retried(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Answered(status) => self.sign.retries(status),
            Outcome::Unreachable => true,
            Outcome::Dropped => false,
        }
    }

    async fn send(&self, notice: &Notice) -> Outcome {
        let Some(address) = lock(&self.state).address.clone() else {
            return Outcome::Unreachable;
        };
        let mut request = self.http.post(address).timeout(TIMEOUT);
        for (name, value) in self.sign.headers(&notice.body, self.env.now()) {
            request = request.header(name, value);
        }
        let request = request
            .header("content-type", "application/json")
            .body(notice.body.to_vec());
        request.send().await.map_or(Outcome::Unreachable, |answer| {
            Outcome::Answered(answer.status().as_u16())
        })
    }
}

impl State {
    fn remember(&mut self, batch: &[Notice]) {
        self.notices.extend(batch.iter().cloned());
        let excess = self.notices.len().saturating_sub(REMEMBERED_MAX);
        self.notices.drain(..excess);
    }

    fn log(&mut self, delivery: Delivery) {
        if self.deliveries.len() == REMEMBERED_MAX {
            self.deliveries.pop_front();
        }
        self.deliveries.push_back(delivery);
    }
}

fn delivery(notice: &Notice, at: Timestamp, attempt: u32, outcome: Outcome) -> Delivery {
    Delivery {
        notice: notice.id.clone(),
        kind: notice.kind.clone(),
        at,
        attempt,
        outcome,
    }
}
