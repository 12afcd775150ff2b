//! Sending through a custodian that loses answers.

use super::*;

#[tokio::test]
async fn the_external_id_is_committed_and_claimed_before_the_custodian_hears_of_it() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody.script([Answer::LostOnTheWayThere]);
    let lost = shop.service.submit(&shop.scope, id).await;
    assert!(matches!(lost, Err(SubmitError::Unsettled(_))));
    let stored = shop.read(id);
    assert_eq!(stored.state, AllocationState::Unknown);
    assert!(
        shop.world()
            .external_ids
            .contains(&("fake".to_owned(), format!("{id}-1")))
    );
}

#[tokio::test]
async fn p24_a_transfer_whose_answer_was_lost_is_never_sent_twice() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody.script([Answer::LostOnTheWayBack]);
    assert!(shop.service.submit(&shop.scope, id).await.is_err());
    assert_eq!(
        shop.service.submit(&shop.scope, id).await.expect("adopted"),
        Applied::Applied
    );
    assert_eq!(
        shop.custody.arrived().len(),
        1,
        "it was looked up, not sent again"
    );
    assert_eq!(shop.custody.lookups(), 1);
    assert_eq!(shop.state(id), StateName::Submitted);
    assert_eq!(
        shop.service.submit(&shop.scope, id).await.expect("again"),
        Applied::AlreadyApplied
    );
}

#[tokio::test]
async fn p24_what_never_arrived_is_sent_again_under_the_same_external_id() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody
        .script([Answer::LostOnTheWayThere, Answer::LostOnTheWayThere]);
    for _ in 0..2 {
        assert!(shop.service.submit(&shop.scope, id).await.is_err());
    }
    shop.service.submit(&shop.scope, id).await.expect("sent");
    let sent: Vec<_> = shop
        .custody
        .arrived()
        .into_iter()
        .map(|request| request.external_id.0)
        .collect();
    assert_eq!(sent, [format!("{id}-1")]);
    assert_eq!(shop.read(id).tries, 1);
}

#[tokio::test]
async fn p24_while_the_custodian_cannot_be_asked_nothing_is_sent() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody.script([Answer::LostOnTheWayBack]);
    shop.custody.lose_lookups(3);
    for _ in 0..4 {
        assert!(matches!(
            shop.service.submit(&shop.scope, id).await,
            Err(SubmitError::Unsettled(_))
        ));
    }
    shop.service.submit(&shop.scope, id).await.expect("adopted");
    assert_eq!(shop.custody.arrived().len(), 1);
}

#[tokio::test]
async fn f06_a_duplicate_refusal_is_adopted_not_renamed() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody.script([Answer::LostOnTheWayBack]);
    assert!(shop.service.submit(&shop.scope, id).await.is_err());
    // This worker asks before the other one's request has arrived, and then sends under the same name.
    shop.custody.look_up_too_early(1);
    shop.service.submit(&shop.scope, id).await.expect("adopted");
    assert_eq!(
        (shop.custody.arrived().len(), shop.custody.transfers().len()),
        (2, 1)
    );
    assert_eq!((shop.state(id), shop.read(id).tries), (StateName::Submitted, 1));
}

#[tokio::test]
async fn a_refused_transfer_fails_and_can_be_sent_again_under_the_next_name() {
    let shop = shop();
    let id = shop.queued().await;
    shop.custody.script([Answer::Refused("INSUFFICIENT_GAS")]);
    shop.service.submit(&shop.scope, id).await.expect("recorded");
    let failed = shop.read(id).state;
    assert!(
        matches!(failed, AllocationState::Failed { reason, needs_person: false, .. } if reason == "insufficient_gas")
    );
    assert_eq!(shop.delivery(1), Delivery::Failed);
    assert_eq!(
        shop.service.retry(&shop.scope, id).await.expect("retried"),
        Applied::Applied
    );
    assert_eq!(
        shop.service.retry(&shop.scope, id).await.expect("again"),
        Applied::AlreadyApplied
    );
    assert_eq!(shop.delivery(1), Delivery::Pending);
    shop.batch(&[id]).await;
    shop.service.submit(&shop.scope, id).await.expect("sent");
    assert_eq!(shop.read(id).external_id, Some(ExternalId(format!("{id}-2"))));
    assert_eq!(shop.custody.transfers().len(), 1);
}

#[tokio::test]
async fn p24_a_try_that_the_custodian_does_not_call_dead_is_not_followed_by_another() {
    let shop = shop();
    let (id, external_id) = shop.submitted().await;
    shop.report(&external_id, "FAILED", None).await.expect("applied");
    // The webhook said failed; asked directly, the custodian says otherwise.
    shop.custody.change(&external_id, |transfer| {
        "BROADCASTING".clone_into(&mut transfer.status);
    });
    let refused = shop.service.retry(&shop.scope, id).await;
    assert!(
        matches!(refused, Err(RetryError::Refused(RetryRefusal::Alive))),
        "{refused:?}"
    );
    shop.custody.lose_lookups(1);
    assert!(matches!(
        shop.service.retry(&shop.scope, id).await,
        Err(RetryError::Unsettled(_))
    ));
    assert_eq!(shop.state(id), StateName::Failed);
    shop.custody.change(&external_id, |transfer| {
        "CANCELLED".clone_into(&mut transfer.status);
    });
    assert_eq!(
        shop.service.retry(&shop.scope, id).await.expect("retried"),
        Applied::Applied
    );
}

#[tokio::test]
async fn f18_each_line_of_a_batch_goes_its_own_way() {
    let shop = shop();
    let made = shop.allocated(1, 3).await;
    let batch = shop.batch(&made).await;
    shop.custody.script([
        Answer::Refused("BLOCKED"),
        Answer::LostOnTheWayBack,
        Answer::Normal,
    ]);
    let run = async || shop.service.submit_batch(&shop.scope, batch).await;
    assert!(matches!(run().await, Err(SubmitError::Unsettled(_))));
    let states = || made.iter().map(|id| shop.state(*id).as_str()).collect::<Vec<_>>();
    assert_eq!(states(), ["failed", "unknown", "queued"]);
    let second = run().await.expect("settled");
    assert_eq!((second.applied, second.already, second.waiting), (1, 0, 1));
    shop.broadcast().await;
    let third = run().await.expect("the vault is free");
    assert_eq!((third.applied, third.already, third.waiting), (1, 0, 0));
    assert_eq!(states(), ["failed", "confirming", "submitted"]);
    let fourth = run().await.expect("nothing left");
    assert_eq!((fourth.applied, fourth.already), (0, 0));
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop::sample::select(vec![
        Answer::Normal,
        Answer::LostOnTheWayBack,
        Answer::LostOnTheWayThere,
    ]);
    prop::collection::vec(answer, 0..8)
}

proptest! {
    #[test]
    fn p24_whatever_is_lost_there_is_one_transfer_under_one_name(script in answers(), deaf in 0_usize..4, rounds in 1_usize..20) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (transfers, names) = runtime.block_on(async {
            let shop = shop();
            let id = shop.queued().await;
            shop.custody.script(script.clone());
            shop.custody.lose_lookups(deaf);
            for _ in 0..rounds {
                let _ = shop.service.submit(&shop.scope, id).await;
            }
            while shop.state(id) != StateName::Submitted {
                let _ = shop.service.submit(&shop.scope, id).await;
            }
            let names: BTreeSet<_> = shop.custody.arrived().into_iter().map(|request| request.external_id.0).collect();
            (shop.custody.transfers().len(), names.len())
        });
        prop_assert_eq!((transfers, names), (1, 1));
    }
}
