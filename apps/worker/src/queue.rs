//! The few statements on the queue's own tables that its library has no call for. They name what version 0.14 of
//! graphile_worker has, as `migrations/queue.sql` does.

use posx_kernel::SiteId;
use posx_runtime::Services;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::runner::Claimed;

/// A suspended site's job is looked at again after this long.
const SUSPENDED_DELAY_S: f64 = 300.0;
/// Who holds a job that is drained in process.
const DRAIN: &str = "posx-drain";

/// Takes a try back while the job is still held, and keeps it away for a while; the failure that follows leaves both.
pub(crate) async fn give_back_try(services: &Services, job: i64) {
    let done = sqlx::query(
        "update graphile_worker._private_jobs
         set attempts = greatest(attempts - 1, 0), run_at = now() + make_interval(secs => $2) where id = $1",
    )
    .bind(job)
    .bind(SUSPENDED_DELAY_S)
    .execute(services.jobs_database.pool())
    .await;
    if let Err(error) = done {
        tracing::warn!(%error, "a waiting job could not be given its try back");
    }
}

/// Claims the next job that may run now, of this site or of any; `None` when there is none.
pub(crate) async fn claim(services: &Services, site: Option<SiteId>) -> Result<Option<Claimed>, sqlx::Error> {
    let row = sqlx::query(
        "update graphile_worker._private_jobs j
         set attempts = j.attempts + 1, locked_by = $1, locked_at = now()
         from graphile_worker._private_tasks t
         where t.id = j.task_id and j.id = (
           select w.id from graphile_worker._private_jobs w
           where w.is_available and w.run_at <= now()
             and ($2::text is null or w.payload ->> 'site_id' = $2)
           order by w.priority, w.run_at, w.id limit 1 for update skip locked)
         returning j.id, t.identifier, j.payload, j.attempts, j.max_attempts",
    )
    .bind(DRAIN)
    .bind(site.map(|site| site.as_uuid().to_string()))
    .fetch_optional(services.jobs_database.pool())
    .await?;
    row.as_ref().map(claimed).transpose()
}

fn claimed(row: &PgRow) -> Result<Claimed, sqlx::Error> {
    Ok(Claimed {
        id: row.try_get("id")?,
        task: row.try_get("identifier")?,
        payload: row.try_get("payload")?,
        attempts: row.try_get("attempts")?,
        max_attempts: row.try_get("max_attempts")?,
    })
}

pub(crate) async fn complete(services: &Services, job: i64) -> Result<(), sqlx::Error> {
    sqlx::query("delete from graphile_worker._private_jobs where id = $1 and locked_by = $2")
        .bind(job)
        .bind(DRAIN)
        .execute(services.jobs_database.pool())
        .await?;
    Ok(())
}

/// As the library does it: the same back-off.
pub(crate) async fn fail(services: &Services, job: i64, why: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update graphile_worker._private_jobs
         set last_error = $2, locked_by = null, locked_at = null,
             run_at = greatest(now(), run_at) + (exp(least(attempts, 10)) * interval '1 second')
         where id = $1 and locked_by = $3",
    )
    .bind(job)
    .bind(why)
    .bind(DRAIN)
    .execute(services.jobs_database.pool())
    .await?;
    Ok(())
}
