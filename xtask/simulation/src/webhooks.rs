//! What providers tell us, how it gets lost on the way, and our inbox.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use posx_allocations::custody::Transfer;
use posx_kernel::SiteId;
use posx_orders::gateway::{Intent, IntentId};
use serde_json::json;

use crate::env::Env;
use crate::faults::Fault;
use crate::queue::NewJob;
use crate::sim::{HOUR, MINUTE, SECOND};
use crate::store::Db;

/// The object as it was when the event was made.
#[derive(Debug, Clone)]
pub(crate) enum Notice {
    Intent(Intent),
    Refund {
        intent: IntentId,
        id: String,
    },
    Dispute {
        intent: IntentId,
        id: String,
    },
    Transfer(Transfer),
    /// A transfer to an agent: its reference.
    ToAgent(String),
}

impl Notice {
    /// By which of our stored ids the site is found.
    fn external_ids(&self) -> Vec<String> {
        match self {
            Self::Intent(intent) => vec![intent.id.0.clone()],
            Self::ToAgent(reference) => vec![reference.clone()],
            Self::Refund { intent, id } | Self::Dispute { intent, id } => {
                vec![id.clone(), intent.0.clone()]
            }
            Self::Transfer(transfer) => {
                let ours = transfer.external_id.as_ref().map(|id| id.0.clone());
                ours.into_iter().chain([transfer.provider_id.clone()]).collect()
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InboxState {
    Received,
    Done,
}

#[derive(Debug, Clone)]
struct InboxRow {
    notice: Notice,
    state: InboxState,
}

/// The endpoint and the inbox behind it.
pub(crate) struct Inbox {
    db: Db,
    /// The site whose queue carries the jobs of events; the event's own site is found when it is applied.
    home: SiteId,
    rows: Mutex<BTreeMap<u64, InboxRow>>,
}

impl Inbox {
    pub(crate) fn new(db: &Db, home: SiteId) -> Arc<Self> {
        Arc::new(Self {
            db: db.clone(),
            home,
            rows: Mutex::new(BTreeMap::new()),
        })
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, InboxRow>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stored once, with its job, in one statement.
    async fn receive(&self, event: u64, notice: Notice) {
        let sim = &self.db.env.sim;
        sim.step("webhook.received").await;
        let row = InboxRow {
            notice,
            state: InboxState::Received,
        };
        if self.rows().contains_key(&event) {
            return;
        }
        self.rows().insert(event, row);
        let job = NewJob {
            task: "apply_webhook",
            payload: json!({ "event": event }),
            key: format!("webhook:{event}"),
            delay: 0,
            tries: 12,
        };
        let now = sim.now();
        self.db.state().queue.add(self.home, job, now);
        sim.job_added();
        sim.step("webhook.stored").await;
    }

    /// Of an event that is not done: what it says, and whose it is, if that is known by now.
    pub(crate) fn open(&self, event: u64) -> Option<(Notice, Option<SiteId>)> {
        let row = self.rows().get(&event).cloned()?;
        if row.state == InboxState::Done {
            return None;
        }
        let mut ids = row.notice.external_ids().into_iter();
        let site = ids.find_map(|id| self.db.site_of(&id));
        Some((row.notice, site))
    }

    pub(crate) fn done(&self, event: u64) {
        if let Some(row) = self.rows().get_mut(&event) {
            row.state = InboxState::Done;
        }
    }
}

/// A provider's sender of webhooks.
#[derive(Clone)]
pub(crate) struct Sender {
    env: Arc<Env>,
    inbox: Arc<Inbox>,
    sent: Arc<Mutex<Sent>>,
}

#[derive(Debug, Default)]
struct Sent {
    last: u64,
    /// Payment events that were lost: the provider lists them when it is asked.
    undelivered: Vec<(u64, Notice)>,
}

/// How often a provider tries.
const TRIES: u32 = 4;

impl Sender {
    pub(crate) fn new(env: &Arc<Env>, inbox: &Arc<Inbox>) -> Self {
        Self {
            env: Arc::clone(env),
            inbox: Arc::clone(inbox),
            sent: Arc::default(),
        }
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hourly job that asks for events which could not be delivered.
    pub(crate) async fn recover(&self) {
        let undelivered = std::mem::take(&mut self.sent().undelivered);
        for (event, notice) in undelivered {
            self.inbox.receive(event, notice).await;
        }
    }

    pub(crate) fn tell(&self, notice: &Notice) {
        let event = {
            let mut sent = self.sent();
            sent.last += 1;
            sent.last
        };
        let (env, sim) = (&self.env, &self.env.sim);
        if env.strikes(Fault::LostWebhooks, 4) {
            sim.note(|| format!("webhook {event} is lost"));
            if !matches!(notice, Notice::Transfer(_)) {
                self.sent().undelivered.push((event, notice.clone()));
            }
            return;
        }
        let times = if env.strikes(Fault::DuplicatedWebhooks, 3) {
            3
        } else {
            1
        };
        for _ in 0..times {
            let (from, to) = if env.strikes(Fault::LateWebhooks, 5) {
                (20 * MINUTE, 3 * HOUR)
            } else if env.has(Fault::ReorderedWebhooks) {
                (1, 3 * MINUTE)
            } else {
                (100, 2 * SECOND)
            };
            let (inbox, notice, sim_of_task) = (Arc::clone(&self.inbox), notice.clone(), Arc::clone(sim));
            sim.spawn(format!("webhook {event}"), async move {
                sim_of_task.lag(from, to).await;
                for _ in 0..TRIES {
                    let received = inbox.receive(event, notice.clone());
                    if sim_of_task.process(received).await.is_ok() {
                        return;
                    }
                    sim_of_task.sleep(30 * SECOND).await;
                }
            });
        }
    }
}
