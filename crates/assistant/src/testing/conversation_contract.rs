//! What every store of talks promises.

use std::sync::Arc;

use chrono::TimeDelta;
use posx_kernel::{
    Begin, ConversationId, IdentityId, Ids as _, MessageId, SiteScope, SystemIds, SystemRandomness,
    Timestamp, VisitorId,
};
use posx_tenancy::CredentialKind;

use crate::{
    Answered, Asker, ChatMessage, ChatVisitor, Citation, CitationKind, Conversation, ConversationsTx,
    Outcome, Retention,
};

pub struct ConversationWorld {
    pub db: Arc<dyn Begin<dyn ConversationsTx>>,
    pub scope: SiteScope,
    pub elsewhere: SiteScope,
    /// Two people who are known.
    pub members: [IdentityId; 2],
    pub now: Timestamp,
}

impl std::fmt::Debug for ConversationWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConversationWorld").finish_non_exhaustive()
    }
}

/// # Panics
/// When the store does not keep a promise.
pub async fn contract(world: &ConversationWorld) {
    talks_are_their_owners(world).await;
    an_answer_is_written_once(world).await;
    visitors_are_found_at_their_site(world).await;
    retention_is_edited_by_version(world).await;
}

impl ConversationWorld {
    async fn tx(&self, scope: &SiteScope) -> Box<dyn ConversationsTx> {
        self.db.begin(scope).await.expect("a transaction")
    }

    fn conversation(&self, of: Asker) -> Conversation {
        let id = ConversationId::from_uuid(SystemIds.uuid(self.now));
        Conversation::begin(id, of, Some("Mine".to_owned()), self.now).expect("a conversation")
    }
}

fn message(of: ConversationId, at: Timestamp) -> ChatMessage {
    let id = MessageId::from_uuid(SystemIds.uuid(at));
    ChatMessage::ask(id, of, "What is open?", at).expect("a message")
}

fn answered(text: &str, at: Timestamp) -> Answered {
    Answered {
        outcome: Outcome::Answered,
        text: text.to_owned(),
        citations: vec![Citation::new(CitationKind::Order, "ord_1")],
        reason: None,
        at,
    }
}

async fn talks_are_their_owners(world: &ConversationWorld) {
    let [one, other] = world.members.map(Asker::Member);
    let talk = world.conversation(one);
    let mut tx = world.tx(&world.scope).await;
    tx.conversations().insert(&talk).await.expect("inserted");
    tx.commit().await.expect("committed");
    let mut tx = world.tx(&world.scope).await;
    assert_eq!(
        tx.conversations().find(talk.id, one).await.expect("a look"),
        Some(talk.clone())
    );
    assert_eq!(
        tx.conversations().find(talk.id, other).await.expect("a look"),
        None
    );
    drop(tx);
    let mut tx = world.tx(&world.elsewhere).await;
    assert_eq!(tx.conversations().find(talk.id, one).await.expect("a look"), None);
    drop(tx);
    let mut tx = world.tx(&world.scope).await;
    tx.conversations()
        .add(&message(talk.id, world.now))
        .await
        .expect("added");
    tx.conversations().delete(talk.id).await.expect("deleted");
    assert_eq!(tx.conversations().find(talk.id, one).await.expect("a look"), None);
    tx.commit().await.expect("committed");
}

async fn an_answer_is_written_once(world: &ConversationWorld) {
    let [one, other] = world.members.map(Asker::Member);
    let (talk, later) = (world.conversation(one), world.now + TimeDelta::seconds(1));
    let (first, second) = (message(talk.id, world.now), message(talk.id, later));
    let mut tx = world.tx(&world.scope).await;
    tx.conversations().insert(&talk).await.expect("inserted");
    tx.conversations().add(&first).await.expect("added");
    tx.conversations().add(&second).await.expect("added");
    let before = world.now - TimeDelta::seconds(1);
    assert_eq!(
        tx.conversations().count_open(one, before).await.expect("a count"),
        2
    );
    assert_eq!(
        tx.conversations()
            .count_open(one, world.now)
            .await
            .expect("a count"),
        1
    );
    assert_eq!(
        tx.conversations()
            .count_open(other, before)
            .await
            .expect("a count"),
        0
    );
    tx.commit().await.expect("committed");

    let mut tx = world.tx(&world.scope).await;
    let written = answered("One [ord_1].", later);
    assert!(
        tx.conversations()
            .answer(first.id, &written)
            .await
            .expect("written")
    );
    assert!(
        !tx.conversations()
            .answer(first.id, &answered("Two", later))
            .await
            .expect("a look")
    );
    let failed = Answered {
        outcome: Outcome::Failed,
        citations: Vec::new(),
        reason: Some("model_unavailable".to_owned()),
        ..answered("", later)
    };
    assert!(
        tx.conversations()
            .answer(second.id, &failed)
            .await
            .expect("written")
    );
    assert_eq!(
        tx.conversations().count_open(one, before).await.expect("a count"),
        0
    );
    tx.commit().await.expect("committed");
    history_is_what_was_answered(world, &first, second.id, written).await;
}

/// Of the first message, which was; the second failed.
async fn history_is_what_was_answered(
    world: &ConversationWorld,
    first: &ChatMessage,
    failed: MessageId,
    written: Answered,
) {
    let mut tx = world.tx(&world.scope).await;
    let kept = ChatMessage {
        answered: Some(written),
        ..first.clone()
    };
    assert_eq!(
        tx.conversations().message(first.id).await.expect("a look"),
        Some(kept.clone())
    );
    let talk = first.conversation;
    let history = tx.conversations().answered(talk, 10).await.expect("a read");
    assert_eq!(history, [kept], "what has no text is no turn");
    assert_eq!(tx.conversations().answered(talk, 0).await.expect("a read"), []);
    drop(tx);
    let mut tx = world.tx(&world.elsewhere).await;
    assert_eq!(tx.conversations().message(first.id).await.expect("a look"), None);
    assert!(
        !tx.conversations()
            .answer(failed, &answered("Three", world.now))
            .await
            .expect("a look")
    );
}

async fn visitors_are_found_at_their_site(world: &ConversationWorld) {
    let made = CredentialKind::Visitor.issue(&SystemRandomness);
    let visitor = ChatVisitor {
        id: VisitorId::from_uuid(SystemIds.uuid(world.now)),
        public_part: made.public_part,
        hash: made.hash,
        created_at: world.now,
        expires_at: world.now + TimeDelta::hours(1),
    };
    let talk = world.conversation(Asker::Visitor(visitor.id));
    let mut tx = world.tx(&world.scope).await;
    tx.conversations()
        .insert_visitor(&visitor)
        .await
        .expect("inserted");
    tx.conversations().insert(&talk).await.expect("inserted");
    tx.commit().await.expect("committed");
    let mut tx = world.tx(&world.scope).await;
    let found = tx
        .conversations()
        .visitor(&visitor.public_part)
        .await
        .expect("a look");
    assert_eq!(found, Some(visitor.clone()));
    assert_eq!(
        tx.conversations().of_visitor(visitor.id).await.expect("a look"),
        Some(talk.id)
    );
    assert_eq!(tx.conversations().visitor("").await.expect("a look"), None);
    drop(tx);
    let mut tx = world.tx(&world.elsewhere).await;
    assert_eq!(
        tx.conversations()
            .visitor(&visitor.public_part)
            .await
            .expect("a look"),
        None
    );
    assert_eq!(
        tx.conversations().of_visitor(visitor.id).await.expect("a look"),
        None
    );
}

async fn retention_is_edited_by_version(world: &ConversationWorld) {
    let days = |days, version| Retention {
        days,
        version,
        updated_at: Some(world.now),
    };
    let mut tx = world.tx(&world.scope).await;
    assert_eq!(tx.conversations().retention().await.expect("a look"), None);
    assert!(
        tx.conversations()
            .save_retention(&days(30, 2), 1)
            .await
            .expect("saved")
    );
    tx.commit().await.expect("committed");
    let mut tx = world.tx(&world.scope).await;
    assert!(
        !tx.conversations()
            .save_retention(&days(7, 2), 1)
            .await
            .expect("a look")
    );
    assert!(
        tx.conversations()
            .save_retention(&days(60, 3), 2)
            .await
            .expect("saved")
    );
    tx.commit().await.expect("committed");
    let mut tx = world.tx(&world.scope).await;
    assert_eq!(
        tx.conversations().retention().await.expect("a look"),
        Some(days(60, 3))
    );
    drop(tx);
    let mut tx = world.tx(&world.elsewhere).await;
    assert_eq!(tx.conversations().retention().await.expect("a look"), None);
}
