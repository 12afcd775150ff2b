//! Beginning and deleting talks, and how long they are kept.

use std::sync::Arc;

use posx_kernel::{
    Begin, Clock, ConversationId, Event, IdempotentCall, IdentityId, Ids, Made, SiteScope, made_before_in_tx,
    remember_in_tx,
};
use serde_json::json;

use super::{ChatError, Conversation, ConversationsTx, Retention};
use crate::Asker;

/// Use cases of members, about their own.
#[derive(Clone)]
pub struct Conversations {
    db: Arc<dyn Begin<dyn ConversationsTx>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl std::fmt::Debug for Conversations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversations").finish_non_exhaustive()
    }
}

impl Conversations {
    pub fn new(db: Arc<dyn Begin<dyn ConversationsTx>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { db, clock, ids }
    }

    pub async fn create(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        title: Option<String>,
        call: Option<&IdempotentCall>,
    ) -> Result<Made<ConversationId>, ChatError> {
        let now = self.clock.now();
        let id = ConversationId::from_uuid(self.ids.uuid(now));
        let conversation = Conversation::begin(id, Asker::Member(of), title, now)?;
        let mut tx = self.db.begin(scope).await?;
        if let Some(made) = made_before_in_tx::<_, _, ChatError>(tx.as_mut(), call).await? {
            return Ok(made);
        }
        tx.conversations().insert(&conversation).await?;
        let event = conversation.event("conversation.created", json!({}), now);
        tx.outbox().append(event).await?;
        remember_in_tx(tx.as_mut(), call, &id).await?;
        tx.commit().await?;
        Ok(Made::now(id))
    }

    /// With all that was said in it.
    pub async fn delete(
        &self,
        scope: &SiteScope,
        of: IdentityId,
        id: ConversationId,
    ) -> Result<(), ChatError> {
        let mut tx = self.db.begin(scope).await?;
        let found = tx.conversations().find(id, Asker::Member(of)).await?;
        let conversation = found.ok_or(ChatError::NotFound)?;
        tx.conversations().delete(id).await?;
        let event = conversation.event("conversation.deleted", json!({}), self.clock.now());
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(())
    }

    /// `seen` is the version that was read.
    pub async fn set_retention(&self, scope: &SiteScope, days: u16, seen: i32) -> Result<(), ChatError> {
        let now = self.clock.now();
        let mut tx = self.db.begin(scope).await?;
        let before = tx.conversations().retention().await?;
        let before = before.unwrap_or(Retention::DEFAULT);
        let after = before.edited(days, seen, now)?;
        if !tx.conversations().save_retention(&after, seen).await? {
            return Err(ChatError::Stale);
        }
        let event = Event {
            kind: "assistant_retention.changed",
            subject: scope.site().as_uuid(),
            payload: json!({ "changes": { "days": [before.days, after.days] } }),
            at: now,
        };
        tx.outbox().append(event).await?;
        tx.commit().await?;
        Ok(())
    }
}
