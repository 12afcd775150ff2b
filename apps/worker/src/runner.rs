//! Runs one claimed job: opens its site, starts its task, and says once how it ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use posx_kernel::{Severity, SiteId};
use posx_runtime::Services;
use serde_json::Value;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::error::JobError;
use crate::task::Work;
use crate::{queue, registry, scope};

/// A job that this process holds.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub id: i64,
    pub task: String,
    pub payload: Value,
    /// This one included.
    pub attempts: i16,
    pub max_attempts: i16,
}

/// What the queue is to do with the job.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is over: done, or refused for good.
    Over,
    /// Again after the back-off, if there is a try left. The text is what staff see.
    Again(String),
    /// Again later; this try is not counted.
    Waits(String),
}

impl Verdict {
    pub(crate) fn into_result(self) -> Result<(), String> {
        match self {
            Self::Over => Ok(()),
            Self::Again(why) | Self::Waits(why) => Err(why),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Runner {
    services: Arc<Services>,
}

impl Runner {
    pub(crate) fn new(services: Services) -> Self {
        Self {
            services: Arc::new(services),
        }
    }

    pub(crate) async fn run(&self, job: Claimed) -> Verdict {
        let site = site_of(&job.payload);
        let shown = site.map(|site| site.to_string());
        let span = tracing::info_span!("job", task = job.task, job = job.id, site = shown);
        self.run_in_span(job, site).instrument(span).await
    }

    async fn run_in_span(&self, job: Claimed, site: Option<SiteId>) -> Verdict {
        let Claimed {
            id,
            task,
            payload,
            attempts,
            max_attempts,
        } = job;
        let last_try = attempts >= max_attempts;
        let started = Instant::now();
        let running = self.start(&task, payload, site, last_try);
        let ended = AssertUnwindSafe(running)
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(JobError::Panicked(panic_text(panic.as_ref()))));
        let seconds = started.elapsed().as_secs_f64();
        metrics::histogram!("posx_job_duration_seconds", "task" => task.clone()).record(seconds);
        let (outcome, verdict) = match ended {
            Ok(()) => ("done", Verdict::Over),
            Err(JobError::Suspended) => {
                tracing::info!("the job waits: its site is suspended");
                queue::give_back_try(&self.services, id).await;
                ("waiting", Verdict::Waits(JobError::Suspended.to_string()))
            }
            Err(error @ JobError::Refused { .. }) => {
                tracing::warn!(
                    code = error.code(),
                    error = error.chain(),
                    "the job is refused for good"
                );
                ("refused", Verdict::Over)
            }
            Err(error) => {
                tell(&task, &error, attempts, last_try);
                let outcome = if last_try { "dead" } else { "failed" };
                (outcome, Verdict::Again(format!("{}: {error}", error.code())))
            }
        };
        metrics::counter!("posx_jobs_total", "task" => task, "outcome" => outcome).increment(1);
        verdict
    }

    async fn start(
        &self,
        task: &str,
        payload: Value,
        site: Option<SiteId>,
        last_try: bool,
    ) -> Result<(), JobError> {
        let task = registry::find(task).ok_or(JobError::UnknownTask)?;
        let scope = match site {
            Some(site) => Some(scope::open(&self.services, site, task.suspended_too).await?),
            None => None,
        };
        let work = Work::new(&self.services, scope, last_try);
        (task.start)(payload, &work).await
    }
}

/// The database's stamp; see `app.add_job`.
fn site_of(payload: &Value) -> Option<SiteId> {
    let text = payload.get("site_id")?.as_str()?;
    Uuid::try_parse(text).ok().map(SiteId::from_uuid)
}

fn tell(task: &str, error: &JobError, attempts: i16, last_try: bool) {
    let (code, chain) = (error.code(), error.chain());
    if last_try {
        metrics::counter!("posx_jobs_dead_total", "task" => task.to_owned()).increment(1);
        tracing::error!(
            code,
            error = chain,
            attempts,
            "the job is dead: a person must look and replay it"
        );
    } else if error.severity() == Severity::Error {
        tracing::error!(code, error = chain, attempts, "the job failed and is tried again");
    } else if attempts == 1 {
        // Often only early: an event that overtook our own commit (S28).
        tracing::info!(
            code,
            error = chain,
            "the job could not be done yet and is tried again"
        );
    } else {
        tracing::warn!(code, error = chain, attempts, "the job failed and is tried again");
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_site_is_the_stamp_and_nothing_else() {
        let uuid = "018f0000-0000-7000-8000-000000000001";
        assert!(site_of(&json!({ "site_id": uuid })).is_some());
        for payload in [
            json!({}),
            json!({ "site_id": null }),
            json!({ "site": uuid }),
            json!({ "site_id": 1 }),
            json!([]),
        ] {
            assert_eq!(site_of(&payload), None, "{payload}");
        }
    }
}
