use std::sync::Arc;

use posx_kernel::{
    IdentityId, Kind, ManualClock, Refusal as _, SeededIds, SiteId, SiteScope, Timestamp, VisitorId,
};
use uuid::Uuid;

use super::{ChatError, Conversation, Conversations, RETENTION_DAYS, Retention};
use crate::Asker;
use crate::testing::{ConversationWorld, FakeConversations, conversation_contract};

fn site(number: u128) -> SiteScope {
    SiteScope::of_claimed_job(SiteId::from_uuid(Uuid::from_u128(number)))
}

fn identity(number: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(number))
}

fn conversations(store: &FakeConversations) -> Conversations {
    let clock = Arc::new(ManualClock::stopped_at(Timestamp::UNIX_EPOCH));
    Conversations::new(Arc::new(store.clone()), clock, Arc::new(SeededIds::new(1)))
}

#[tokio::test]
async fn the_fake_keeps_the_contract() {
    let world = ConversationWorld {
        db: Arc::new(FakeConversations::default()),
        scope: site(1),
        elsewhere: site(2),
        members: [identity(1), identity(2)],
        now: "2026-06-01T12:00:00Z".parse().unwrap(),
    };
    conversation_contract(&world).await;
}

#[test]
fn a_title_is_short_and_on_one_line_or_is_none() {
    let begin = |title: Option<&str>| {
        let id = posx_kernel::ConversationId::from_uuid(Uuid::nil());
        let of = Asker::Visitor(VisitorId::from_uuid(Uuid::nil()));
        Conversation::begin(id, of, title.map(ToOwned::to_owned), Timestamp::UNIX_EPOCH)
    };
    assert_eq!(begin(Some(" Sales ")).unwrap().title.as_deref(), Some("Sales"));
    assert_eq!(begin(None).unwrap().title, None);
    let long = "é".repeat(121);
    for wrong in ["", "  ", "a\nb", &long] {
        assert_eq!(
            begin(Some(wrong)).unwrap_err().code(),
            "conversation_title_invalid"
        );
    }
    begin(Some(&long[2..])).unwrap();
}

#[tokio::test]
async fn only_its_owner_deletes_a_talk() {
    let store = FakeConversations::default();
    let conversations = conversations(&store);
    let id = conversations
        .create(&site(1), identity(1), None, None)
        .await
        .unwrap()
        .id;
    for (scope, of) in [(site(1), identity(2)), (site(2), identity(1))] {
        let refused = conversations.delete(&scope, of, id).await;
        assert!(matches!(refused, Err(ChatError::NotFound)));
    }
    conversations.delete(&site(1), identity(1), id).await.unwrap();
    let again = conversations.delete(&site(1), identity(1), id).await;
    assert!(matches!(again, Err(ChatError::NotFound)));
}

#[tokio::test]
async fn texts_are_kept_for_half_a_year_or_as_the_site_says() {
    let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    assert_eq!(Retention::DEFAULT.days, RETENTION_DAYS);
    assert_eq!(
        Retention::DEFAULT.cutoff(now).to_rfc3339(),
        "2025-11-30T12:00:00+00:00"
    );
    let store = FakeConversations::default();
    let conversations = conversations(&store);
    let set = async |days, seen| conversations.set_retention(&site(1), days, seen).await;
    for days in [0, 1_831, u16::MAX] {
        assert_eq!(set(days, 1).await.unwrap_err().code(), "retention_invalid");
    }
    set(30, 1).await.unwrap();
    assert_eq!(set(60, 1).await.unwrap_err().kind(), Kind::Stale);
    set(60, 2).await.unwrap();
    let events = store.events();
    assert_eq!(events[0].payload["changes"]["days"], serde_json::json!([183, 30]));
    assert_eq!(events[1].payload["changes"]["days"], serde_json::json!([30, 60]));
}
