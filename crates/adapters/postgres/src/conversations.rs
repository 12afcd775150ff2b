//! Talks with the assistant.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use posx_assistant::{
    Answered, Asker, ChatMessage, ChatVisitor, Citation, Conversation, ConversationQueries,
    ConversationRepository, ConversationView, ConversationsTx, MessageView, Outcome, Retention,
};
use posx_kernel::{
    Begin, ConversationId, IdentityId, MessageId, Outbox, Page, PageRequest, SiteScope, StoreError,
    Timestamp, VisitorId,
};
use posx_tenancy::CredentialHash;
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::connection::Database;
use crate::error::StoreResult;
use crate::site_tx::SiteTx;

#[async_trait]
impl Begin<dyn ConversationsTx> for Database {
    async fn begin(&self, scope: &SiteScope) -> Result<Box<dyn ConversationsTx>, StoreError> {
        Ok(Box::new(self.begin_site(scope).await?))
    }
}

impl ConversationsTx for SiteTx {
    fn conversations(&mut self) -> &mut dyn ConversationRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn Outbox {
        self
    }
}

/// Identity and visitor: one of them.
const fn owner(of: Asker) -> (Option<Uuid>, Option<Uuid>) {
    match of {
        Asker::Member(identity) => (Some(identity.as_uuid()), None),
        Asker::Visitor(visitor) => (None, Some(visitor.as_uuid())),
    }
}

fn conversation(row: &PgRow) -> Result<Conversation, StoreError> {
    let (identity, visitor): (Option<Uuid>, Option<Uuid>) = (
        row.try_get("identity_id").store()?,
        row.try_get("visitor_id").store()?,
    );
    let of = match (identity, visitor) {
        (Some(identity), None) => Asker::Member(IdentityId::from_uuid(identity)),
        (None, Some(visitor)) => Asker::Visitor(VisitorId::from_uuid(visitor)),
        _ => return Err(StoreError::broken("whose a conversation is")),
    };
    Ok(Conversation {
        id: ConversationId::from_uuid(row.try_get("id").store()?),
        of,
        title: row.try_get("title").store()?,
        created_at: row.try_get("created_at").store()?,
    })
}

fn message(row: &PgRow) -> Result<ChatMessage, StoreError> {
    let outcome: Option<String> = row.try_get("outcome").store()?;
    let answered = outcome.map(|outcome| answered(row, &outcome)).transpose()?;
    Ok(ChatMessage {
        id: MessageId::from_uuid(row.try_get("id").store()?),
        conversation: ConversationId::from_uuid(row.try_get("conversation_id").store()?),
        question: row.try_get("question").store()?,
        asked_at: row.try_get("asked_at").store()?,
        answered,
    })
}

fn answered(row: &PgRow, outcome: &str) -> Result<Answered, StoreError> {
    let outcome = Outcome::ALL.into_iter().find(|one| one.as_str() == outcome);
    let citations: serde_json::Value = row.try_get("citations").store()?;
    let citations: Result<Vec<Citation>, _> = serde_json::from_value(citations);
    Ok(Answered {
        outcome: outcome.ok_or_else(|| StoreError::broken("an answer's outcome"))?,
        text: row.try_get("answer").store()?,
        citations: citations.map_err(|_| StoreError::broken("what an answer cites"))?,
        reason: row.try_get("reason").store()?,
        at: row.try_get("answered_at").store()?,
    })
}

fn retention(row: &PgRow) -> Result<Retention, StoreError> {
    let days: i32 = row.try_get("days").store()?;
    let updated_at: DateTime<Utc> = row.try_get("updated_at").store()?;
    Ok(Retention {
        days: u16::try_from(days).map_err(|_| StoreError::broken("days of retention"))?,
        version: row.try_get("version").store()?,
        updated_at: Some(updated_at),
    })
}

#[async_trait]
impl ConversationRepository for SiteTx {
    async fn insert(&mut self, conversation: &Conversation) -> Result<(), StoreError> {
        let (identity, visitor) = owner(conversation.of);
        sqlx::query(
            "insert into conversations (id, identity_id, visitor_id, title, created_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(conversation.id.as_uuid())
        .bind(identity)
        .bind(visitor)
        .bind(&conversation.title)
        .bind(conversation.created_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn find(&mut self, id: ConversationId, of: Asker) -> Result<Option<Conversation>, StoreError> {
        let (identity, visitor) = owner(of);
        let row = sqlx::query(
            "select * from conversations where id = $1 and (identity_id = $2 or visitor_id = $3)",
        )
        .bind(id.as_uuid())
        .bind(identity)
        .bind(visitor)
        .fetch_optional(self.connection())
        .await
        .store()?;
        row.as_ref().map(conversation).transpose()
    }

    async fn of_visitor(&mut self, of: VisitorId) -> Result<Option<ConversationId>, StoreError> {
        let row = sqlx::query("select id from conversations where visitor_id = $1")
            .bind(of.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.map(|row| Ok(ConversationId::from_uuid(row.try_get(0).store()?)))
            .transpose()
    }

    async fn delete(&mut self, id: ConversationId) -> Result<(), StoreError> {
        for sql in [
            "delete from conversation_messages where conversation_id = $1",
            "delete from conversations where id = $1",
        ] {
            sqlx::query(sql)
                .bind(id.as_uuid())
                .execute(self.connection())
                .await
                .store()?;
        }
        Ok(())
    }

    async fn count_open(&mut self, of: Asker, since: Timestamp) -> Result<u32, StoreError> {
        let (identity, visitor) = owner(of);
        let site = self.site();
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!(
                "asker:{}:{}",
                site.as_uuid(),
                identity.or(visitor).unwrap_or_default()
            ))
            .execute(self.connection())
            .await
            .store()?;
        let row = sqlx::query(
            "select count(*) from conversation_messages m
             join conversations c on c.site_id = m.site_id and c.id = m.conversation_id
             where m.outcome is null and m.asked_at > $3 and (c.identity_id = $1 or c.visitor_id = $2)",
        )
        .bind(identity)
        .bind(visitor)
        .bind(since)
        .fetch_one(self.connection())
        .await
        .store()?;
        let count: i64 = row.try_get(0).store()?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    async fn add(&mut self, message: &ChatMessage) -> Result<(), StoreError> {
        sqlx::query(
            "insert into conversation_messages (id, conversation_id, question, asked_at) values ($1, $2, $3, $4)",
        )
        .bind(message.id.as_uuid())
        .bind(message.conversation.as_uuid())
        .bind(&message.question)
        .bind(message.asked_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn message(&mut self, id: MessageId) -> Result<Option<ChatMessage>, StoreError> {
        let row = sqlx::query("select * from conversation_messages where id = $1")
            .bind(id.as_uuid())
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(message).transpose()
    }

    async fn answered(&mut self, id: ConversationId, limit: u16) -> Result<Vec<ChatMessage>, StoreError> {
        let rows = sqlx::query(
            "select * from conversation_messages where conversation_id = $1 and answer <> '' order by id desc limit $2",
        )
        .bind(id.as_uuid())
        .bind(i64::from(limit))
        .fetch_all(self.connection())
        .await
        .store()?;
        rows.iter().rev().map(message).collect()
    }

    async fn answer(&mut self, id: MessageId, answered: &Answered) -> Result<bool, StoreError> {
        let citations = serde_json::to_value(&answered.citations)
            .map_err(|_| StoreError::broken("what an answer cites"))?;
        let done = sqlx::query(
            "update conversation_messages set outcome = $2, answer = $3, citations = $4, reason = $5, answered_at = $6
             where id = $1 and outcome is null",
        )
        .bind(id.as_uuid())
        .bind(answered.outcome.as_str())
        // PostgreSQL keeps no such character; a model may say anything.
        .bind(answered.text.replace('\0', ""))
        .bind(citations)
        .bind(&answered.reason)
        .bind(answered.at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }

    async fn insert_visitor(&mut self, visitor: &ChatVisitor) -> Result<(), StoreError> {
        sqlx::query(
            "insert into chat_visitors (id, public_part, hash, created_at, expires_at) values ($1, $2, $3, $4, $5)",
        )
        .bind(visitor.id.as_uuid())
        .bind(&visitor.public_part)
        .bind(visitor.hash.as_bytes().as_slice())
        .bind(visitor.created_at)
        .bind(visitor.expires_at)
        .execute(self.connection())
        .await
        .store()?;
        Ok(())
    }

    async fn visitor(&mut self, public_part: &str) -> Result<Option<ChatVisitor>, StoreError> {
        let row = sqlx::query("select * from chat_visitors where public_part = $1")
            .bind(public_part)
            .fetch_optional(self.connection())
            .await
            .store()?;
        let Some(row) = row else { return Ok(None) };
        let hash: Vec<u8> = row.try_get("hash").store()?;
        let hash = hash
            .try_into()
            .map_err(|_| StoreError::broken("a visitor's hash"))?;
        Ok(Some(ChatVisitor {
            id: VisitorId::from_uuid(row.try_get("id").store()?),
            public_part: row.try_get("public_part").store()?,
            hash: CredentialHash::from_bytes(hash),
            created_at: row.try_get("created_at").store()?,
            expires_at: row.try_get("expires_at").store()?,
        }))
    }

    async fn retention(&mut self) -> Result<Option<Retention>, StoreError> {
        let row = sqlx::query("select * from assistant_retention")
            .fetch_optional(self.connection())
            .await
            .store()?;
        row.as_ref().map(retention).transpose()
    }

    async fn save_retention(&mut self, retention: &Retention, seen: i32) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "insert into assistant_retention as r (days, version, updated_at) values ($1, $2, $3)
             on conflict (site_id) do update set days = excluded.days, version = excluded.version,
               updated_at = excluded.updated_at where r.version = $4",
        )
        .bind(i32::from(retention.days))
        .bind(retention.version)
        .bind(retention.updated_at)
        .bind(seen)
        .execute(self.connection())
        .await
        .store()?;
        Ok(done.rows_affected() == 1)
    }
}

#[async_trait]
impl ConversationQueries for Database {
    async fn conversations(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        page: PageRequest,
    ) -> Result<Page<ConversationView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let rows = sqlx::query(
            "select * from conversations where identity_id = $1 and ($2::uuid is null or id < $2)
             order by id desc limit $3",
        )
        .bind(of.as_uuid())
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let views = rows.iter().map(|row| Ok(conversation(row)?.into()));
        let views = views.collect::<Result<Vec<ConversationView>, StoreError>>()?;
        Ok(Page::from_rows(views, page, |view| view.id.as_uuid()))
    }

    async fn conversation(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        id: ConversationId,
    ) -> Result<Option<ConversationView>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let found = tx.find(id, Asker::Member(of)).await?;
        Ok(found.map(ConversationView::from))
    }

    async fn messages(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        id: ConversationId,
        page: PageRequest,
        now: Timestamp,
    ) -> Result<Option<Page<MessageView>>, StoreError> {
        let mut tx = self.read_site(scope).await?;
        if tx.find(id, Asker::Member(of)).await?.is_none() {
            return Ok(None);
        }
        let rows = sqlx::query(
            "select * from conversation_messages where conversation_id = $1 and ($2::uuid is null or id < $2)
             order by id desc limit $3",
        )
        .bind(id.as_uuid())
        .bind(page.after_id())
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(tx.connection())
        .await
        .store()?;
        let views = rows.iter().map(|row| Ok(MessageView::of(message(row)?, now)));
        let views = views.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Some(Page::from_rows(views, page, |view| view.id.as_uuid())))
    }

    async fn retention(&self, scope: &SiteScope) -> Result<Retention, StoreError> {
        let mut tx = self.read_site(scope).await?;
        let chosen = ConversationRepository::retention(&mut tx).await?;
        Ok(chosen.unwrap_or(Retention::DEFAULT))
    }
}

/// Rows that one statement deletes at most.
const ROUND: i64 = 10_000;

impl Database {
    /// Deletes what was said before then, a round of it; visitors and talks go with their last message. Returns of how many rows.
    pub async fn purge_conversations(
        &self,
        scope: &SiteScope,
        said_before: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin_site(scope).await?;
        let mut gone = 0;
        for sql in [
            "delete from conversation_messages where id in (
               select m.id from conversation_messages m where m.asked_at < $1 limit $2)",
            "delete from conversations where id in (
               select c.id from conversations c where c.created_at < $1
                 and not exists (select from conversation_messages m where m.conversation_id = c.id) limit $2)",
            "delete from chat_visitors where id in (
               select v.id from chat_visitors v where v.expires_at < $1
                 and not exists (select from conversations c where c.visitor_id = v.id) limit $2)",
        ] {
            let done = sqlx::query(sql)
                .bind(said_before)
                .bind(ROUND)
                .execute(tx.connection())
                .await
                .store()?;
            gone += done.rows_affected();
        }
        posx_kernel::Transaction::commit(Box::new(tx)).await?;
        Ok(gone)
    }
}
