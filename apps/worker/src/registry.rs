//! Every task there is.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use graphile_worker::{IntoTaskHandlerResult, JobDefinition, TaskHandler, WorkerContext};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::JobError;
use crate::jobs;
use crate::runner::{Claimed, Runner};
use crate::task::{Lane, Task, Work};

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), JobError>> + Send + 'a>>;

/// A task without its type.
pub(crate) struct Registered {
    pub name: &'static str,
    pub lane: Lane,
    pub suspended_too: bool,
    pub start: for<'a> fn(Value, &'a Work<'a>) -> Running<'a>,
    pub define: fn() -> JobDefinition,
}

const fn entry<T: Task>() -> Registered {
    Registered {
        name: T::NAME,
        lane: T::LANE,
        suspended_too: T::SUSPENDED_TOO,
        start: start::<T>,
        define: JobDefinition::of::<Entry<T>>,
    }
}

pub(crate) const TASKS: &[Registered] = &[
    entry::<jobs::AccrueCommissions>(),
    entry::<jobs::AdjustCommissions>(),
    entry::<jobs::AllocateOrder>(),
    entry::<jobs::AdjustAllocations>(),
    entry::<jobs::ApplyWebhook>(),
    entry::<jobs::SubmitBatch>(),
    entry::<jobs::SendRefund>(),
    entry::<jobs::SendInvitation>(),
    entry::<jobs::ResolveCheckout>(),
    entry::<jobs::ExpireModelCalls>(),
    entry::<jobs::ExpireOrders>(),
    entry::<jobs::MakeStatements>(),
    entry::<jobs::MatureCommissions>(),
    entry::<jobs::ReconcileAllocations>(),
    entry::<jobs::ReconcileBooks>(),
    entry::<jobs::UnlockVesting>(),
    entry::<jobs::ReconcilePayments>(),
    entry::<jobs::WatchDisputes>(),
    entry::<jobs::RecoverEvents>(),
    entry::<jobs::ReadDocument>(),
    entry::<jobs::ForgetDocuments>(),
    entry::<jobs::Purge>(),
    entry::<jobs::SealEvents>(),
    entry::<jobs::CheckTrail>(),
    entry::<jobs::CheckBooks>(),
    entry::<jobs::SendPayout>(),
    entry::<jobs::ReconcilePayouts>(),
    entry::<jobs::WriteOffBalances>(),
    entry::<jobs::TickExpire>(),
    entry::<jobs::TickReconcile>(),
    entry::<jobs::TickMature>(),
    entry::<jobs::TickRecover>(),
    entry::<jobs::TickPurge>(),
    entry::<jobs::TickSeal>(),
    entry::<jobs::TickUnlock>(),
    entry::<jobs::TickStatements>(),
];

pub(crate) fn find(name: &str) -> Option<&'static Registered> {
    TASKS.iter().find(|task| task.name == name)
}

fn start<'a, T: Task>(payload: Value, work: &'a Work<'a>) -> Running<'a> {
    Box::pin(async move {
        let task: T = serde_json::from_value(payload).map_err(JobError::Payload)?;
        task.run(work).await
    })
}

/// A task as the queue's library wants it: it hands the payload on to our runner, unread.
struct Entry<T> {
    payload: Value,
    task: PhantomData<fn() -> T>,
}

impl<T> Serialize for Entry<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.payload.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            payload: Value::deserialize(deserializer)?,
            task: PhantomData,
        })
    }
}

impl<T: Task> TaskHandler for Entry<T> {
    const IDENTIFIER: &'static str = T::NAME;

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let runner = context
            .get_ext::<Runner>()
            .ok_or(Shown("the runner is missing".into()))?;
        let job = context.job();
        let claimed = Claimed {
            id: *job.id(),
            task: T::NAME.to_owned(),
            payload: self.payload,
            attempts: *job.attempts(),
            max_attempts: *job.max_attempts(),
        };
        runner.run(claimed).await.into_result().map_err(Shown)
    }
}

/// The library stores an error's `Debug`: this one is the plain text.
struct Shown(String);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tasks_share_a_name() {
        let mut names: Vec<_> = TASKS.iter().map(|task| task.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TASKS.len());
    }

    #[test]
    fn every_lane_has_a_task() {
        for lane in Lane::ALL {
            assert!(TASKS.iter().any(|task| task.lane == lane), "{}", lane.name());
        }
    }
}
