//! Refusals of budgets, remembered for a moment: a flood of calls that will be refused does not reach the database.

mod local;
mod shared;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use posx_assistant::{
    Asker, BudgetKey, BudgetScope, Micros, Period, Purpose, Quota, QuotaError, Reservation, Spent,
};
use posx_kernel::{IdentityId, ModelCallId, SiteId, SiteScope, StoreError, Timestamp};

pub use self::local::LocalRefusals;
pub use self::shared::RedisRefusals;

/// A refusal is remembered for so long at most. What goes back to a site's budgets ends it at once, where that is heard of: in
/// every process by Redis, in this one without it.
pub const REFUSAL_AGE_MAX: Duration = Duration::from_secs(2);
/// What was refused from memory is counted in the log after so long; a crash loses the counts of that time, and no money.
const TOLD_AFTER: Duration = Duration::from_secs(2);
/// Of different askers, until the counts are told; the refusals of more are only in the metric.
const UNTOLD_MAX: usize = 10_000;

/// What was left of a budget when it refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Which of the budgets that were asked for.
    pub at: usize,
    pub left: Micros,
    pub resets_at: Timestamp,
}

/// What the memory knows of a call's budgets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Refused(Remembered),
    /// Ask. A refusal that comes of it is remembered under this generation; `None`: it is not remembered.
    Nothing(Option<String>),
}

/// The memory itself: of this process, or of all.
#[async_trait]
pub trait Refusals: Send + Sync + std::fmt::Debug {
    async fn look(&self, site: SiteId, budgets: &[String], worst_case: Micros) -> Seen;
    /// Unless the site's refusals were forgotten since the generation was given.
    async fn remember(&self, site: SiteId, budget: &str, refused: &Remembered, generation: &str);
    async fn forget(&self, site: SiteId);
}

/// By member; all visitors of a site count as one, so that a flood of them is one row.
type Untold =
    HashMap<(SiteId, Purpose, Option<IdentityId>, BudgetScope, Period), (SiteScope, Reservation, u32)>;

/// A quota with a memory of what it refused. It lets nothing through by itself: what is not known to be refused is asked for.
#[derive(Debug, Clone)]
pub struct QuotaMemory {
    inner: Arc<dyn Quota>,
    refusals: Arc<dyn Refusals>,
    untold: Arc<Mutex<Untold>>,
}

impl QuotaMemory {
    pub fn new(inner: Arc<dyn Quota>, refusals: Arc<dyn Refusals>) -> Self {
        Self {
            inner,
            refusals,
            untold: Arc::default(),
        }
    }

    fn untold(&self) -> MutexGuard<'_, Untold> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts it; the first one of a while has the counts told after it.
    fn count(&self, scope: &SiteScope, wish: &Reservation, (by, period): (BudgetScope, Period)) {
        metrics::counter!("posx_model_refusals_total", "scope" => by.as_str()).increment(1);
        metrics::counter!("posx_model_refusals_remembered_total").increment(1);
        let mut untold = self.untold();
        let first = untold.is_empty();
        let member = match wish.asker {
            Asker::Member(member) => Some(member),
            Asker::Visitor(_) => None,
        };
        let key = (scope.site(), wish.purpose, member, by, period);
        if untold.len() < UNTOLD_MAX || untold.contains_key(&key) {
            let (_, _, times) = untold
                .entry(key)
                .or_insert_with(|| (scope.clone(), wish.clone(), 0));
            *times = times.saturating_add(1);
        }
        drop(untold);
        if first {
            let memory = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(TOLD_AFTER).await;
                memory.tell().await;
            });
        }
    }

    /// Writes what was refused from memory into the log.
    pub async fn tell(&self) {
        let untold = std::mem::take(&mut *self.untold());
        for ((_, _, _, by, period), (scope, wish, times)) in untold {
            let told = self.inner.note_refused(&scope, &wish, (by, period), times).await;
            if let Err(error) = told {
                tracing::warn!(%error, times, "refusals of a model's budget are not in the log");
            }
        }
    }
}

/// The budgets of the call, with their names in the memory: without the period's first day, for no refusal outlives its period; apart
/// for who pays, for whom other limits hold.
fn budgets(wish: &Reservation) -> (Vec<BudgetKey>, Vec<String>) {
    let keys = BudgetKey::of_call(wish.purpose, wish.asker, wish.made_at.date_naive());
    let name = |key: &BudgetKey| {
        let (scope, period) = (key.scope.as_str(), key.period.as_str());
        let payer = if wish.operator_pays { "" } else { ":own" };
        format!("{scope}:{}:{period}{payer}", key.subject)
    };
    let names = keys.iter().map(name).collect();
    (keys, names)
}

#[async_trait]
impl Quota for QuotaMemory {
    async fn reserve(&self, scope: &SiteScope, wish: &Reservation) -> Result<(), QuotaError> {
        let (keys, names) = budgets(wish);
        let generation = match self.refusals.look(scope.site(), &names, wish.worst_case).await {
            Seen::Refused(refused) if refused.resets_at > wish.made_at && refused.at < keys.len() => {
                let key = &keys[refused.at];
                self.count(scope, wish, (key.scope, key.period));
                return Err(QuotaError::UsedUp {
                    scope: key.scope,
                    period: key.period,
                    resets_at: refused.resets_at,
                    left: refused.left,
                });
            }
            Seen::Refused(_) => None,
            Seen::Nothing(generation) => generation,
        };
        let reserved = self.inner.reserve(scope, wish).await;
        if let Err(QuotaError::UsedUp {
            scope: by,
            period,
            resets_at,
            left,
        }) = &reserved
            && let Some(generation) = generation
            && let Some(at) = keys
                .iter()
                .position(|key| (key.scope, key.period) == (*by, *period))
        {
            let refused = Remembered {
                at,
                left: *left,
                resets_at: *resets_at,
            };
            self.refusals
                .remember(scope.site(), &names[at], &refused, &generation)
                .await;
        }
        reserved
    }

    async fn settle(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        self.inner.settle(scope, call, spent).await?;
        self.forget_refusals(scope).await;
        Ok(())
    }

    async fn release(&self, scope: &SiteScope, call: ModelCallId, spent: &Spent) -> Result<(), StoreError> {
        self.inner.release(scope, call, spent).await?;
        self.forget_refusals(scope).await;
        Ok(())
    }

    async fn note_refused(
        &self,
        scope: &SiteScope,
        wish: &Reservation,
        by: (BudgetScope, Period),
        times: u32,
    ) -> Result<(), StoreError> {
        self.inner.note_refused(scope, wish, by, times).await
    }

    async fn expire(&self, scope: &SiteScope, now: Timestamp) -> Result<usize, StoreError> {
        let expired = self.inner.expire(scope, now).await?;
        if expired > 0 {
            self.forget_refusals(scope).await;
        }
        Ok(expired)
    }

    async fn forget_refusals(&self, scope: &SiteScope) {
        self.refusals.forget(scope.site()).await;
    }
}
