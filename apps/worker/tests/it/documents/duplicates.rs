//! Orders that came before, under whatever number, and customers that are others: no edit takes them past a person unseen.

use posx_assistant::documents::{
    DocumentError, DocumentView, DraftEdit, DraftKind, FindingCode, MediaType, OrderEdit,
};
use serde_json::Value;

use super::Desk;
use super::evaluation::{but, codes, honest};
use super::papers::Paper;

async fn edited(desk: &Desk, view: &DocumentView, edit: OrderEdit) -> DocumentView {
    let version = desk.view(view.id).await.draft.unwrap().version;
    let (services, scope, site) = (&desk.world.services, &desk.world.scope, &desk.world.site);
    let edited = services
        .documents
        .edit(scope, site, view.id, version, DraftEdit::Order(edit));
    edited.await.unwrap();
    desk.view(view.id).await
}

/// Another number, or none.
fn numbered(number: Option<&str>) -> OrderEdit {
    OrderEdit {
        number: Some(number.map(str::to_owned)),
        ..OrderEdit::default()
    }
}

#[tokio::test]
async fn an_order_of_another_firm_of_the_same_name_is_not_the_customers() {
    let desk = Desk::new().await;
    let acme = desk.customer("Acme GmbH", Some("DE136695976")).await;
    let mut paper = Paper::clean("PO-1");
    paper.tax_number = "FR40303265045".into();
    let view = desk
        .read(
            DraftKind::Order,
            MediaType::Pdf,
            &paper.written(MediaType::Pdf),
            honest(&paper),
        )
        .await;
    assert_eq!(codes(&view), [FindingCode::BuyerUnknown]);
    let choose = OrderEdit {
        buyer: Some(acme),
        ..OrderEdit::default()
    };
    let chosen = edited(&desk, &view, choose).await;
    assert_eq!(codes(&chosen), [FindingCode::BuyerTaxNumberDiffers]);
    let refused = desk.accept(view.id, &["buyer_tax_number_differs".into()]).await;
    assert!(matches!(refused, Err(DocumentError::HasErrors(_))), "{refused:?}");
    let right = OrderEdit {
        customer_tax_number: Some(Some("DE 136695976".into())),
        ..OrderEdit::default()
    };
    assert_eq!(codes(&edited(&desk, &view, right).await), []);
}

#[tokio::test]
async fn no_edit_of_its_number_takes_a_duplicate_past_its_twin_unseen() {
    let desk = Desk::new().await;
    let acme = desk.customer("Acme GmbH", Some("DE136695976")).await;
    let mut paper = Paper::clean("PO-7");
    let read = async |paper: &Paper, media_type: MediaType| {
        desk.read(
            DraftKind::Order,
            media_type,
            &paper.written(media_type),
            honest(paper),
        )
        .await
    };
    let first = read(&paper, MediaType::Pdf).await;
    let twin = read(&paper, MediaType::Csv).await;
    desk.accept(first.id, &[]).await.unwrap();
    for number in [None, Some("-"), Some("po 7")] {
        let twin = edited(&desk, &twin, numbered(number)).await;
        assert_eq!(codes(&twin), [FindingCode::DuplicateOrder], "{number:?}");
    }
    let renamed = edited(&desk, &twin, numbered(Some("PO-8"))).await;
    assert_eq!(codes(&renamed), [FindingCode::DuplicateSuspected]);
    let refused = desk.accept(twin.id, &[]).await;
    assert!(
        matches!(refused, Err(DocumentError::WarningsUnseen(_))),
        "{refused:?}"
    );
    // By its number it is another order now, and a person has seen whose twin it was read as.
    desk.accept_as(twin.id, &["duplicate_suspected".into()], "seen")
        .await
        .unwrap();
    let third = read(&paper, MediaType::Plain).await;
    assert_eq!(codes(&third), [FindingCode::DuplicateOrder]);

    // The same number with another total, as an edit or a model that misread would make it.
    let mut more = paper.clone();
    (more.quantity, more.amount) = ("3".into(), "300.00".into());
    (more.subtotal, more.total) = ("300.00".into(), "300.00".into());
    let more = read(&more, MediaType::Csv).await;
    assert_eq!(codes(&more), [FindingCode::DuplicateSuspected]);

    // A paper that calls the customer otherwise is the same order as soon as a person says whose it is.
    (paper.customer, paper.tax_number) = ("Acme Intl.".into(), "ATU10223006".into());
    let other = read(&paper, MediaType::Pdf).await;
    assert_eq!(codes(&other), [FindingCode::BuyerUnknown]);
    let choose = OrderEdit {
        buyer: Some(acme),
        customer_tax_number: Some(None),
        ..OrderEdit::default()
    };
    assert_eq!(
        codes(&edited(&desk, &other, choose.clone()).await),
        [FindingCode::DuplicateOrder, FindingCode::BuyerDiffers]
    );
    let other = read(&paper, MediaType::Csv).await;
    let both = OrderEdit {
        number: Some(Some("PO-9".into())),
        ..choose
    };
    assert_eq!(
        codes(&edited(&desk, &other, both).await),
        [FindingCode::DuplicateSuspected, FindingCode::BuyerDiffers]
    );
}

#[tokio::test]
async fn an_order_without_a_number_is_suspected_where_customer_total_and_lines_are_the_same() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", Some("DE136695976")).await;
    let read = async |paper: &Paper, media_type: MediaType| {
        let answer = if paper.number.is_empty() {
            but(paper, "number", Value::Null)
        } else {
            honest(paper)
        };
        desk.read(DraftKind::Order, media_type, &paper.written(media_type), answer)
            .await
    };
    let paper = Paper::clean("");
    let first = read(&paper, MediaType::Pdf).await;
    assert_eq!(codes(&first), []);
    let twin = read(&paper, MediaType::Csv).await;
    assert_eq!(
        codes(&twin),
        [FindingCode::DuplicateSuspected],
        "while the first one is open"
    );
    desk.accept(first.id, &[]).await.unwrap();
    let numbered = read(&Paper::clean("PO-9"), MediaType::Plain).await;
    assert_eq!(codes(&numbered), [FindingCode::DuplicateSuspected]);
    let refused = desk.accept(twin.id, &[]).await;
    assert!(
        matches!(refused, Err(DocumentError::WarningsUnseen(_))),
        "{refused:?}"
    );
    let mut more = paper;
    (more.quantity, more.amount) = ("3".into(), "300.00".into());
    (more.subtotal, more.total) = ("300.00".into(), "300.00".into());
    assert_eq!(
        codes(&read(&more, MediaType::Csv).await),
        [],
        "other lines are another order"
    );
    assert_eq!(desk.rows().await["orders"], 1);
}
