//! What the custodian says, by webhook and by look-up.

use super::*;

#[tokio::test]
async fn p26_webhooks_out_of_order_end_done_with_one_entry_and_one_event() {
    let shop = shop();
    let (id, external_id) = shop.submitted().await;
    for (status, hash) in [
        ("CONFIRMING", Some("0xabc")),
        ("BROADCASTING", None),
        ("COMPLETED", Some("0xabc")),
        ("QUEUED", None),
        ("COMPLETED", Some("0xabc")),
        ("CONFIRMING", Some("0xabc")),
    ] {
        shop.report(&external_id, status, hash).await.expect("applied");
    }
    let done = shop.read(id).state;
    assert!(
        matches!(done, AllocationState::Done { tx_hash, confirmed_at, .. } if tx_hash == "0xabc" && confirmed_at == at(0))
    );
    let world = shop.world();
    assert_eq!(world.entries.len(), 1);
    let sides: Vec<_> = world.entries[0]
        .postings()
        .iter()
        .map(|posting| (posting.side, posting.account.clone()))
        .collect();
    assert_eq!(
        sides,
        [
            (Side::Debit, Account::TokensDelivered),
            (Side::Credit, Account::TokensSold)
        ]
    );
    assert!(
        world.entries[0]
            .postings()
            .iter()
            .all(|posting| posting.amount == 501)
    );
    assert_eq!(
        shop.events(),
        [
            "allocation.created",
            "allocation_batch.created",
            "allocation_batch.approval_given",
            "allocation_batch.approved",
            "allocation_batch.sending",
            "allocation.submitted",
            "allocation.done",
            "allocation_batch.done"
        ]
    );
    assert_eq!(shop.delivery(1), Delivery::Done);
}

#[tokio::test]
async fn a_webhook_that_comes_before_the_answer_settles_the_try() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody.script([Answer::LostOnTheWayBack]);
    assert!(shop.service.submit(&shop.scope, id).await.is_err());
    let external_id = format!("{id}-1");
    shop.report(&external_id, "CONFIRMING", None)
        .await
        .expect("applied");
    assert_eq!(
        shop.service.submit(&shop.scope, id).await.expect("nothing to do"),
        Applied::AlreadyApplied
    );
    assert_eq!(shop.custody.lookups(), 0);
    assert_eq!(shop.state(id), StateName::Confirming);
}

#[tokio::test]
async fn an_order_is_partly_delivered_until_its_last_line_is() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    let batch = shop.batch(&made).await;
    shop.send_all(batch).await.expect("submitted");
    shop.report(&format!("{}-1", made[0]), "COMPLETED", Some("0x1"))
        .await
        .expect("applied");
    assert_eq!(shop.delivery(1), Delivery::Partial);
    shop.report(&format!("{}-1", made[1]), "COMPLETED", Some("0x2"))
        .await
        .expect("applied");
    assert_eq!(shop.delivery(1), Delivery::Done);
}

#[tokio::test]
async fn a_report_of_a_transfer_that_is_not_ours_is_refused() {
    let shop = shop();
    for foreign in ["pay-roll-7", "alc_00000000000000000000000000000404-1"] {
        let refused = shop
            .service
            .apply_report(&shop.scope, &transfer(foreign, "COMPLETED", Some("0x1")))
            .await;
        assert!(matches!(refused, Err(ReportError::NoSuchTransfer)), "{foreign}");
    }
}

#[tokio::test]
async fn a_custodians_id_that_another_site_owns_is_refused() {
    let shop = shop();
    let (id, external_id) = shop.submitted().await;
    let provider_id = shop.read(id).state.provider_id().expect("submitted").to_owned();
    shop.db.arrange(&shop.scope, |world| {
        world.external_ids.clear();
        world
            .allocations
            .entry(id)
            .and_modify(|allocation| allocation.state = AllocationState::Unknown);
    });
    shop.db.arrange(&site(2), |world| {
        world.external_ids.insert(("fake".to_owned(), provider_id));
    });
    let refused = shop.report(&external_id, "COMPLETED", Some("0x1")).await;
    assert!(matches!(refused, Err(ReportError::ForeignTransfer)));
    assert_eq!(shop.state(id), StateName::Unknown);
}

#[tokio::test]
async fn stuck_ones_are_looked_up_after_fifteen_minutes() {
    let shop = shop();
    let made = shop.allocated(1, 4).await;
    shop.batch(&made[..1]).await; // its job was lost
    let batch = shop.batch(&made[1..]).await;
    let run = async || shop.service.submit_batch(&shop.scope, batch).await;
    run().await.expect("sent");
    shop.broadcast().await;
    shop.custody.script([Answer::LostOnTheWayBack]);
    assert!(run().await.is_err());
    let states = || made.iter().map(|id| shop.state(*id).as_str()).collect::<Vec<_>>();
    assert_eq!(states(), ["queued", "confirming", "unknown", "queued"]);
    shop.custody.change(&format!("{}-1", made[1]), |transfer| {
        "COMPLETED".clone_into(&mut transfer.status);
        transfer.tx_hash = Some("0x1".to_owned());
    });
    let round = async || shop.service.reconcile(&shop.scope, 10).await.expect("a round");
    let first = round().await;
    assert_eq!(
        (first.checked, first.moved),
        (0, 1),
        "the batch whose job was lost"
    );
    assert_eq!(states(), ["queued", "confirming", "submitted", "queued"]);
    shop.clock.advance(STUCK_AFTER + Duration::seconds(1));
    let second = round().await;
    assert_eq!((second.checked, second.moved, second.unsettled), (2, 1, 0));
    assert_eq!(states(), ["queued", "done", "submitted", "queued"]);
    shop.broadcast().await;
    let third = round().await;
    assert_eq!((third.checked, third.moved), (0, 1), "the vault is free");
    let submitted = states().into_iter().filter(|state| *state == "submitted").count();
    assert_eq!(submitted, 1, "for one of the two that wait");
}

#[tokio::test]
async fn what_the_custodian_no_longer_knows_is_parked_for_a_person() {
    let shop = shop();
    let (id, _) = shop.submitted().await;
    shop.db.arrange(&shop.scope, |world| {
        world
            .allocations
            .entry(id)
            .and_modify(|sent| sent.external_id = Some(ExternalId(format!("{id}-7"))));
    });
    shop.clock.advance(STUCK_AFTER + Duration::seconds(1));
    shop.service.reconcile(&shop.scope, 10).await.expect("a round");
    let parked = shop.read(id);
    assert_eq!(
        (parked.state.name(), parked.parked.as_deref()),
        (StateName::Submitted, Some("not_at_the_custodian"))
    );
    assert!(shop.events().contains(&"allocation.parked"));
}

#[tokio::test]
async fn nothing_of_another_site_is_found() {
    let shop = shop();
    let (id, external_id) = shop.submitted().await;
    let elsewhere = site(2);
    assert!(matches!(
        shop.service.submit(&elsewhere, id).await,
        Err(SubmitError::NotFound)
    ));
    assert!(matches!(
        shop.service.retry(&elsewhere, id).await,
        Err(RetryError::NotFound)
    ));
    let report = transfer(&external_id, "COMPLETED", Some("0x1"));
    assert!(matches!(
        shop.service.apply_report(&elsewhere, &report).await,
        Err(ReportError::NoSuchTransfer)
    ));
    let batch = BatchId::from_uuid(Uuid::from_u128(1));
    assert_eq!(
        shop.service
            .submit_batch(&elsewhere, batch)
            .await
            .expect("empty")
            .applied,
        0
    );
}
