//! What is kept, for how long, and what goes with a person.

use chrono::TimeDelta;
use posx_assistant::documents::{DocumentState, DraftEdit, DraftKind, DraftState, MediaType, OrderEdit};
use posx_assistant::testing::Script;
use posx_kernel::{PartyId, Refusal as _, SystemRandomness};
use posx_tenancy::{Erasure, PersonalDataStore as _, ReferralCode, SiteState};
use serde_json::json;

use super::Desk;
use super::papers::Paper;

#[tokio::test]
async fn what_is_kept_no_longer_is_forgotten_with_its_file_and_what_was_never_sent_expires() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", None).await;
    let paper = Paper::clean("PO-1");
    let answer = Script::text(&paper.read().to_string());
    let read = desk
        .read(
            DraftKind::Order,
            MediaType::Plain,
            &paper.written(MediaType::Plain),
            answer,
        )
        .await;
    let never = desk
        .send(DraftKind::Order, MediaType::Plain, b"never confirmed")
        .await;
    assert_eq!(desk.files(), 2);
    let day = async |days| {
        desk.world.clock.advance(TimeDelta::days(days));
        desk.world.add_job("forget_documents", json!({}), 3).await;
        desk.drain().await;
    };
    day(2).await;
    assert_eq!(desk.view(never).await.state, DocumentState::Expired);
    assert_eq!((desk.files(), desk.view(read.id).await.forgotten_at), (1, None));
    day(200).await;
    let old = desk.view(read.id).await;
    let draft = old.draft.unwrap();
    assert_eq!(
        (old.name.as_str(), draft.content, draft.state),
        ("forgotten", None, DraftState::Expired)
    );
    assert_eq!((desk.files(), old.forgotten_at.is_some()), (0, true));
    let refused = desk.accept(read.id, &[]).await.unwrap_err();
    assert_eq!(refused.code(), "document_draft_not_open");
    let text: i64 = sqlx::query_scalar(
        "select count(*) from documents where site_id = $1 and (pages is not null or name <> 'forgotten')",
    )
    .bind(desk.world.site.id.as_uuid())
    .fetch_one(&desk.world.superuser)
    .await
    .unwrap();
    assert_eq!(text, 0);
}

#[tokio::test]
async fn a_member_who_is_erased_takes_record_and_papers_along() {
    let desk = Desk::new().await;
    let member = desk.world.joins("carla", None).await;
    let paper = Paper::clean("PO-1");
    let answer = Script::text(&paper.read().to_string());
    let view = desk
        .read(
            DraftKind::Order,
            MediaType::Plain,
            &paper.written(MediaType::Plain),
            answer,
        )
        .await;
    let (services, scope, site) = (&desk.world.services, &desk.world.scope, &desk.world.site);
    let hers = OrderEdit {
        buyer: Some(member.party),
        ..OrderEdit::default()
    };
    services
        .documents
        .edit(scope, site, view.id, 1, DraftEdit::Order(hers))
        .await
        .unwrap();
    let export = services
        .database
        .export(scope, member.party)
        .await
        .unwrap()
        .unwrap();
    let export: serde_json::Value = serde_json::from_str(&export).unwrap();
    assert_eq!(
        export["document_drafts"][0]["content"]["order"]["number"]["value"],
        "PO-1"
    );
    assert_eq!(export["documents"].as_array().unwrap().len(), 1);

    let stand_in = PartyId::from_uuid(services.ids.uuid(services.clock.now()));
    let code = ReferralCode::random(&site.code, &SystemRandomness);
    let now = services.clock.now();
    let erased = services
        .database
        .erase(scope, member.party, (stand_in, &code), "asked", now)
        .await
        .unwrap();
    assert!(matches!(erased, Erasure::Done { .. }), "{erased:?}");
    let left = desk.view(view.id).await;
    assert_eq!(
        (left.name.as_str(), left.draft.unwrap().content),
        ("erased", None)
    );
    desk.world.add_job("forget_documents", json!({}), 3).await;
    desk.drain().await;
    assert_eq!(desk.files(), 0);
}

#[tokio::test]
async fn the_paper_of_a_buyer_who_is_erased_is_open_no_more_and_its_file_may_come_again() {
    let desk = Desk::new().await;
    let member = desk.world.joins("carla", None).await;
    let paper = Paper::clean("PO-1");
    let read = async || {
        let answer = Script::text(&paper.read().to_string());
        let bytes = paper.written(MediaType::Plain);
        desk.read(DraftKind::Order, MediaType::Plain, &bytes, answer)
            .await
    };
    let first = read().await;
    let (services, scope, site) = (&desk.world.services, &desk.world.scope, &desk.world.site);
    let hers = OrderEdit {
        buyer: Some(member.party),
        ..OrderEdit::default()
    };
    let edit = DraftEdit::Order(hers);
    services
        .documents
        .edit(scope, site, first.id, 1, edit)
        .await
        .unwrap();
    let stand_in = PartyId::from_uuid(services.ids.uuid(services.clock.now()));
    let code = ReferralCode::random(&site.code, &SystemRandomness);
    let now = services.clock.now();
    let erased = services
        .database
        .erase(scope, member.party, (stand_in, &code), "asked", now);
    assert!(matches!(erased.await.unwrap(), Erasure::Done { .. }));
    let refused = desk.accept(first.id, &[]).await.unwrap_err();
    assert_eq!(refused.code(), "document_draft_not_open");
    assert_eq!(
        desk.view(first.id).await.draft.unwrap().state,
        DraftState::Expired
    );

    desk.customer("Acme GmbH", None).await;
    let again = read().await;
    assert_eq!(again.draft.as_ref().unwrap().findings, []);
    desk.accept(again.id, &[]).await.unwrap();
    assert_eq!(desk.rows().await["orders"], 1);
}

#[tokio::test]
async fn retention_takes_the_reason_of_a_rejection_along_and_does_not_stop_at_a_suspended_site() {
    let desk = Desk::new().await;
    let paper = Paper::clean("PO-1");
    let answer = Script::text(&paper.read().to_string());
    let bytes = paper.written(MediaType::Plain);
    let view = desk
        .read(DraftKind::Order, MediaType::Plain, &bytes, answer)
        .await;
    let (services, scope) = (&desk.world.services, &desk.world.scope);
    let rejected = services
        .documents
        .reject(scope, desk.admin, view.id, 1, "Ms Acme called: it is not hers");
    rejected.await.unwrap();
    let shown = desk.view(view.id).await.draft.unwrap().reject_reason;
    assert_eq!(shown.as_deref(), Some("Ms Acme called: it is not hers"));

    desk.world.set_state(SiteState::Suspended).await;
    desk.world.clock.advance(TimeDelta::days(200));
    for task in ["purge", "forget_documents"] {
        desk.world.add_job(task, json!({}), 3).await;
    }
    desk.drain().await;
    let left = desk.view(view.id).await;
    let draft = left.draft.unwrap();
    assert_eq!((draft.content, draft.reject_reason), (None, None));
    assert_eq!((left.name.as_str(), desk.files()), ("forgotten", 0));
    assert_eq!(draft.state, DraftState::Rejected);
}
