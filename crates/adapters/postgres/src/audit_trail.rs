//! The audit trail: a site's events with their actors, and the chain of seals over them.

use aws_lc_rs::digest::{Context, SHA256};
use chrono::{DateTime, Utc};
use posx_kernel::{SiteScope, StoreError, Timestamp, Transaction};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;

/// So that one transaction stays far below the time that a statement may take.
const SEALED_AT_ONCE: i32 = 5_000;
const CHECKED_AT_ONCE: i32 = 20_000;
const DIGEST_BYTES: usize = 32;

/// One act in the site.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct AuditEntry {
    pub id: i64,
    pub at: DateTime<Utc>,
    /// `tier.edited`: subject and past participle.
    pub kind: String,
    /// What it happened to; the kind says what that is.
    pub subject: Uuid,
    pub actor: AuditActor,
    pub request_id: Option<String>,
    /// A salted hash of the caller's network address, in hexadecimal digits.
    pub address: Option<String>,
    /// Facts of the act; of an edit, each field's value before and after under `changes`.
    #[schema(value_type = Object)]
    pub payload: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AuditActor {
    /// `visitor`, `person`, `staff` (of the platform), `key`, `device` or `system`.
    pub kind: String,
    /// Of the identity, the key or the device.
    pub id: Option<Uuid>,
    /// A staff member's grant, or the person at a device.
    pub second_id: Option<Uuid>,
}

/// Which part of the trail is wanted; what is absent does not narrow it.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub kind: Option<String>,
    pub subject: Option<Uuid>,
    pub actor: Option<Uuid>,
    pub request_id: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A place in the chain that is known to be good. The default is its beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SealedUpTo {
    pub position: i64,
    /// 32 bytes; none at the beginning.
    pub digest: Vec<u8>,
}

/// What a check of the chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailCheck {
    /// The last seal that agrees with its event and with the one before it.
    pub good: SealedUpTo,
    /// The first that does not: something at or before it was changed, taken out or put in.
    pub broken: Option<i64>,
}

/// An event as it was sealed. Its digest is SHA-256 over the digest before it and the bytes of `line`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEvent {
    pub position: i64,
    pub digest: Vec<u8>,
    pub line: String,
}

impl SealedEvent {
    pub fn digest_hex(&self) -> String {
        hex::encode(&self.digest)
    }
}

impl SealedUpTo {
    pub fn digest_hex(&self) -> String {
        hex::encode(&self.digest)
    }

    /// `POSITION:DIGEST`, the digest in hexadecimal digits: a place that somebody wrote down.
    pub fn parse(text: &str) -> Option<Self> {
        let (position, digest) = text.split_once(':')?;
        let place = Self {
            position: position.parse().ok().filter(|position| *position >= 1)?,
            digest: hex::decode(digest).ok()?,
        };
        (place.digest.len() == DIGEST_BYTES).then_some(place)
    }

    /// The place of the next line of an export, if it agrees with this one.
    pub fn next(&self, event: &str, position: i64, digest: &str) -> Option<Self> {
        let mut hash = Context::new(&SHA256);
        hash.update(&self.digest);
        hash.update(event.as_bytes());
        let next = Self {
            position,
            digest: hash.finish().as_ref().to_vec(),
        };
        (position == self.position + 1 && next.digest_hex() == digest).then_some(next)
    }
}

impl Database {
    /// Newest first, older than `before`.
    pub async fn audit_trail(
        &self,
        scope: &SiteScope,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u16,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select id, at, kind, subject_id, actor_kind, actor_id, actor_second_id, request_id,
               encode(address_hash, 'hex') as address, payload
             from events
             where ($1::bigint is null or id < $1) and ($2::text is null or kind = $2)
               and ($3::uuid is null or subject_id = $3) and ($4::uuid is null or actor_id = $4)
               and ($5::text is null or request_id = $5)
               and ($6::timestamptz is null or at >= $6) and ($7::timestamptz is null or at < $7)
             order by id desc limit $8",
        )
        .bind(before)
        .bind(filter.kind.as_deref())
        .bind(filter.subject)
        .bind(filter.actor)
        .bind(filter.request_id.as_deref())
        .bind(filter.since)
        .bind(filter.until)
        .bind(i64::from(limit))
        .fetch_all(tx.connection())
        .await
        .store()?;
        rows.iter().map(entry_of).collect::<Result<_, _>>().store()
    }

    /// Seals what is not sealed, and says how many. `everything`: also events that became visible long after later ones, as
    /// after a restore; otherwise only those of the last while are looked at.
    pub async fn seal_events(
        &self,
        scope: &SiteScope,
        at: Timestamp,
        everything: bool,
    ) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            let mut tx = self.begin_site(scope).await?;
            let row = sqlx::query("select app.seal_events($1, $2, $3)")
                .bind(at)
                .bind(SEALED_AT_ONCE)
                .bind(everything)
                .fetch_one(tx.connection())
                .await
                .store()?;
            let sealed: i32 = row.try_get(0).store()?;
            Box::new(tx).commit().await?;
            total += u64::from(sealed.unsigned_abs());
            if sealed < SEALED_AT_ONCE {
                return Ok(total);
            }
        }
    }

    /// Follows the chain from `from` to its end or to the first seal that is not right.
    pub async fn check_trail(&self, scope: &SiteScope, from: SealedUpTo) -> Result<TrailCheck, StoreError> {
        let mut good = from;
        loop {
            let mut tx = self.read_site(scope).await?;
            let row =
                sqlx::query("select last_position, last_digest, broken from app.check_seals($1, $2, $3)")
                    .bind(good.position)
                    .bind(&good.digest)
                    .bind(CHECKED_AT_ONCE)
                    .fetch_one(tx.connection())
                    .await
                    .store()?;
            let reached = SealedUpTo {
                position: row.try_get("last_position").store()?,
                digest: row.try_get("last_digest").store()?,
            };
            let broken: Option<i64> = row.try_get("broken").store()?;
            if broken.is_some() || reached == good {
                return Ok(TrailCheck {
                    good: reached,
                    broken,
                });
            }
            good = reached;
        }
    }

    /// Sealed events after `position`, in the order of the chain.
    pub async fn sealed_events(
        &self,
        scope: &SiteScope,
        position: i64,
        limit: u16,
    ) -> Result<Vec<SealedEvent>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select s.position, s.digest, app.event_line(e) as line
             from event_seals s join events e on e.id = s.event_id
             where s.position > $1 order by s.position limit $2",
        )
        .bind(position)
        .bind(i64::from(limit))
        .fetch_all(tx.connection())
        .await
        .store()?;
        let sealed = |row: &PgRow| -> Result<_, sqlx::Error> {
            Ok(SealedEvent {
                position: row.try_get("position")?,
                digest: row.try_get("digest")?,
                line: row.try_get("line")?,
            })
        };
        rows.iter().map(sealed).collect::<Result<_, _>>().store()
    }
}

fn entry_of(row: &PgRow) -> Result<AuditEntry, sqlx::Error> {
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        subject: row.try_get("subject_id")?,
        actor: AuditActor {
            kind: row.try_get("actor_kind")?,
            id: row.try_get("actor_id")?,
            second_id: row.try_get("actor_second_id")?,
        },
        request_id: row.try_get("request_id")?,
        address: row.try_get("address")?,
        payload: row.try_get("payload")?,
    })
}
