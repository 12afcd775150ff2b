//! A site's jobs, for its staff.

use chrono::{DateTime, Utc};
use posx_kernel::{Event, Outbox as _, SiteScope, StoreError, Timestamp, Transaction};
use serde::Serialize;
use serde_json::json;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::connection::Database;
use crate::error::StoreResult;

#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct JobView {
    pub id: i64,
    pub task: String,
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
    pub attempts: i32,
    pub max_attempts: i32,
    pub last_error: Option<String>,
    /// Every try is used up: it runs again only when it is replayed.
    pub dead: bool,
    pub run_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
}

impl Database {
    /// Waiting, running and dead jobs of the site, newest first, older than `before`.
    pub async fn jobs(
        &self,
        scope: &SiteScope,
        dead: bool,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<JobView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query("select * from app.jobs_of_site($1, $2, $3)")
            .bind(dead)
            .bind(before)
            .bind(i32::from(limit))
            .fetch_all(tx.connection())
            .await
            .store()?;
        let view = |row: &PgRow| -> Result<_, sqlx::Error> {
            Ok(JobView {
                id: row.try_get("id")?,
                task: row.try_get("task")?,
                payload: row.try_get("payload")?,
                attempts: row.try_get("attempts")?,
                max_attempts: row.try_get("max_attempts")?,
                last_error: row.try_get("last_error")?,
                dead: row.try_get("dead")?,
                run_at: row.try_get("run_at")?,
                created_at: row.try_get("created_at")?,
            })
        };
        rows.iter().map(view).collect::<Result<_, _>>().store()
    }

    /// Gives a dead job its tries back. False: the site has no such dead job.
    pub async fn replay_job(&self, scope: &SiteScope, id: i64, at: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query("select app.replay_job($1)")
            .bind(id)
            .fetch_one(tx.connection())
            .await
            .store()?;
        let found = row.try_get(0).store()?;
        if found {
            // A job's number is no uuid: it stands in the payload, and the site is what it happened to.
            let subject = scope.site().as_uuid();
            tx.append(Event {
                kind: "job.replayed",
                subject,
                payload: json!({ "job": id }),
                at,
            })
            .await?;
        }
        Box::new(tx).commit().await?;
        Ok(found)
    }

    /// Deletes the site's idempotency keys from before `before`, 10,000 at most a call; returns how many.
    pub async fn purge_idempotency_keys(
        &self,
        scope: &SiteScope,
        before: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let done = sqlx::query(
            "delete from idempotency_keys where (actor, operation, key) in (
               select actor, operation, key from idempotency_keys where created_at < $1 limit 10000)",
        )
        .bind(before)
        .execute(tx.connection())
        .await
        .store()?;
        Box::new(tx).commit().await?;
        Ok(done.rows_affected())
    }
}
