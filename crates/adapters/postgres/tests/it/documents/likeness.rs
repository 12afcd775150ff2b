//! Orders that look like one another.

use posx_assistant::documents::{BusinessHash, DraftKind, FactsWish, Saved};

use super::{accepted, open};
use crate::world::World;

#[tokio::test]
async fn an_order_is_like_one_with_its_number_as_read_or_with_its_lines_and_no_number() {
    let hash = |same: Option<u8>, numbered: Option<u8>, like: u8| BusinessHash {
        same: same.map(|byte| [byte; 32]),
        numbered: numbered.map(|byte| [byte; 32]),
        like: Some([like; 32]),
    };
    let world = World::new().await;
    let customer = world.customer("Acme GmbH", None).await.expect("new");
    let first = hash(Some(1), Some(1), 1);
    // Its number is another by an edit; the second has none.
    for (file, read, edited) in [
        (1, first, hash(Some(2), Some(1), 1)),
        (2, hash(None, None, 2), hash(None, None, 2)),
    ] {
        let (_, draft) = world.paper(file, Some(read)).await;
        let mut tx = open(&world).await;
        let accepted = accepted(&world, &draft, customer);
        let saved = tx.documents().save_draft(&accepted, Some(edited), 1).await;
        assert_eq!(saved.expect("saved"), Saved::Yes);
        tx.commit().await.expect("committed");
    }
    let (own, _) = world.paper(3, None).await;
    let told = async |business| {
        let wish = FactsWish {
            document: own.id,
            kind: DraftKind::Order,
            sha256: [100; 32],
            business_hash: Some(business),
            buyer: None,
            tiers: Vec::new(),
            tax_number: None,
            name: None,
        };
        let mut tx = open(&world).await;
        let facts = tx.documents().facts(&wish).await.expect("facts");
        (facts.same_business, facts.similar_business)
    };
    assert_eq!(told(hash(Some(3), Some(3), 9)).await, (false, false));
    assert_eq!(
        told(hash(Some(2), Some(2), 9)).await,
        (true, false),
        "as it was edited"
    );
    assert_eq!(told(first).await, (false, true), "as it was read");
    assert_eq!(
        told(hash(Some(3), Some(3), 1)).await,
        (false, false),
        "both have a number"
    );
    assert_eq!(
        told(hash(None, None, 1)).await,
        (false, true),
        "this one has none"
    );
    assert_eq!(
        told(hash(Some(3), Some(3), 2)).await,
        (false, true),
        "that one has none"
    );
}
