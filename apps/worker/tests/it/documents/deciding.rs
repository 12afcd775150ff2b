//! A person edits, accepts and rejects.

use posx_assistant::documents::{
    CustomerEdit, DocumentError, DraftEdit, DraftKind, DraftState, Finding, FindingCode, LineEdit, MediaType,
    OrderEdit,
};
use posx_assistant::testing::Script;
use posx_kernel::Refusal as _;
use serde_json::json;

use super::Desk;
use super::papers::{Paper, said};

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "the way of one draft")]
async fn an_edit_cures_an_error_and_a_stale_one_is_refused() {
    let desk = Desk::new().await;
    let acme = desk.customer("Acme GmbH", None).await;
    let mut paper = Paper::clean("PO-1");
    (paper.customer, paper.item) = ("Acme Intl.".into(), "Seeds, early".into());
    let answer = Script::text(&paper.read().to_string());
    let view = desk
        .read(
            DraftKind::Order,
            MediaType::Plain,
            &paper.written(MediaType::Plain),
            answer,
        )
        .await;
    let codes = |findings: &[Finding]| findings.iter().map(|one| one.code).collect::<Vec<_>>();
    let draft = view.draft.unwrap();
    assert_eq!(
        codes(&draft.findings),
        [FindingCode::BuyerUnknown, FindingCode::OfferUnknown]
    );
    let (services, scope, site) = (&desk.world.services, &desk.world.scope, &desk.world.site);
    let edit = async |version, edit: OrderEdit| {
        services
            .documents
            .edit(scope, site, view.id, version, DraftEdit::Order(edit))
            .await
    };
    let tier = services
        .tier_queries
        .tiers(scope, true, services.clock.now())
        .await
        .unwrap()[0]
        .id;
    let choose = OrderEdit {
        buyer: Some(acme),
        tiers: Some(vec![tier]),
        ..OrderEdit::default()
    };
    edit(draft.version, choose.clone()).await.unwrap();
    assert_eq!(
        edit(draft.version, choose).await.unwrap_err().code(),
        "version_stale"
    );
    let now = desk.view(view.id).await.draft.unwrap();
    assert_eq!(codes(&now.findings), [FindingCode::BuyerDiffers]);

    // A person's own total is checked as any, and the site's prices have the last word.
    let line = LineEdit {
        description: "Seed".into(),
        quantity: "3".into(),
        unit_price: "50.00".into(),
        amount: "150.00".into(),
        tier: Some(tier),
    };
    let cheaper = OrderEdit {
        lines: Some(vec![line]),
        subtotal: Some(None),
        total: Some(Some("150.00".into())),
        ..OrderEdit::default()
    };
    edit(now.version, cheaper).await.unwrap();
    let seen = ["buyer_differs".to_owned()];
    let refused = desk.accept(view.id, &seen).await.unwrap_err();
    assert!(
        matches!(refused, DocumentError::TotalDiffers { .. }),
        "{refused:?}"
    );
    let open = desk.view(view.id).await.draft.unwrap();
    assert_eq!(open.state, DraftState::Proposed);
    assert_eq!(desk.rows().await["orders"], 0);
    let fair = LineEdit {
        description: "Seed".into(),
        quantity: "3".into(),
        unit_price: "100.00".into(),
        amount: "300.00".into(),
        tier: Some(tier),
    };
    let right = OrderEdit {
        lines: Some(vec![fair]),
        total: Some(Some("300.00".into())),
        ..OrderEdit::default()
    };
    edit(open.version, right).await.unwrap();
    desk.accept_as(view.id, &seen, "again").await.unwrap();
    assert_eq!(desk.rows().await["orders"], 1);
}

/// What whoever comes second is told: they had seen the draft before the decision, or after it.
pub const LATE: [&str; 2] = ["version_stale", "document_draft_not_open"];

#[tokio::test]
async fn two_who_accept_at_once_make_one_order() {
    let desk = Desk::new().await;
    desk.customer("Acme GmbH", None).await;
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
    let (one, other) = tokio::join!(
        desk.accept_as(view.id, &[], "one"),
        desk.accept_as(view.id, &[], "other")
    );
    assert_ne!(one.is_ok(), other.is_ok(), "{one:?} {other:?}");
    let told = one.and(other).unwrap_err().code();
    assert!(LATE.contains(&told), "{told}");
    assert_eq!(desk.rows().await["orders"], 1);
    let draft = desk.view(view.id).await.draft.unwrap();
    assert_eq!(draft.state, DraftState::Accepted);
}

#[tokio::test]
async fn a_customer_is_made_with_the_decision_and_a_rejected_draft_makes_none() {
    let desk = Desk::new().await;
    let text = "Gamma SA, Paris, France. office@gamma.example";
    let answer = json!({ "name": said("Gamma SA"), "tax_number": null, "phone": null, "country": null, "address": null });
    let read = async |text: &str| {
        let answer = Script::text(&answer.to_string());
        desk.read(DraftKind::Customer, MediaType::Plain, text.as_bytes(), answer)
            .await
    };
    let view = read(text).await;
    let (services, scope, site) = (&desk.world.services, &desk.world.scope, &desk.world.site);
    let edit = CustomerEdit {
        country: Some(Some("FR".into())),
        ..CustomerEdit::default()
    };
    services
        .documents
        .edit(scope, site, view.id, 1, DraftEdit::Customer(edit))
        .await
        .unwrap();
    desk.accept(view.id, &[]).await.unwrap();
    desk.accept(view.id, &[]).await.unwrap();
    let id = desk.view(view.id).await.draft.unwrap().customer_id.unwrap();
    let customer = services.customer_queries.get(scope, id).await.unwrap().unwrap();
    assert_eq!(
        (
            customer.name.as_str(),
            customer.email.as_deref(),
            customer.country.as_deref()
        ),
        ("Gamma SA", Some("office@gamma.example"), Some("FR"))
    );
    let sent = format!("{:?}", desk.model.calls());
    assert!(
        !sent.contains("office@gamma.example"),
        "an address does not leave"
    );

    let other = read("Gamma SA, again").await;
    services
        .documents
        .reject(scope, desk.admin, other.id, 1, "a twin")
        .await
        .unwrap();
    let refused = desk
        .accept(other.id, &["customer_name_known".into()])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), "document_draft_not_open");
    assert_eq!(desk.rows().await["customers"], 1);
}
