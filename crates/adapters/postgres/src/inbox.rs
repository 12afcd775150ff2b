//! The webhook inbox, from both its sides: the API stores, the runner's own role reads.

use chrono::{DateTime, Utc};
use posx_kernel::{
    Event, Outbox as _, Page, PageRequest, SiteId, SiteScope, StoreError, Timestamp, WebhookId,
};
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::connection::{Database, DatabaseOptions, connect};
use crate::error::StoreResult;

/// Names of endpoints that belong to no site alone. A site's code is in upper case.
#[derive(Debug)]
pub struct WebhookEndpoint;

impl WebhookEndpoint {
    /// For every site that has no endpoint of its own.
    pub const SHARED: &'static str = "shared";
    /// For events of connected accounts.
    pub const CONNECT: &'static str = "connect";
    /// Not delivered: fetched by us from the account that the event is of.
    pub const RECOVERED: &'static str = "recovered";
}

/// One verified delivery, before anybody knows whose it is.
#[derive(Debug, Clone)]
pub struct NewWebhook<'a> {
    pub id: WebhookId,
    pub provider: &'static str,
    /// The provider's own id of the event: a second delivery of it only counts.
    pub event_id: &'a str,
    pub event_type: &'a str,
    /// The provider's id of the object that it is about; by it the site is found.
    pub external_id: Option<&'a str>,
    /// False: a type that nobody acts on; it is stored as ignored.
    pub known: bool,
    /// Where it was delivered: one of [`WebhookEndpoint`], or the code of the site whose own endpoint it is.
    pub endpoint: &'a str,
    pub body: &'a [u8],
    /// Headers worth keeping, without signatures.
    pub headers: serde_json::Value,
    pub received_at: Timestamp,
}

/// What staff see of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct WebhookView {
    pub id: WebhookId,
    pub provider: String,
    pub event_id: String,
    pub event_type: String,
    pub external_id: Option<String>,
    /// received, done, dead, ignored or parked
    pub state: String,
    pub deliveries: i32,
    pub tries: i32,
    pub last_error: Option<String>,
    pub received_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// What the runner reads of an event.
#[derive(Debug, Clone)]
pub struct InboxRow {
    pub id: WebhookId,
    pub provider: String,
    pub event_type: String,
    pub external_id: Option<String>,
    /// By our own stored external id; none yet while our insert is not committed.
    pub site: Option<SiteId>,
    pub endpoint: String,
    pub body: Vec<u8>,
    pub state: String,
    pub tries: i32,
}

impl Database {
    /// Stores the delivery and, for a new event of a known type, its job: one commit. False: it was stored before.
    pub async fn store_webhook(&self, new: &NewWebhook<'_>) -> Result<bool, StoreError> {
        let row = sqlx::query("select app.store_webhook($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
            .bind(new.id.as_uuid())
            .bind(new.provider)
            .bind(new.event_id)
            .bind(new.event_type)
            .bind(new.external_id)
            .bind(new.known)
            .bind(new.body)
            .bind(&new.headers)
            .bind(new.received_at)
            .bind(new.endpoint)
            .fetch_one(&self.pool)
            .await
            .store()?;
        row.try_get(0).store()
    }

    /// The site's own events, newest first.
    pub async fn webhooks(
        &self,
        scope: &SiteScope,
        state: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<WebhookView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query("select * from app.webhooks_of_site($1, $2, $3)")
            .bind(page.after_id())
            .bind(state)
            .bind(i32::from(page.limit()) + 1)
            .fetch_all(tx.connection())
            .await
            .store()?;
        let rows = rows.iter().map(view_of).collect::<Result<Vec<_>, _>>().store()?;
        Ok(Page::from_rows(rows, page, |webhook| webhook.id.as_uuid()))
    }

    /// Has the event interpreted again. False: the site has no such event, or nobody acts on its type.
    pub async fn replay_webhook(
        &self,
        scope: &SiteScope,
        id: WebhookId,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query("select app.replay_webhook($1)")
            .bind(id.as_uuid())
            .fetch_one(tx.connection())
            .await
            .store()?;
        let found = row.try_get(0).store()?;
        if found {
            tx.append(happened("webhook_event.replayed", id.as_uuid(), at))
                .await?;
        }
        posx_kernel::Transaction::commit(Box::new(tx)).await?;
        Ok(found)
    }
}

impl Database {
    /// Sets the event aside until it is replayed. False: the site has no such event, or it is applied.
    pub async fn park_webhook(
        &self,
        scope: &SiteScope,
        id: WebhookId,
        why: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let row = sqlx::query("select app.park_webhook($1, $2, $3)")
            .bind(id.as_uuid())
            .bind(why)
            .bind(at)
            .fetch_one(tx.connection())
            .await
            .store()?;
        let parked = row.try_get(0).store()?;
        if parked {
            tx.append(happened("webhook_event.parked", id.as_uuid(), at))
                .await?;
        }
        posx_kernel::Transaction::commit(Box::new(tx)).await?;
        Ok(parked)
    }
}

fn view_of(row: &PgRow) -> Result<WebhookView, sqlx::Error> {
    Ok(WebhookView {
        id: WebhookId::from_uuid(row.try_get("id")?),
        provider: row.try_get("provider")?,
        event_id: row.try_get("event_id")?,
        event_type: row.try_get("event_type")?,
        external_id: row.try_get("external_id")?,
        state: row.try_get("state")?,
        deliveries: row.try_get("deliveries")?,
        tries: row.try_get("tries")?,
        last_error: row.try_get("last_error")?,
        received_at: row.try_get("received_at")?,
        finished_at: row.try_get("finished_at")?,
    })
}

/// The runner's pool, on the role `posx_jobs`: the queue, and what the queue needs of the inbox.
#[derive(Debug, Clone)]
pub struct JobsDatabase {
    pool: PgPool,
}

impl JobsDatabase {
    pub async fn connect(url: &str, pool_size: u32) -> Result<Self, StoreError> {
        let options = DatabaseOptions {
            pool_size,
            ..DatabaseOptions::default()
        };
        Ok(Self {
            pool: connect(url, "posx-jobs", options).await?,
        })
    }

    /// For the queue's own library.
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Counts a try and reads the event with the site it belongs to, if that is known by now.
    pub async fn webhook(&self, id: WebhookId) -> Result<Option<InboxRow>, StoreError> {
        let row = sqlx::query("select * from app.webhook($1)")
            .bind(id.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let site: Option<uuid::Uuid> = row.try_get("site_id_of_owner").store()?;
        Ok(Some(InboxRow {
            id,
            provider: row.try_get("provider").store()?,
            event_type: row.try_get("event_type").store()?,
            external_id: row.try_get("external_id").store()?,
            site: site.map(SiteId::from_uuid),
            endpoint: row.try_get("endpoint").store()?,
            body: row.try_get("body").store()?,
            state: row.try_get("state").store()?,
            tries: row.try_get("tries").store()?,
        }))
    }

    /// `outcome` is done, ignored, dead, parked or received (it will be tried again); `why` is the reason.
    pub async fn finish_webhook(
        &self,
        id: WebhookId,
        outcome: &str,
        why: Option<&str>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("select app.finish_webhook($1, $2, $3, $4)")
            .bind(id.as_uuid())
            .bind(outcome)
            .bind(why)
            .bind(at)
            .execute(&self.pool)
            .await
            .store()?;
        Ok(())
    }

    /// Deletes done and ignored events, 10,000 at most a call; returns how many.
    pub async fn purge_webhooks(&self, finished_before: Timestamp) -> Result<i64, StoreError> {
        let row = sqlx::query("select app.purge_webhooks($1)")
            .bind(finished_before)
            .fetch_one(&self.pool)
            .await
            .store()?;
        row.try_get(0).store()
    }

    /// Deletes what is left of jobs that were asked for again while they ran, and whose worker did not end them.
    pub async fn purge_superseded_jobs(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("select graphile_worker.purge_superseded()")
            .fetch_one(&self.pool)
            .await
            .store()?;
        row.try_get(0).store()
    }

    pub async fn active_sites(&self) -> Result<Vec<SiteId>, StoreError> {
        self.sites("select app.active_sites()").await
    }

    pub async fn suspended_sites(&self) -> Result<Vec<SiteId>, StoreError> {
        self.sites("select app.suspended_sites()").await
    }

    async fn sites(&self, sql: &'static str) -> Result<Vec<SiteId>, StoreError> {
        let rows = sqlx::query(sql).fetch_all(&self.pool).await.store()?;
        rows.iter()
            .map(|row| Ok(SiteId::from_uuid(row.try_get(0).store()?)))
            .collect()
    }

    /// Adds a site's job at once; with the same key it is added once while it waits.
    pub async fn add_job_for_site(
        &self,
        site: SiteId,
        task: &str,
        key: &str,
        priority: i32,
        tries: i32,
    ) -> Result<(), StoreError> {
        sqlx::query("select graphile_worker.enqueue_for_site($1, $2, '{}', $3, $4, 0, $5)")
            .bind(site.as_uuid())
            .bind(task)
            .bind(format!("{}:{key}", site.as_uuid()))
            .bind(priority)
            .bind(tries)
            .execute(&self.pool)
            .await
            .store()?;
        Ok(())
    }
}

fn happened(kind: &'static str, webhook: Uuid, at: Timestamp) -> Event {
    Event {
        kind,
        subject: webhook,
        payload: serde_json::json!({}),
        at,
    }
}
