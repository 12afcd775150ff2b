//! Jobs in this process, one after the other, until none may run: for tests and the demo.

use posx_kernel::SiteId;
use posx_runtime::Services;

use crate::queue;
use crate::runner::{Runner, Verdict};

/// Jobs add jobs: a mistake there must not run for ever.
const JOBS_MAX: usize = 100_000;

#[derive(Debug, Default)]
pub struct Drained {
    /// Jobs that were run, the failed ones included.
    pub run: usize,
    /// Jobs that failed or wait; they stay in the queue.
    pub failures: Vec<Failure>,
}

#[derive(Debug)]
pub struct Failure {
    pub task: String,
    pub error: String,
}

/// Runs what may run now by the database's clock, of any site: only where nobody else uses the database. A job that fails
/// is not run again here: its next try is later.
pub async fn drain(services: &Services) -> Result<Drained, sqlx::Error> {
    drain_jobs(services, None).await
}

/// As [`drain`], for the jobs that carry this site: how tests that share a database stay apart.
pub async fn drain_site(services: &Services, site: SiteId) -> Result<Drained, sqlx::Error> {
    drain_jobs(services, Some(site)).await
}

async fn drain_jobs(services: &Services, site: Option<SiteId>) -> Result<Drained, sqlx::Error> {
    let runner = Runner::new(services.clone());
    let mut drained = Drained::default();
    while drained.run < JOBS_MAX {
        let Some(job) = queue::claim(services, site).await? else {
            return Ok(drained);
        };
        drained.run += 1;
        let (id, task) = (job.id, job.task.clone());
        match runner.run(job).await {
            Verdict::Over => queue::complete(services, id).await?,
            Verdict::Again(error) | Verdict::Waits(error) => {
                queue::fail(services, id, &error).await?;
                drained.failures.push(Failure { task, error });
            }
        }
    }
    let error = format!("more than {JOBS_MAX} jobs: do they add each other?");
    drained.failures.push(Failure {
        task: "drain".into(),
        error,
    });
    Ok(drained)
}
