//! The job queue, in memory: at least once, with back-off, and killed workers.

use std::collections::BTreeMap;

use posx_kernel::{Event, SiteId};
use serde_json::Value;

use crate::reactions::Reaction;
use crate::sim::{MINUTE, Millis, SECOND};

/// A job that a transaction adds when it commits.
pub(crate) struct NewJob {
    pub(crate) task: &'static str,
    pub(crate) payload: Value,
    pub(crate) key: String,
    pub(crate) delay: Millis,
    pub(crate) tries: i16,
}

impl NewJob {
    pub(crate) fn of(reaction: &Reaction, event: &Event, key_without_subject: bool) -> Self {
        let payload = (reaction.payload)(event);
        let key = if key_without_subject {
            reaction.task.to_owned()
        } else {
            format!("{}:{payload}", reaction.task)
        };
        Self {
            task: reaction.task,
            payload,
            key,
            delay: Millis::from(reaction.delay_s) * SECOND,
            tries: reaction.tries,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    Waiting,
    /// A worker holds it.
    Running,
    Done,
    /// Over: no repetition would change it.
    Refused,
    /// Every try is used up: it is listed, and can be replayed.
    Dead,
}

#[derive(Debug, Clone)]
pub(crate) struct QueuedJob {
    pub(crate) site: SiteId,
    pub(crate) task: &'static str,
    pub(crate) payload: Value,
    key: Option<String>,
    run_at: Millis,
    /// The running one included.
    pub(crate) attempts: i16,
    pub(crate) tries: i16,
    pub(crate) state: JobState,
    pub(crate) last_error: Option<String>,
}

/// After this the jobs of a worker that died are found and run again.
const RECOVERED_AFTER: Millis = 2 * MINUTE;

/// After so many tries: e to their power, as the product's queue has it.
const BACK_OFF_S: [Millis; 11] = [1, 3, 7, 20, 55, 148, 403, 1_097, 2_981, 8_103, 22_026];

#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: BTreeMap<u64, QueuedJob>,
    last: u64,
}

impl Queue {
    /// While one with the same key waits, adding it again changes nothing but its payload and its tries.
    pub(crate) fn add(&mut self, site: SiteId, new: NewJob, now: Millis) {
        let same = |job: &&mut QueuedJob| {
            job.site == site
                && job.key.as_ref() == Some(&new.key)
                && matches!(job.state, JobState::Waiting | JobState::Dead)
        };
        if let Some(waiting) = self.jobs.values_mut().find(same) {
            waiting.payload = new.payload;
            waiting.attempts = 0;
            waiting.tries = new.tries;
            waiting.state = JobState::Waiting;
            return;
        }
        self.last += 1;
        let job = QueuedJob {
            site,
            task: new.task,
            payload: new.payload,
            key: Some(new.key),
            run_at: now + new.delay,
            attempts: 0,
            tries: new.tries,
            state: JobState::Waiting,
            last_error: None,
        };
        self.jobs.insert(self.last, job);
    }

    /// Those that can run now.
    pub(crate) fn due(&self, now: Millis) -> Vec<u64> {
        let due = |job: &QueuedJob| job.state == JobState::Waiting && job.run_at <= now;
        self.jobs
            .iter()
            .filter(|(_, job)| due(job))
            .map(|(id, _)| *id)
            .collect()
    }

    pub(crate) fn next_due(&self) -> Option<Millis> {
        let waiting = self.jobs.values().filter(|job| job.state == JobState::Waiting);
        waiting.map(|job| job.run_at).min()
    }

    pub(crate) fn claim(&mut self, id: u64) -> Option<QueuedJob> {
        let job = self.jobs.get_mut(&id)?;
        job.state = JobState::Running;
        job.attempts += 1;
        Some(job.clone())
    }

    pub(crate) fn end(&mut self, id: u64, state: JobState) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.state = state;
        }
    }

    /// No repetition would change it.
    pub(crate) fn refuse(&mut self, id: u64, why: String) {
        if let Some(job) = self.jobs.get_mut(&id) {
            (job.state, job.last_error) = (JobState::Refused, Some(why));
        }
    }

    /// With back-off, if there is a try left.
    pub(crate) fn again(&mut self, id: u64, why: String, now: Millis) {
        let Some(job) = self.jobs.get_mut(&id) else { return };
        job.last_error = Some(why);
        job.state = if job.attempts >= job.tries {
            JobState::Dead
        } else {
            JobState::Waiting
        };
        let tried = usize::try_from(job.attempts).unwrap_or_default();
        job.run_at = now + SECOND * BACK_OFF_S[tried.min(BACK_OFF_S.len() - 1)];
    }

    /// Its worker is gone; the try counts.
    pub(crate) fn recover(&mut self, id: u64, now: Millis) {
        self.again(id, "the worker was killed".to_owned(), now);
        if let Some(job) = self.jobs.get_mut(&id) {
            job.run_at = now + RECOVERED_AFTER;
        }
    }

    /// What a person does with jobs that ended without being done.
    pub(crate) fn replay(&mut self, now: Millis, which: impl Fn(&QueuedJob) -> bool) -> usize {
        let mut replayed = 0;
        for job in self.jobs.values_mut().filter(|job| which(job)) {
            (job.state, job.attempts, job.run_at) = (JobState::Waiting, 0, now);
            replayed += 1;
        }
        replayed
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &QueuedJob> {
        self.jobs.values()
    }
}
