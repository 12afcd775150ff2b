//! What keeps a transfer from being made twice, too late, for somebody else, or from another site's vault.

use super::*;
use crate::{APPROVAL_LIFE, BatchState, LeftOut, PauseReason};

const OTHER: &str = "0x8617E340B3D01FA5F11F306F4090FD50E238070D";

impl Shop {
    fn batch_of(&self, id: BatchId) -> crate::Batch {
        self.world().batches[&id].clone()
    }

    async fn run(&self, batch: BatchId) -> crate::BatchRun {
        let run = self.service.submit_batch(&self.scope, batch).await;
        run.expect("a run")
    }

    /// Its first try failed; it waits in another batch, that two people agreed to.
    async fn tried_again(&self) -> (AllocationId, String, BatchId) {
        let (id, first) = self.submitted().await;
        self.report(&first, "FAILED", None).await.expect("applied");
        self.at_the_custodian(&first, "FAILED");
        self.service.retry(&self.scope, id).await.expect("retried");
        let batch = self.batch(&[id]).await;
        (id, first, batch)
    }

    fn at_the_custodian(&self, external_id: &str, status: &str) {
        self.custody
            .change(external_id, |transfer| status.clone_into(&mut transfer.status));
    }
}

#[tokio::test]
async fn p24_an_earlier_try_that_lives_takes_its_allocation_out_of_the_next_batch() {
    let shop = shop();
    let (id, first, batch) = shop.tried_again().await;
    shop.at_the_custodian(&first, "CONFIRMING");
    let heard = shop.report(&first, "CONFIRMING", None).await;
    assert_eq!(heard.expect("applied"), Applied::Applied);
    let parked = shop.read(id);
    assert_eq!(
        (parked.state.name(), parked.parked.as_deref()),
        (StateName::Pending, Some("earlier_try_is_alive"))
    );
    assert_eq!(
        shop.world().batch_lines[&batch][0].left_out,
        Some(LeftOut::NeedsPerson)
    );
    assert!(shop.events().contains(&"allocation.parked"));
    shop.run(batch).await;
    assert_eq!(shop.custody.made().len(), 1, "the first try, and no other");
    let again = shop.service.retry(&shop.scope, id).await;
    assert!(
        matches!(again, Err(RetryError::Refused(RetryRefusal::Alive))),
        "{again:?}"
    );
}

#[tokio::test]
async fn p26_a_late_report_of_a_dead_try_parks_nothing() {
    let shop = shop();
    let (id, first, batch) = shop.tried_again().await;
    // The custodian's last word is another than this old one.
    let late = shop.report(&first, "BROADCASTING", None).await;
    assert_eq!(late.expect("heard"), Applied::AlreadyApplied);
    assert_eq!(shop.read(id).parked, None);
    shop.custody.lose_lookups(1);
    let unsure = shop.report(&first, "BROADCASTING", None).await;
    assert!(matches!(unsure, Err(ReportError::Unsettled(_))), "{unsure:?}");
    assert_eq!(shop.run(batch).await.applied, 1, "the second try");
    // Also when there is a current try, and when there is none any more.
    let late = shop.report(&first, "CONFIRMING", None).await;
    assert_eq!(late.expect("heard"), Applied::AlreadyApplied);
}

#[tokio::test]
async fn what_was_parked_is_queued_again_once_every_try_is_dead() {
    let shop = shop();
    let (id, first, _) = shop.tried_again().await;
    shop.at_the_custodian(&first, "PENDING_SIGNATURE");
    shop.report(&first, "PENDING_SIGNATURE", None)
        .await
        .expect("applied");
    let refused = shop.service.create_batch(&shop.scope, actor(), &[id], None).await;
    assert_eq!(refused.expect_err("parked").code(), "allocation_needs_person");
    shop.at_the_custodian(&first, "CANCELLED");
    let again = shop.service.retry(&shop.scope, id).await;
    assert_eq!(again.expect("nothing lives"), Applied::Applied);
    let batch = shop.batch(&[id]).await;
    assert_eq!(shop.run(batch).await.applied, 1);
    assert_eq!(shop.read(id).external_id, Some(ExternalId(format!("{id}-2"))));
}

#[tokio::test]
async fn p24_a_failed_allocation_is_not_tried_again_while_any_of_its_tries_lives() {
    let shop = shop();
    let (id, first, batch) = shop.tried_again().await;
    shop.run(batch).await;
    let second = format!("{id}-2");
    shop.report(&second, "FAILED", None).await.expect("applied");
    shop.at_the_custodian(&second, "FAILED");
    shop.at_the_custodian(&first, "CONFIRMING");
    let again = shop.service.retry(&shop.scope, id).await;
    assert!(
        matches!(again, Err(RetryError::Refused(RetryRefusal::Alive))),
        "{again:?}"
    );
}

#[tokio::test]
async fn p24_a_try_that_never_arrived_is_not_first_sent_after_its_order_changed() {
    type Change = fn(&mut World);
    let changes: [(&str, Change); 4] = [
        ("disputed", |world| {
            let order = world.orders.get_mut(&order_id(1)).expect("the order");
            order.facts.disputed = true;
        }),
        ("returned", |world| {
            let order = world.orders.get_mut(&order_id(1)).expect("the order");
            order.facts.returned = order.facts.total;
        }),
        ("another wallet", |world| {
            let buyer = PartyId::from_uuid(Uuid::from_u128(3));
            world.wallets.insert(buyer, OTHER.to_owned());
        }),
        ("another's vault", |world| {
            world.foreign_vaults.insert("7".to_owned());
        }),
    ];
    for (name, change) in changes {
        let shop = shop();
        let made = shop.allocated(1, 1).await;
        let batch = shop.batch(&made).await;
        shop.custody.script([Answer::LostOnTheWayThere]);
        let lost = shop.service.submit_batch(&shop.scope, batch).await;
        assert!(lost.is_err(), "{name}");
        shop.db.arrange(&shop.scope, change);
        for _ in 0..2 {
            assert_eq!(shop.run(batch).await.paused, Some(PauseReason::Changed), "{name}");
        }
        assert_eq!(shop.custody.lookups(), 2, "{name}: it is looked up");
        assert!(shop.custody.arrived().is_empty(), "{name}: and not sent");
        assert_eq!(shop.state(made[0]), StateName::Unknown, "{name}");
        // Also when somebody lets it go on unseen.
        let resumed = shop.service.resume_batch(&shop.scope, batch, None).await;
        resumed.expect("two people had agreed");
        shop.run(batch).await;
        assert!(shop.custody.arrived().is_empty(), "{name}: again");
        assert_eq!(shop.batch_of(batch).state, BatchState::Paused, "{name}");
    }
}

#[tokio::test]
async fn p24_who_may_send_no_more_has_not_agreed() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    let batch = shop.draft(&made).await;
    shop.approve(batch, &[person(2)]).await.expect("the first");
    shop.db.arrange(&shop.scope, |world| {
        world.gone.insert(person(2));
    });
    shop.approve(batch, &[person(3)]).await.expect("the second");
    assert_eq!(shop.batch_of(batch).state, BatchState::Draft);
    shop.approve(batch, &[person(4)]).await.expect("the third");
    assert_eq!(shop.batch_of(batch).state, BatchState::Approved);
    assert_eq!(shop.run(batch).await.applied, 1);
    shop.broadcast().await;
    shop.db.arrange(&shop.scope, |world| {
        world.gone.insert(person(4));
    });
    let run = shop.run(batch).await;
    assert_eq!((run.applied, run.paused), (0, Some(PauseReason::ApprovalsLapsed)));
    let resumed = shop.service.resume_batch(&shop.scope, batch, None).await;
    assert_eq!(resumed.expect_err("one has agreed").code(), "batch_not_approved");
    shop.approve(batch, &[person(5)]).await.expect("another");
    let resumed = shop.service.resume_batch(&shop.scope, batch, None).await;
    resumed.expect("two have agreed");
    assert_eq!(shop.run(batch).await.applied, 1);
}

#[tokio::test]
async fn p24_what_was_agreed_to_yesterday_is_agreed_to_anew() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    let paused = shop.batch(&made[..1]).await;
    let service = &shop.service;
    service.pause_batch(&shop.scope, paused).await.expect("paused");
    let waiting = shop.draft(&made[1..]).await;
    shop.approve(waiting, &checkers()).await.expect("approved");
    shop.clock.advance(APPROVAL_LIFE + Duration::hours(1));
    let resumed = service.resume_batch(&shop.scope, paused, None).await;
    assert_eq!(resumed.expect_err("too late").code(), "batch_not_approved");
    assert_eq!(shop.run(waiting).await.applied, 0);
    assert_eq!(
        shop.batch_of(waiting).state,
        BatchState::Draft,
        "its job came a day late"
    );
    assert!(shop.custody.arrived().is_empty());
    // The same two may agree again.
    for batch in [paused, waiting] {
        shop.approve(batch, &checkers()).await.expect("agreed anew");
    }
    let resumed = service.resume_batch(&shop.scope, paused, None).await;
    resumed.expect("resumed");
    assert_eq!(shop.run(paused).await.applied, 1);
    shop.broadcast().await;
    assert_eq!(shop.run(waiting).await.applied, 1);
}

#[tokio::test]
async fn f25_nothing_is_sent_from_a_vault_that_was_taken_away() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    let batch = shop.batch(&made[..1]).await;
    let take_away = |world: &mut World| {
        world.foreign_vaults.insert("7".to_owned());
    };
    shop.db.arrange(&shop.scope, take_away);
    assert_eq!(shop.run(batch).await.applied, 0);
    assert!(shop.custody.arrived().is_empty());
    assert_eq!(
        shop.world().batch_lines[&batch][0].left_out,
        Some(LeftOut::VaultNotAssigned)
    );
    assert_eq!(shop.state(made[0]), StateName::Pending);
    let refused = shop.service.create_batch(&shop.scope, actor(), &made, None).await;
    assert_eq!(
        refused.expect_err("nothing can go").code(),
        "allocation_vault_not_assigned"
    );
}

/// Lost on its way; then its order changed, and the batch pauses.
async fn given_up(shop: &Shop) -> (AllocationId, BatchId) {
    let made = shop.allocated(1, 2).await;
    let batch = shop.batch(&made).await;
    shop.custody.script([Answer::LostOnTheWayThere]);
    let lost = shop.service.submit_batch(&shop.scope, batch).await;
    assert!(lost.is_err());
    shop.db.arrange(&shop.scope, |world| {
        let order = world.orders.get_mut(&order_id(1)).expect("the order");
        order.facts.disputed = true;
    });
    shop.run(batch).await;
    (made[0], batch)
}

#[tokio::test]
async fn p24_what_never_arrived_is_given_up_by_a_person_and_its_next_try_has_the_same_name() {
    let shop = shop();
    let (id, batch) = given_up(&shop).await;
    let discard = async || shop.service.discard_batch(&shop.scope, batch).await;
    shop.custody.lose_lookups(1);
    let unsure = discard().await.expect_err("the custodian is silent");
    assert_eq!(unsure.code(), "custodian_unavailable");
    assert_eq!(shop.state(id), StateName::Unknown);
    discard().await.expect("given up");
    let back = shop.read(id);
    assert_eq!(
        (back.state.name(), back.tries, back.external_id),
        (StateName::Pending, 0, None)
    );
    assert_eq!(shop.batch_of(batch).state, BatchState::PartlyFailed);
    shop.db.arrange(&shop.scope, |world| {
        let order = world.orders.get_mut(&order_id(1)).expect("the order");
        order.facts.disputed = false;
    });
    let again = shop.batch(&[id]).await;
    assert_eq!(shop.run(again).await.applied, 1, "its vault is free");
    assert_eq!(shop.read(id).external_id, Some(ExternalId(format!("{id}-1"))));
    assert_eq!(shop.custody.made().len(), 1);
}

#[tokio::test]
async fn p24_what_arrived_after_it_was_given_up_is_not_sent_again() {
    let shop = shop();
    let (id, batch) = given_up(&shop).await;
    let request = shop.world().batch_lines[&batch][0].clone();
    shop.service
        .discard_batch(&shop.scope, batch)
        .await
        .expect("given up");
    // A worker that had slept sends it now.
    let name = ExternalId(format!("{id}-1"));
    let late = request.request(shop.scope.site(), name.clone());
    let made = crate::custody::Custody::submit(shop.custody.as_ref(), &late).await;
    let heard = shop.service.apply_report(&shop.scope, &made.expect("made")).await;
    assert_eq!(heard.expect("applied"), Applied::Applied);
    assert_eq!(shop.read(id).parked.as_deref(), Some("earlier_try_is_alive"));
    let again = shop.service.retry(&shop.scope, id).await;
    assert!(
        matches!(again, Err(RetryError::Refused(RetryRefusal::Alive))),
        "{again:?}"
    );
    assert_eq!(shop.custody.made().len(), 1);
}

#[tokio::test]
async fn what_arrived_in_spite_of_its_lost_answer_is_not_given_up() {
    let shop = shop();
    let made = shop.allocated(1, 1).await;
    let batch = shop.batch(&made).await;
    shop.custody.script([Answer::LostOnTheWayBack]);
    let lost = shop.service.submit_batch(&shop.scope, batch).await;
    assert!(lost.is_err());
    shop.service
        .pause_batch(&shop.scope, batch)
        .await
        .expect("paused");
    let discarded = shop.service.discard_batch(&shop.scope, batch).await;
    assert_eq!(discarded.expect_err("nothing waits").code(), "batch_state");
    assert_eq!(shop.state(made[0]), StateName::Submitted, "it was found");
}
