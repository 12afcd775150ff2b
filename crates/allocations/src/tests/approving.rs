//! What two people agreed to is what is sent, or nothing.

use super::*;
use crate::{BatchState, LeftOut, PauseReason};

const OTHER: &str = "0x8617E340B3D01FA5F11F306F4090FD50E238070D";

impl Shop {
    fn buyer_binds(&self, address: &str) {
        self.db.arrange(&self.scope, |world| {
            let buyer = PartyId::from_uuid(Uuid::from_u128(3));
            world.wallets.insert(buyer, address.to_owned());
        });
    }

    fn batch_state(&self, id: BatchId) -> (BatchState, usize) {
        let world = self.world();
        let batch = &world.batches[&id];
        (batch.state, batch.approvals.len())
    }

    fn left_out(&self, id: BatchId) -> Vec<Option<LeftOut>> {
        self.world().batch_lines[&id]
            .iter()
            .map(|line| line.left_out)
            .collect()
    }
}

#[tokio::test]
async fn a_wallet_changed_after_approval_voids_it_and_nothing_goes_to_either_address_before_a_new_batch() {
    let shop = shop();
    let made = shop.allocated(1, 1).await;
    let elsewhere = shop.order(2, 1, |facts| facts.buyer = PartyId::from_uuid(Uuid::from_u128(4)));
    let Allocated::Applied(others) = shop.service.allocate(&shop.scope, elsewhere).await.expect("made")
    else {
        panic!("the order is new")
    };
    let batch = shop.draft(&[made[0], others[0]]).await;
    shop.approve(batch, &checkers()).await.expect("approved");
    shop.buyer_binds(OTHER);
    let run = async || {
        let run = shop.service.submit_batch(&shop.scope, batch).await;
        run.expect("a run")
    };
    assert_eq!(run().await.applied, 0);
    assert!(shop.custody.arrived().is_empty());
    assert_eq!(shop.left_out(batch), [Some(LeftOut::WalletChanged), None]);
    assert_eq!(shop.batch_state(batch), (BatchState::Paused, 0));
    assert_eq!(shop.state(made[0]), StateName::Pending);
    assert_eq!(
        shop.world().orders[&order_id(1)].attention.as_deref(),
        Some("wallet_changed")
    );
    assert_eq!(run().await.paused, Some(PauseReason::Changed));
    // The other line is agreed to anew, and goes.
    shop.approve(batch, &checkers()).await.expect("approved anew");
    let resumed = shop.service.resume_batch(&shop.scope, batch, None).await;
    resumed.expect("resumed");
    assert_eq!(run().await.applied, 1);
    assert_eq!(
        shop.custody.made()[0].external_id,
        ExternalId(format!("{}-1", others[0]))
    );
    shop.broadcast().await;
    // People look at the first one in a new batch: it goes to the address that its order froze.
    let again = shop.batch(&made).await;
    assert_eq!(shop.send_all(again).await.expect("sent"), 1);
    assert_eq!(shop.custody.made()[1].to, ADDRESS);
}

#[tokio::test]
async fn an_approval_finds_what_changed_and_is_refused_until_somebody_looked_again() {
    let shop = shop();
    let made = shop.allocated(1, 2).await;
    let batch = shop.draft(&made).await;
    shop.approve(batch, &[person(2)]).await.expect("the first");
    let seen = shop.world().batches[&batch].hash;
    shop.db.arrange(&shop.scope, |world| {
        let line = world.allocations.get_mut(&made[0]).expect("the line");
        line.amount = TokenAmount::from_base_units(line.amount.base_units() + 1);
    });
    let refused = shop
        .service
        .approve_batch(&shop.scope, batch, &seen, person(3), None)
        .await
        .expect_err("it is another now");
    assert_eq!(
        (refused.code(), refused.field().as_deref()),
        ("batch_hash_mismatch", Some("hash"))
    );
    assert_eq!(shop.left_out(batch), [Some(LeftOut::Changed), None]);
    assert_eq!(shop.batch_state(batch), (BatchState::Draft, 0));
    assert!(shop.events().contains(&"allocation_batch.approvals_voided"));
    shop.approve(batch, &checkers()).await.expect("both anew");
    assert_eq!(shop.batch_state(batch), (BatchState::Approved, 2));
}

#[tokio::test]
async fn money_that_goes_back_in_the_middle_of_a_batch_stops_it() {
    let shop = shop();
    let (first, second) = (shop.sale(1), shop.sale(2));
    let ids = [shop.make(first).await, shop.make(second).await];
    let batch = shop.batch(&ids).await;
    let run = async || {
        let run = shop.service.submit_batch(&shop.scope, batch).await;
        run.expect("a run")
    };
    assert_eq!((run().await.applied, shop.state(ids[1])), (1, StateName::Queued));
    shop.change(second, |facts| facts.returned = money(10));
    shop.ends(ids[0], "COMPLETED").await;
    assert_eq!(run().await.applied, 0);
    assert_eq!(shop.left_out(batch), [None, Some(LeftOut::OrderReturned)]);
    assert_eq!(
        shop.batch_state(batch).0,
        BatchState::Done,
        "what is left of it is delivered"
    );
    shop.service.adjust(&shop.scope, second).await.expect("adjusted");
    assert_eq!(shop.read(ids[1]).left().base_units(), 900);
}

#[tokio::test]
async fn a_paused_batch_sends_nothing_and_goes_on_where_it_was() {
    let shop = shop();
    let made = shop.allocated(1, 3).await;
    let batch = shop.batch(&made).await;
    let run = async || {
        let run = shop.service.submit_batch(&shop.scope, batch).await;
        run.expect("a run")
    };
    assert_eq!(run().await.applied, 1);
    let pause = async || shop.service.pause_batch(&shop.scope, batch).await;
    pause().await.expect("paused");
    pause().await.expect("again changes nothing");
    shop.broadcast().await;
    assert_eq!(
        (run().await.paused, shop.custody.made().len()),
        (Some(PauseReason::ByPerson), 1)
    );
    assert_eq!(shop.batch_state(batch), (BatchState::Paused, 2), "it is approved");
    let resumed = shop.service.resume_batch(&shop.scope, batch, None).await;
    resumed.expect("resumed");
    assert_eq!(shop.send_all(batch).await.expect("sent"), 2);
    let twice = shop.service.resume_batch(&shop.scope, batch, None).await;
    assert_eq!(twice.expect_err("it is not paused").code(), "batch_state");
}

#[tokio::test]
async fn p24_while_its_batch_is_paused_an_unknown_one_is_looked_up_and_not_sent_again() {
    let shop = shop();
    let made = shop.allocated(1, 1).await;
    let batch = shop.batch(&made).await;
    shop.custody.script([Answer::LostOnTheWayThere]);
    let run = async || shop.service.submit_batch(&shop.scope, batch).await;
    assert!(run().await.is_err());
    shop.service
        .pause_batch(&shop.scope, batch)
        .await
        .expect("paused");
    for _ in 0..3 {
        assert_eq!(run().await.expect("looked up").applied, 0);
    }
    assert_eq!((shop.custody.arrived().len(), shop.custody.lookups()), (0, 3));
    assert_eq!(shop.state(made[0]), StateName::Unknown, "quarantined");
    let resumed = shop.service.resume_batch(&shop.scope, batch, None).await;
    resumed.expect("resumed");
    assert_eq!(run().await.expect("sent").applied, 1);
    assert_eq!(shop.read(made[0]).tries, 1);
}

#[tokio::test]
async fn three_failures_in_a_row_pause_a_batch() {
    let shop = shop();
    let made = shop.allocated(1, 5).await;
    let batch = shop.batch(&made).await;
    shop.custody
        .script([Answer::Refused("A"), Answer::Refused("B"), Answer::Refused("C")]);
    let run = shop
        .service
        .submit_batch(&shop.scope, batch)
        .await
        .expect("a run");
    assert_eq!(run.paused, Some(PauseReason::RepeatedFailures));
    let states: Vec<_> = made.iter().map(|id| shop.state(*id).as_str()).collect();
    assert_eq!(states, ["failed", "failed", "failed", "queued", "queued"]);
    assert!(shop.events().contains(&"allocation_batch.paused"));
    let resumed = shop.service.resume_batch(&shop.scope, batch, None).await;
    resumed.expect("resumed");
    assert_eq!(shop.send_all(batch).await.expect("sent"), 2);
    shop.broadcast().await;
    for id in &made[3..] {
        shop.report(&format!("{id}-1"), "COMPLETED", Some(&format!("0x{id}")))
            .await
            .expect("done");
    }
    assert_eq!(shop.batch_state(batch).0, BatchState::PartlyFailed);
    // What failed is tried again in another batch; this one keeps what it was.
    shop.service.retry(&shop.scope, made[0]).await.expect("retried");
    assert_eq!(shop.world().batch_lines[&batch][0].state, StateName::Failed);
}

#[tokio::test]
async fn what_is_discarded_goes_back_and_what_was_sent_comes_to_its_end() {
    let shop = shop();
    let made = shop.allocated(1, 3).await;
    let draft = shop.draft(&made).await;
    let discard = async |id| shop.service.discard_batch(&shop.scope, id).await;
    discard(draft).await.expect("discarded");
    discard(draft).await.expect("again changes nothing");
    assert_eq!(shop.batch_state(draft).0, BatchState::Discarded);
    assert!(made.iter().all(|id| shop.state(*id) == StateName::Pending));
    let batch = shop.batch(&made).await;
    let run = shop.service.submit_batch(&shop.scope, batch).await;
    assert_eq!(run.expect("a run").applied, 1);
    let refused = discard(batch).await.expect_err("it is being sent");
    assert_eq!(refused.code(), "batch_state");
    shop.service
        .pause_batch(&shop.scope, batch)
        .await
        .expect("paused");
    discard(batch).await.expect("the rest is given up");
    let states: Vec<_> = made.iter().map(|id| shop.state(*id).as_str()).collect();
    assert_eq!(states, ["submitted", "pending", "pending"]);
    shop.report(&format!("{}-1", made[0]), "COMPLETED", Some("0x1"))
        .await
        .expect("done");
    assert_eq!(shop.batch_state(batch).0, BatchState::Done);
}

#[tokio::test]
async fn nothing_of_another_sites_batch_is_approved_or_steered() {
    let shop = shop();
    let made = shop.allocated(1, 1).await;
    let batch = shop.draft(&made).await;
    let seen = shop.world().batches[&batch].hash;
    let (service, elsewhere) = (&shop.service, site(2));
    let approved = service
        .approve_batch(&elsewhere, batch, &seen, person(2), None)
        .await;
    let refused = [
        approved.expect_err("not theirs"),
        service
            .pause_batch(&elsewhere, batch)
            .await
            .expect_err("not theirs"),
        service
            .resume_batch(&elsewhere, batch, None)
            .await
            .expect_err("not theirs"),
        service
            .discard_batch(&elsewhere, batch)
            .await
            .expect_err("not theirs"),
        service.dry_run(&elsewhere, batch).await.expect_err("not theirs"),
        service
            .check_batch(&elsewhere, batch)
            .await
            .expect_err("not theirs"),
    ];
    for error in refused {
        assert_eq!(error.code(), "allocation_batch_not_found");
    }
}
