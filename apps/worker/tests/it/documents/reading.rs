//! What bad files, late uploads and silent models come to.

use std::time::Duration;

use posx_assistant::documents::{
    DocumentError, DocumentState, DraftKind, FindingCode, MediaType, PAGES_MAX, ReadOutcome, Unusable,
};
use posx_assistant::testing::Script;
use posx_assistant::{Message, ModelError, Part};
use posx_worker::drain_site;

use super::Desk;
use super::papers::{Paper, pdf};

/// A PNG of one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";

async fn unreadable(desk: &Desk, media_type: MediaType, bytes: &[u8]) -> Option<Unusable> {
    let id = desk.send(DraftKind::Order, media_type, bytes).await;
    desk.confirm(id).await.unwrap();
    desk.drain().await;
    let view = desk.view(id).await;
    assert_eq!((view.state, view.draft), (DocumentState::Unreadable, None));
    view.reason
}

#[tokio::test]
async fn a_file_that_is_not_what_was_announced_is_refused_and_deleted() {
    let desk = Desk::new().await;
    let id = desk
        .send(DraftKind::Order, MediaType::Pdf, b"MZ\x90\0 a program")
        .await;
    for _ in 0..2 {
        let refused = desk.confirm(id).await.unwrap_err();
        assert!(matches!(refused, DocumentError::Refused(Unusable::TypeDiffers)));
    }
    assert_eq!(desk.view(id).await.state, DocumentState::Refused);
    assert_eq!(desk.files(), 0);
    assert_eq!(desk.model.calls().len(), 0);
}

#[tokio::test]
async fn bombs_secrets_scans_and_ten_thousand_pages_harm_nobody_and_say_why() {
    let desk = Desk::new().await;
    let many = vec!["x"; 10_000];
    assert_eq!(
        unreadable(&desk, MediaType::Pdf, &pdf(&many)).await,
        Some(Unusable::TooManyPages)
    );
    assert_eq!(
        unreadable(&desk, MediaType::Pdf, &pdf(&[""])).await,
        Some(Unusable::PdfWithoutText)
    );
    assert_eq!(
        unreadable(&desk, MediaType::Pdf, b"%PDF-1.7\nnothing more").await,
        Some(Unusable::PdfBroken)
    );
    assert_eq!(
        unreadable(&desk, MediaType::Pdf, &encrypted()).await,
        Some(Unusable::PdfEncrypted)
    );
    assert_eq!(
        unreadable(&desk, MediaType::Pdf, &bomb()).await,
        Some(Unusable::TooCostly)
    );
    let nested = [
        b"%PDF-1.4\n1 0 obj\n".as_slice(),
        &b"[".repeat(2_000_000),
        b"\nendobj\ntrailer<</Root 1 0 R>>",
    ]
    .concat();
    let said = unreadable(&desk, MediaType::Pdf, &nested).await;
    assert!(
        matches!(said, Some(Unusable::PdfBroken | Unusable::TooCostly)),
        "{said:?}"
    );
    assert_eq!(
        unreadable(&desk, MediaType::Plain, b" \n ").await,
        Some(Unusable::TextEmpty)
    );
    let long = "word ".repeat(40_000);
    assert_eq!(
        unreadable(&desk, MediaType::Plain, long.as_bytes()).await,
        Some(Unusable::TextTooLong)
    );
    let pages = "p\u{c}".repeat(PAGES_MAX + 1);
    // A form feed between pages is no control character that a text must not have.
    assert_eq!(
        unreadable(&desk, MediaType::Plain, pages.as_bytes()).await,
        Some(Unusable::TooManyPages)
    );
    assert_eq!(desk.model.calls().len(), 0, "nothing was paid for");
}

/// A page whose stream unpacks to a gigabyte.
fn bomb() -> Vec<u8> {
    let mut document = lopdf::Document::load_mem(&pdf(&["x"])).unwrap();
    let page = document.page_iter().next().unwrap();
    let content = document.get_page_contents(page)[0];
    let zeros = vec![b' '; 64 * 1024 * 1024];
    let mut stream = lopdf::Stream::new(lopdf::Dictionary::new(), zeros);
    stream.compress().unwrap();
    document.objects.insert(content, stream.into());
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    assert!(bytes.len() < 1024 * 1024);
    bytes
}

fn encrypted() -> Vec<u8> {
    let mut document = lopdf::Document::load_mem(&pdf(&["secret"])).unwrap();
    let id = lopdf::Object::string_literal("0123456789abcdef");
    document
        .trailer
        .set("ID", lopdf::Object::Array(vec![id.clone(), id]));
    let version = lopdf::EncryptionVersion::V2 {
        document: &document,
        owner_password: "owner",
        user_password: "user",
        key_length: 128,
        permissions: lopdf::Permissions::default(),
    };
    let state = lopdf::EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_file_that_was_exchanged_after_it_was_looked_at_is_not_read() {
    let desk = Desk::new().await;
    let paper = Paper::clean("PO-1");
    let id = desk
        .send(
            DraftKind::Order,
            MediaType::Plain,
            &paper.written(MediaType::Plain),
        )
        .await;
    desk.confirm(id).await.unwrap();
    let mut other = paper;
    other.total = "900.00".into();
    let place = posx_assistant::documents::FilePlace {
        site: desk.world.site.id,
        document: id,
    };
    let bytes = other.written(MediaType::Plain);
    let mut arrival = desk
        .folder
        .receive(place, u32::try_from(bytes.len()).unwrap(), "late")
        .await
        .unwrap();
    assert!(arrival.write(&bytes).await.unwrap() && arrival.finish().await.unwrap());
    desk.drain().await;
    assert_eq!(desk.view(id).await.reason, Some(Unusable::FileChanged));
}

#[tokio::test]
async fn an_image_goes_to_the_model_and_nobody_can_verify_what_it_says() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", None).await;
    let answer = Script::text(&Paper::clean("PO-1").read().to_string());
    let view = desk.read(DraftKind::Order, MediaType::Png, PNG, answer).await;
    let findings = view.draft.unwrap().findings;
    assert_eq!(
        findings.iter().map(|one| one.code).collect::<Vec<_>>(),
        [FindingCode::NotVerifiable]
    );
    let call = desk.model.calls().remove(0);
    let Message::User(parts) = &call.messages[0] else {
        panic!("{call:?}")
    };
    assert!(matches!(parts.as_slice(), [Part::Image(image)] if image.bytes == PNG));
}

#[tokio::test]
async fn p35_a_model_that_reads_a_document_is_given_no_tool() {
    let desk = Desk::new().await;
    let paper = Paper::clean("PO-1");
    desk.read(
        DraftKind::Order,
        MediaType::Csv,
        &paper.written(MediaType::Csv),
        Script::text("{}"),
    )
    .await;
    let call = desk.model.calls().remove(0);
    assert!(call.tools.is_empty() && call.answer_schema.is_some());
    assert!(
        !call.system.contains("Acme"),
        "what the document says is not in the system's text"
    );
}

#[tokio::test]
async fn a_model_that_is_away_is_asked_again_and_one_that_refuses_is_not() {
    let desk = Desk::new().await;
    let paper = Paper::clean("PO-1");
    let id = desk
        .send(DraftKind::Order, MediaType::Csv, &paper.written(MediaType::Csv))
        .await;
    desk.confirm(id).await.unwrap();
    desk.model.then(Script::error(ModelError::NotAuthorized));
    let drained = drain_site(&desk.world.services, desk.world.site.id)
        .await
        .unwrap();
    assert_eq!(drained.failures.len(), 1);
    assert_eq!(desk.view(id).await.state, DocumentState::Uploaded);
    desk.world.end_back_off().await;
    desk.model.then(Script::text(&paper.read().to_string()));
    desk.drain().await;
    assert_eq!(desk.view(id).await.state, DocumentState::Read);

    let refused = Script::error(ModelError::Refused {
        code: "policy".into(),
    });
    let view = desk
        .read(DraftKind::Order, MediaType::Plain, b"something else", refused)
        .await;
    assert_eq!(view.reason, Some(Unusable::ModelRefused));
}

#[tokio::test]
async fn two_workers_that_read_one_document_make_one_draft() {
    let desk = Desk::new().await;
    let paper = Paper::clean("PO-1");
    let id = desk
        .send(DraftKind::Order, MediaType::Csv, &paper.written(MediaType::Csv))
        .await;
    desk.confirm(id).await.unwrap();
    let said = paper.read().to_string();
    desk.model.then(Script::text(&said).after(Duration::from_secs(4)));
    desk.model.then(Script::text(&said));
    let (documents, scope, site) = (
        &desk.world.services.documents,
        &desk.world.scope,
        &desk.world.site,
    );
    let second = async {
        while desk.model.calls().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        documents.read(scope, site, id).await
    };
    let (one, other) = tokio::join!(documents.read(scope, site, id), second);
    let outcomes = [one.unwrap(), other.unwrap()];
    let drafts = outcomes
        .iter()
        .filter(|done| matches!(done, ReadOutcome::Draft(_)));
    assert_eq!(drafts.count(), 1, "{outcomes:?}");
    assert!(outcomes.contains(&ReadOutcome::NothingToDo), "{outcomes:?}");
    assert_eq!(desk.model.calls().len(), 2, "both were under way");
    desk.drain().await;
    let drafts: i64 = sqlx::query_scalar("select count(*) from document_drafts where site_id = $1")
        .bind(site.id.as_uuid())
        .fetch_one(&desk.world.superuser)
        .await
        .unwrap();
    assert_eq!(drafts, 1);
}
