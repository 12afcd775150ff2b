//! The storefront's chat: without an account, over what everyone may see.

use chrono::TimeDelta;
use posx_kernel::{ConversationId, MessageId, SiteScope, Timestamp, VisitorId, retry_busy};
use posx_tenancy::{CredentialKind, Site};
use secrecy::SecretString;
use serde_json::json;

use super::answering::Talk;
use super::toolset::Toolset;
use super::{Chats, Reply, Wish, prompt};
use crate::conversation::{ChatError, ChatMessage, ChatVisitor, Conversation};
use crate::tools::PublicTools;
use crate::{Asker, Purpose};

/// After that a visitor begins anew.
pub const VISIT_LIFE: TimeDelta = TimeDelta::hours(1);
const TURNS: u16 = 6;
const OPEN_MAX: u32 = 1;

/// Somebody who has come now. The token is shown once and kept nowhere.
#[derive(Debug)]
pub struct NewVisit {
    pub visitor: VisitorId,
    pub token: SecretString,
    pub expires_at: Timestamp,
}

impl Chats {
    /// Whether a question may be asked at all.
    pub fn check_question(&self, text: &str) -> Result<(), ChatError> {
        let now = self.0.clock.now();
        let nobodys = ConversationId::from_uuid(uuid::Uuid::nil());
        ChatMessage::ask(MessageId::from_uuid(uuid::Uuid::nil()), nobodys, text, now).map(drop)
    }

    /// Refused where no question could be answered: then nobody has come.
    pub async fn begin_visit(&self, scope: &SiteScope) -> Result<NewVisit, ChatError> {
        self.0.gateway.check(scope, Purpose::StorefrontChat).await?;
        let now = self.0.clock.now();
        let id = VisitorId::from_uuid(self.0.ids.uuid(now));
        let made = CredentialKind::Visitor.issue(self.0.randomness.as_ref());
        let visitor = ChatVisitor {
            id,
            public_part: made.public_part,
            hash: made.hash,
            created_at: now,
            expires_at: now + VISIT_LIFE,
        };
        let conversation = ConversationId::from_uuid(self.0.ids.uuid(now));
        let conversation = Conversation::begin(conversation, Asker::Visitor(id), None, now)?;
        retry_busy(|| async {
            let mut tx = self.0.db.begin(scope).await?;
            tx.conversations().insert_visitor(&visitor).await?;
            tx.conversations().insert(&conversation).await?;
            let event = conversation.event("conversation.created", json!({ "visitor": id }), now);
            tx.outbox().append(event).await?;
            tx.commit().await?;
            Ok::<_, ChatError>(())
        })
        .await?;
        Ok(NewVisit {
            visitor: id,
            token: made.text,
            expires_at: visitor.expires_at,
        })
    }

    /// Whose session it is, while it lasts.
    pub async fn visitor(&self, scope: &SiteScope, token: &str) -> Result<VisitorId, ChatError> {
        let shown = CredentialKind::Visitor.read(token);
        let mut tx = self.0.db.begin(scope).await?;
        let found = tx.conversations().visitor(&shown.public_part).await?;
        let known = shown.is(found.as_ref().map(|visitor| &visitor.hash));
        let visitor = found.filter(|visitor| known && self.0.clock.now() < visitor.expires_at);
        Ok(visitor.ok_or(ChatError::SessionOver)?.id)
    }

    pub async fn ask_on_storefront(
        &self,
        scope: &SiteScope,
        site: &Site,
        visitor: VisitorId,
        text: &str,
    ) -> Result<Reply, ChatError> {
        let of = Asker::Visitor(visitor);
        let mut tx = self.0.db.begin(scope).await?;
        let conversation = tx.conversations().of_visitor(visitor).await?;
        drop(tx);
        let wish = Wish {
            of,
            conversation: conversation.ok_or(ChatError::SessionOver)?,
            text,
            open_max: OPEN_MAX,
            turns: TURNS,
            call: None,
        };
        let talk = Talk {
            purpose: Purpose::StorefrontChat,
            asker: of,
            system: prompt::storefront(site, self.0.clock.now()),
            tools: Toolset::Public(PublicTools {
                reads: self.0.public.clone(),
            }),
        };
        self.reply(scope, site, &wish, talk).await
    }
}
