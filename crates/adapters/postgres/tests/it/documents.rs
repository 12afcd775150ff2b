//! Documents, drafts and customers in the database.

mod likeness;

use chrono::TimeDelta;
use posx_assistant::documents::{
    BusinessHash, CustomerDraft, Decision, Document, DocumentQueries as _, DocumentState, DocumentsTx, Draft,
    DraftContent, DraftKind, DraftState, FactsWish, Field, MediaType, OrderDraft, Outcome, Saved,
};
use posx_kernel::{DocumentId, DraftId, Ids as _, ModelCallId, PartyId, SystemIds, SystemRandomness};
use posx_tenancy::{Customer, Erasure, NewCustomer, PersonalDataStore as _, ReferralCode};

use crate::server::superuser;
use crate::world::{World, noon};

async fn open(world: &World) -> Box<dyn DocumentsTx> {
    let database: &dyn posx_kernel::Begin<dyn DocumentsTx> = &world.database;
    database.begin(&world.scope).await.expect("begun")
}

fn document(world: &World, hash: u8) -> Document {
    Document {
        id: DocumentId::from_uuid(SystemIds.uuid(noon())),
        name: "order.pdf".to_owned(),
        media_type: MediaType::Pdf,
        bytes: 12,
        kind: DraftKind::Order,
        state: DocumentState::Read,
        reason: None,
        upload_until: noon(),
        uploaded_by: world.actor,
        sha256: Some([hash; 32]),
        pages: Some(vec!["Order PO-7".to_owned()]),
        created_at: noon(),
        uploaded_at: Some(noon()),
        read_at: Some(noon()),
        forgotten_at: None,
        file_gone_at: None,
    }
}

fn draft(document: &Document) -> Draft {
    Draft {
        id: DraftId::from_uuid(SystemIds.uuid(noon())),
        document: document.id,
        content: Some(DraftContent::Order(OrderDraft::default())),
        findings: Vec::new(),
        state: DraftState::Proposed,
        version: 1,
        sha256: document.sha256.expect("a hash"),
        call: ModelCallId::from_uuid(SystemIds.uuid(noon())),
        decision: None,
        outcome: None,
        created_at: noon(),
        updated_at: noon(),
    }
}

fn accepted(world: &World, draft: &Draft, customer: PartyId) -> Draft {
    let decision = Decision {
        by: world.actor,
        at: noon(),
        reason: None,
    };
    Draft {
        state: DraftState::Accepted,
        version: draft.version + 1,
        decision: Some(decision),
        outcome: Some(Outcome::Customer(customer)),
        ..draft.clone()
    }
}

impl World {
    /// Stored as it was read.
    async fn paper(&self, hash: u8, business: Option<BusinessHash>) -> (Document, Draft) {
        let document = document(self, hash);
        let draft = draft(&document);
        let mut tx = open(self).await;
        let announced = Document {
            state: DocumentState::AwaitingUpload,
            ..document.clone()
        };
        tx.documents().insert(&announced).await.expect("inserted");
        tx.documents().save(&document).await.expect("saved");
        tx.documents()
            .insert_draft(&draft, business)
            .await
            .expect("inserted");
        tx.commit().await.expect("committed");
        (document, draft)
    }

    /// Over the version before its own.
    async fn saves(&self, draft: &Draft) {
        let mut tx = open(self).await;
        let saved = tx.documents().save_draft(draft, None, draft.version - 1).await;
        assert_eq!(saved.expect("saved"), Saved::Yes);
        tx.commit().await.expect("committed");
    }

    async fn customer(&self, name: &str, tax_number: Option<&str>) -> Option<PartyId> {
        let customer = Customer {
            party: PartyId::from_uuid(SystemIds.uuid(noon())),
            record: NewCustomer {
                name: name.to_owned(),
                tax_number: tax_number.map(str::to_owned),
                ..NewCustomer::default()
            },
            created_at: noon(),
        };
        let code = ReferralCode::random(&self.site.code, &SystemRandomness);
        let mut tx = open(self).await;
        let inserted = tx.customers().insert(&customer, &code).await.expect("asked");
        tx.commit().await.expect("committed");
        inserted.then_some(customer.party)
    }

    /// A customer, a paper that waits for a decision, and two that became an order of the customer's and the customer.
    pub async fn reads_papers(&self) {
        let customer = self.customer("Acme GmbH", Some("DE136695976")).await;
        let customer = customer.expect("new");
        self.paper(1, None).await;
        for (hash, became) in [
            (
                2,
                "order_id = (select o.id from orders o where o.site_id = d.site_id limit 1), buyer_id = $2",
            ),
            (3, "party_id = $2, known_party_id = $2"),
        ] {
            let (_, draft) = self.paper(hash, None).await;
            let sql = format!(
                "update document_drafts d set state = 'accepted', decided_by = $3, decided_at = d.updated_at, {became}
                 where d.id = $1"
            );
            let done = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(draft.id.as_uuid())
                .bind(customer.as_uuid())
                .bind(self.actor.as_uuid())
                .execute(&mut superuser().await)
                .await;
            assert_eq!(done.expect("accepted").rows_affected(), 1);
        }
    }
}

#[tokio::test]
async fn a_document_and_its_draft_read_back_as_they_were_stored() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let (document, draft) = world.paper(1, None).await;
    let read = world
        .database
        .document(&world.scope, document.id)
        .await
        .expect("a read");
    assert_eq!(read.as_ref(), Some(&document));
    assert_eq!(
        world
            .database
            .draft(&world.scope, document.id)
            .await
            .expect("a read"),
        Some(draft)
    );
    let theirs =
        posx_assistant::documents::DocumentQueries::get(&world.database, &elsewhere.scope, document.id);
    assert_eq!(theirs.await.expect("a read"), None);
}

#[tokio::test]
async fn the_same_file_and_the_same_order_are_accepted_once() {
    let world = World::new().await;
    let customer = world.customer("Acme GmbH", None).await.expect("new");
    let same = BusinessHash {
        same: Some([9; 32]),
        numbered: None,
        like: None,
    };
    let (business, none) = (Some(same), None);
    for (second_file, second_business) in [(1, none), (2, business)] {
        let hash = u8::from(second_business.is_some()) * 10;
        let first = world.paper(1 + hash, business.filter(|_| hash > 0)).await;
        let second = world.paper(second_file + hash, second_business).await;
        let mut tx = open(&world).await;
        let business = business.filter(|_| hash > 0);
        let saved = tx
            .documents()
            .save_draft(&accepted(&world, &first.1, customer), business, 1)
            .await;
        assert_eq!(saved.expect("saved"), Saved::Yes);
        let stale = tx
            .documents()
            .save_draft(&accepted(&world, &first.1, customer), business, 1)
            .await;
        assert_eq!(stale.expect("asked"), Saved::Stale);
        tx.commit().await.expect("committed");
        let mut tx = open(&world).await;
        let facts = FactsWish {
            document: second.0.id,
            kind: DraftKind::Order,
            sha256: second.1.sha256,
            business_hash: second_business,
            buyer: None,
            tiers: Vec::new(),
            tax_number: None,
            name: None,
        };
        let facts = tx.documents().facts(&facts).await.expect("facts");
        assert_eq!(
            (facts.same_file, facts.same_business),
            (second_business.is_none(), second_business.is_some())
        );
        let again = tx
            .documents()
            .save_draft(&accepted(&world, &second.1, customer), second_business, 1)
            .await;
        assert_eq!(again.expect("asked"), Saved::AcceptedBefore);
    }
}

#[tokio::test]
async fn a_customer_is_found_by_number_then_by_a_name_that_one_only_has() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let acme = world
        .customer("Acme GmbH", Some("DE136695976"))
        .await
        .expect("new");
    let twin = world.customer("Twin AG", None).await.expect("new");
    assert_eq!(
        world.customer("Other", Some("DE136695976")).await,
        None,
        "its number is taken"
    );
    assert!(
        elsewhere.customer("Other", Some("DE136695976")).await.is_some(),
        "not in another site"
    );
    let find = async |tax_number: Option<&str>, name: &str| {
        let mut tx = open(&world).await;
        tx.documents().customer(tax_number, name).await.expect("asked")
    };
    assert_eq!(find(Some("DE136695976"), "twin ag").await, Some(acme));
    assert_eq!(find(Some("FR40303265045"), "twin ag").await, Some(twin));
    assert_eq!(find(None, "acme gmbh").await, Some(acme));
    assert_eq!(
        find(Some("FR40303265045"), "acme gmbh").await,
        None,
        "another firm"
    );
    assert_eq!(find(None, "nobody").await, None);
    world.customer("twin ag", None).await.expect("new");
    assert_eq!(find(None, "twin ag").await, None, "two are called so");
    let listed = posx_tenancy::CustomerQueries::list(
        &world.database,
        &world.scope,
        posx_kernel::PageRequest::new(Some(2), None),
    );
    let listed = listed.await.expect("a read");
    assert_eq!((listed.items.len(), listed.next.is_some()), (2, true));
    let theirs = posx_tenancy::CustomerQueries::get(&world.database, &elsewhere.scope, acme);
    assert_eq!(theirs.await.expect("a read"), None);
}

#[tokio::test]
async fn a_customer_without_a_login_is_exported_and_erased() {
    let (world, elsewhere) = (World::new().await, World::new().await);
    let acme = world
        .customer("Acme GmbH", Some("DE136695976"))
        .await
        .expect("new");
    let export = world.database.export(&world.scope, acme).await.expect("a read");
    let export: serde_json::Value = serde_json::from_str(&export.expect("a party")).expect("JSON");
    assert_eq!(export["customers"][0]["name"], "Acme GmbH");
    let erase = async |world: &World| {
        let stand_in = PartyId::from_uuid(SystemIds.uuid(noon()));
        let code = ReferralCode::random(&world.site.code, &SystemRandomness);
        let erased = world
            .database
            .erase(&world.scope, acme, (stand_in, &code), "asked", noon());
        erased.await.expect("asked")
    };
    assert_eq!(erase(&elsewhere).await, Erasure::NotFound);
    let done = Erasure::Done {
        login_forgotten: false,
    };
    assert_eq!(erase(&world).await, done);
    assert_eq!(erase(&world).await, Erasure::NotFound, "once");
    let shown = posx_tenancy::CustomerQueries::get(&world.database, &world.scope, acme);
    assert_eq!(shown.await.expect("a read"), None);
    let name: String = sqlx::query_scalar("select name from customers where party_id = $1")
        .bind(acme.as_uuid())
        .fetch_one(&mut superuser().await)
        .await
        .expect("the row");
    assert_eq!(name, "erased");
    assert!(
        world.customer("Acme GmbH", Some("DE136695976")).await.is_some(),
        "a new one"
    );
}

fn read_as(name: &str, tax_number: Option<&str>, email: Option<&str>) -> DraftContent {
    let field = |text: &str| Some(Field::by_person(text));
    DraftContent::Customer(CustomerDraft {
        name: field(name),
        tax_number: tax_number.and_then(field),
        email: email.and_then(field),
        ..CustomerDraft::default()
    })
}

/// Left of a paper: its name, its text, what was read, and why it was rejected.
async fn left_of(world: &World, paper: &Document) -> (String, bool, bool, Option<String>) {
    let document = world.database.document(&world.scope, paper.id).await;
    let document = document.expect("a read").expect("there");
    let draft = world.database.draft(&world.scope, paper.id).await;
    let draft = draft.expect("a read").expect("there");
    let reason = draft.decision.and_then(|decision| decision.reason);
    (
        document.name,
        document.pages.is_some(),
        draft.content.is_some(),
        reason,
    )
}

async fn erase(world: &World, party: PartyId) {
    let stand_in = PartyId::from_uuid(SystemIds.uuid(noon()));
    let code = ReferralCode::random(&world.site.code, &SystemRandomness);
    let erased = world
        .database
        .erase(&world.scope, party, (stand_in, &code), "asked", noon());
    assert!(matches!(erased.await.expect("asked"), Erasure::Done { .. }));
}

#[tokio::test]
async fn a_paper_that_names_a_customer_is_exported_and_goes_with_them_whatever_became_of_it() {
    let world = World::new().await;
    let paper = async |hash, content: DraftContent| {
        let (document, draft) = world.paper(hash, None).await;
        let edited = Draft {
            content: Some(content),
            version: 2,
            ..draft
        };
        world.saves(&edited).await;
        (document, edited)
    };
    // Read before there was a record of the person.
    let (early, _) = paper(1, read_as("Acme", Some("DE 136.695.976"), None)).await;
    let acme = world
        .customer("Acme GmbH", Some("DE136695976"))
        .await
        .expect("new");
    world
        .customer("Beta AG", Some("CHE100155212"))
        .await
        .expect("new");
    let (known, draft) = paper(2, read_as("Acme", Some("de136695976"), None)).await;
    let rejected = Draft {
        content: Some(read_as("Acme", Some("CHE100155212"), None)),
        state: DraftState::Rejected,
        version: 3,
        decision: Some(Decision {
            by: world.actor,
            at: noon(),
            reason: Some("Acme is known to us".to_owned()),
        }),
        ..draft
    };
    world.saves(&rejected).await;
    let sql = "update customers set email = 'office@acme.example' where party_id = $1";
    let done = sqlx::query(sql)
        .bind(acme.as_uuid())
        .execute(&mut superuser().await)
        .await;
    assert_eq!(done.expect("set").rows_affected(), 1);
    let (mailed, _) = paper(3, read_as("A. Clerk", None, Some("Office@acme.example"))).await;
    let (namesake, _) = paper(4, read_as("Acme GmbH", Some("FR40303265045"), None)).await;

    let export = world.database.export(&world.scope, acme).await.expect("a read");
    let export: serde_json::Value = serde_json::from_str(&export.expect("a party")).expect("JSON");
    let drafts = export["document_drafts"].as_array().expect("drafts");
    assert_eq!(
        (drafts.len(), export["documents"].as_array().map(Vec::len)),
        (3, Some(3))
    );
    assert!(
        drafts.iter().all(|draft| draft["content"].is_object()),
        "{drafts:?}"
    );
    assert!(
        drafts
            .iter()
            .any(|draft| draft["reason"] == "Acme is known to us"),
        "{drafts:?}"
    );

    erase(&world, acme).await;
    for paper in [&early, &known, &mailed] {
        let gone = ("erased".to_owned(), false, false, None);
        assert_eq!(left_of(&world, paper).await, gone, "{paper:?}");
    }
    let kept = ("order.pdf".to_owned(), true, true, None);
    assert_eq!(
        left_of(&world, &namesake).await,
        kept,
        "a name says not who it is"
    );
}

#[tokio::test]
async fn tiers_are_found_by_a_name_that_one_active_tier_has() {
    let world = World::new().await;
    let tier = world.tier(5, 100).await;
    let name = {
        let mut tx = open(&world).await;
        let mut called = async |name: &str| {
            let names = ["nothing".to_owned(), name.to_owned()];
            tx.documents().tiers_called(&names).await.expect("asked")
        };
        let tiers = posx_tiers::TierQueries::tiers(&world.database, &world.scope, true, noon())
            .await
            .expect("a read");
        let name = tiers[0].name.to_lowercase();
        assert_eq!(called(&name).await, [None, Some(tier)]);
        name
    };
    world.tier(5, 100).await;
    let mut tx = open(&world).await;
    assert_eq!(
        tx.documents().tiers_called(&[name]).await.expect("asked"),
        [None],
        "two are called so"
    );
}

#[tokio::test]
async fn what_is_due_is_found_until_it_is_gone() {
    let world = World::new().await;
    let (old, _) = world.paper(1, None).await;
    let later = noon() + TimeDelta::days(200);
    let due = async |announced, made| {
        world
            .database
            .due(&world.scope, announced, made, 10)
            .await
            .expect("a read")
    };
    assert_eq!(due(later, noon()).await, Vec::new());
    assert_eq!(due(later, later).await, [old.id]);
    let mut gone = old.clone();
    gone.name = "forgotten".to_owned();
    (gone.pages, gone.forgotten_at) = (None, Some(later));
    let mut tx = open(&world).await;
    tx.documents().save(&gone).await.expect("saved");
    tx.commit().await.expect("committed");
    assert_eq!(due(later, later).await, Vec::new());
    let files = async || world.database.files_due(&world.scope, 10).await.expect("a read");
    assert_eq!(files().await, [old.id]);
    gone.file_gone_at = Some(later);
    let mut tx = open(&world).await;
    tx.documents().save(&gone).await.expect("saved");
    tx.commit().await.expect("committed");
    assert_eq!(files().await, Vec::new());
}
