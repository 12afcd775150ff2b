use proptest::prelude::*;

use super::*;
use crate::testing::{allocation, at, transfer};

const SENT: &str = "alc_00000000000000000000000000000001-1";

/// One allocation in each state, the sent ones on their first try.
fn every_state() -> Vec<Allocation> {
    let provider_id = "tx-1".to_owned();
    let states = [
        AllocationState::Pending,
        AllocationState::Queued,
        AllocationState::Unknown,
        AllocationState::Submitted {
            provider_id: provider_id.clone(),
        },
        AllocationState::Confirming {
            provider_id: provider_id.clone(),
            tx_hash: None,
            confirmations: 2,
        },
        AllocationState::Done {
            provider_id: provider_id.clone(),
            tx_hash: "0xold".to_owned(),
            confirmations: 12,
            confirmed_at: at(1),
        },
        AllocationState::Failed {
            reason: "failed".to_owned(),
            needs_person: false,
            provider_id: Some(provider_id.clone()),
            tx_hash: None,
        },
        AllocationState::Cancelled {
            failure: Some("failed".to_owned()),
            provider_id: Some(provider_id),
        },
    ];
    let sent = |state: AllocationState| {
        let first_try = state.name().rank() >= StateName::Unknown.rank();
        Allocation {
            tries: u16::from(first_try),
            external_id: first_try.then(|| ExternalId(SENT.to_owned())),
            cut: if state.name() == StateName::Cancelled {
                allocation(1).amount
            } else {
                TokenAmount::ZERO
            },
            state,
            ..allocation(1)
        }
    };
    states.map(sent).to_vec()
}

fn expected(from: StateName, standing: Standing, hash: bool) -> StateName {
    use StateName::{Cancelled, Confirming, Done, Failed, Pending, Queued, Submitted, Unknown};
    match (from, standing) {
        (Pending | Queued | Done | Failed | Cancelled, _) | (_, Standing::Parked) => from,
        (Unknown | Submitted, Standing::Submitted) => Submitted,
        (Confirming, Standing::Submitted | Standing::Confirming)
        | (Unknown | Submitted, Standing::Confirming) => Confirming,
        (Unknown | Submitted | Confirming, Standing::Completed) => {
            if hash {
                Done
            } else {
                Confirming
            }
        }
        (Unknown | Submitted | Confirming, Standing::Failed { .. }) => Failed,
    }
}

#[test]
fn p26_every_word_of_the_custodian_in_every_state_of_ours() {
    for before in every_state() {
        for (word, standing) in Standing::STATUSES {
            for hash in [false, true] {
                let report = transfer(SENT, word, hash.then_some("0xabc"));
                let mut after = before.clone();
                after.report(&report, at(2));
                let (from, to) = (before.state.name(), after.state.name());
                assert_eq!(to, expected(from, *standing, hash), "{from:?} on {word}");
                assert!(to.rank() >= from.rank(), "{from:?} went back on {word}");
                let again = after.clone();
                assert_eq!(
                    after.report(&report, at(3)),
                    Applied::AlreadyApplied,
                    "{from:?} on {word} twice"
                );
                assert_eq!(after, again);
            }
        }
    }
}

#[test]
fn words_that_do_not_tell_park_and_change_no_state() {
    for mut sent in every_state()
        .into_iter()
        .filter(|sent| (2..5).contains(&sent.state.name().rank()))
    {
        let before = sent.state.clone();
        assert_eq!(
            sent.report(&transfer(SENT, "TIMEOUT", None), at(2)),
            Applied::Applied
        );
        assert_eq!(
            (sent.state.clone(), sent.parked.as_deref()),
            (before, Some("timeout"))
        );
        sent.report(&transfer(SENT, "COMPLETED", Some("0xabc")), at(3));
        assert_eq!(sent.parked, None, "what is done needs nobody");
    }
}

#[test]
fn f08_rejected_and_blocked_need_a_person_failed_and_cancelled_do_not() {
    for (word, needs) in [
        ("REJECTED", true),
        ("BLOCKED", true),
        ("FAILED", false),
        ("CANCELLED", false),
    ] {
        let mut sent = every_state().remove(2);
        sent.report(&transfer(SENT, word, None), at(2));
        assert!(
            matches!(sent.state, AllocationState::Failed { needs_person, .. } if needs_person == needs),
            "{word}"
        );
        let retried = sent.retry(at(3));
        assert_eq!(retried.is_err(), needs, "{word}");
    }
}

#[test]
fn f09_completed_that_a_third_party_failed_is_not_delivered() {
    let mut sent = every_state().remove(3);
    let report = Transfer {
        sub_status: Some("COMPLETED_BUT_3RD_PARTY_FAILED".to_owned()),
        ..transfer(SENT, "COMPLETED", Some("0xabc"))
    };
    sent.report(&report, at(2));
    assert!(
        matches!(&sent.state, AllocationState::Failed { needs_person: true, reason, .. } if reason == "completed_but_3rd_party_failed")
    );
}

#[test]
fn f10_a_failure_with_a_hash_is_not_sent_again() {
    let mut sent = every_state().remove(4);
    sent.report(&transfer(SENT, "CONFIRMING", Some("0xabc")), at(2));
    sent.report(&transfer(SENT, "FAILED", None), at(3));
    assert_eq!(sent.retry(at(4)), Err(RetryRefusal::OnChain));
    let mut without = every_state().remove(6);
    without.report(&transfer(SENT, "CONFIRMING", Some("0xlate")), at(2));
    assert_eq!(
        without.retry(at(4)),
        Err(RetryRefusal::OnChain),
        "the late report brought the hash"
    );
}

#[test]
fn completed_without_a_hash_waits_for_it() {
    let mut sent = every_state().remove(3);
    sent.report(&transfer(SENT, "COMPLETED", None), at(2));
    assert_eq!(sent.state.name(), StateName::Confirming);
    sent.report(&transfer(SENT, "COMPLETED", Some("0xabc")), at(3));
    assert!(
        matches!(&sent.state, AllocationState::Done { tx_hash, confirmed_at, .. } if tx_hash == "0xabc" && *confirmed_at == at(3))
    );
}

#[test]
fn p24_a_failure_that_turns_out_completed_is_never_retried() {
    let mut failed = every_state().remove(6);
    failed.report(&transfer(SENT, "COMPLETED", None), at(2));
    assert_eq!(failed.state.name(), StateName::Failed);
    assert_eq!(failed.retry(at(3)), Err(RetryRefusal::NeedsPerson));
}

#[test]
fn p24_an_earlier_try_that_lives_keeps_the_next_from_being_sent() {
    let mut again = every_state().remove(6);
    assert_eq!(again.retry(at(2)), Ok(Applied::Applied));
    let mut queued = again.clone();
    let batch = BatchId::from_uuid(uuid::Uuid::from_u128(1));
    queued.queue(batch, at(3)).expect("queued");
    assert_eq!(
        queued.report(&transfer(SENT, "FAILED", None), at(4)),
        Applied::AlreadyApplied
    );
    queued.report(&transfer(SENT, "CONFIRMING", None), at(4));
    assert_eq!(queued.begin_try(at(5)), None);
    again.report(&transfer(SENT, "CONFIRMING", None), at(3));
    assert_eq!(again.queue(batch, at(4)), Err(QueueRefusal::NeedsPerson));
}

#[test]
fn p16_money_that_goes_back_moves_only_what_is_here_or_at_the_buyers() {
    use StateName::{Cancelled, Done, Failed, Pending, Queued};
    let (all, nothing) = (allocation(1).amount, TokenAmount::ZERO);
    for before in every_state() {
        let name = before.state.name();
        let after = |change: &dyn Fn(&mut Allocation)| {
            let mut after = before.clone();
            change(&mut after);
            (after.state.name(), after.cut, after.owed)
        };
        let cut = after(&|one| {
            one.set_cut(all, at(2));
        });
        let open = matches!(name, Pending | Failed | Cancelled);
        assert_eq!(
            cut,
            if open {
                (Cancelled, all, nothing)
            } else {
                (name, nothing, nothing)
            }
        );
        let restored = after(&|one| {
            one.set_cut(nothing, at(2));
        });
        let back = if name == Cancelled { Failed } else { name };
        assert_eq!(restored, (back, nothing, nothing), "its last try had failed");
        let owed = after(&|one| {
            one.set_owed(all, at(2));
        });
        assert_eq!(owed.2, if name == Done { all } else { nothing }, "{name:?}");
        let held = after(&|one| {
            one.hold_back(at(2));
        });
        assert_eq!(held.0, if name == Queued { Pending } else { name });
    }
}

#[test]
fn what_was_never_tried_is_pending_again_when_it_is_restored() {
    let mut pending = allocation(1);
    assert_eq!(pending.set_cut(pending.amount, at(1)), Applied::Applied);
    assert_eq!(pending.state.name(), StateName::Cancelled);
    assert_eq!(pending.set_cut(TokenAmount::ZERO, at(2)), Applied::Applied);
    assert_eq!((pending.state.name(), pending.changes), (StateName::Pending, 2));
}

#[test]
fn p24_what_is_cancelled_and_lives_at_the_custodian_is_for_a_person() {
    let mut cancelled = every_state().remove(7);
    assert_eq!(
        cancelled.report(&transfer(SENT, "FAILED", None), at(2)),
        Applied::AlreadyApplied
    );
    assert_eq!(
        cancelled.report(&transfer(SENT, "COMPLETED", Some("0xabc")), at(3)),
        Applied::Applied
    );
    assert_eq!(cancelled.parked.as_deref(), Some("alive_after_cancelling"));
    assert_eq!(
        cancelled.set_cut(TokenAmount::ZERO, at(4)),
        Applied::AlreadyApplied,
        "it is not restored"
    );
}

#[test]
fn each_try_has_its_own_name_and_the_name_leads_back() {
    let mut allocation = allocation(1);
    let batch = BatchId::from_uuid(uuid::Uuid::from_u128(1));
    for number in 1..=3 {
        allocation.queue(batch, at(0)).expect("queued");
        let external_id = allocation.begin_try(at(0)).expect("a try");
        assert_eq!(external_id.0, format!("{}-{number}", allocation.id));
        assert_eq!(named_by(&external_id), Some(allocation.id));
        assert_eq!(allocation.begin_try(at(0)), None, "one try at a time");
        assert_eq!(allocation.refuse("no_gas", at(0)), Applied::Applied);
        allocation.retry(at(0)).expect("retried");
    }
    for foreign in [
        "",
        "alc_1-1",
        "pay-7",
        "alc_00000000000000000000000000000001-0",
        "alc_00000000000000000000000000000001",
    ] {
        assert_eq!(named_by(&ExternalId(foreign.to_owned())), None, "{foreign:?}");
    }
}

#[test]
fn only_a_failure_can_be_retried_and_only_what_is_pending_queued() {
    let batch = BatchId::from_uuid(uuid::Uuid::from_u128(1));
    for mut allocation in every_state() {
        let name = allocation.state.name();
        let retried = allocation.clone().retry(at(2));
        match name {
            StateName::Pending => assert_eq!(retried, Ok(Applied::AlreadyApplied)),
            StateName::Failed => assert_eq!(retried, Ok(Applied::Applied)),
            other => assert_eq!(retried, Err(RetryRefusal::NotFailed(other))),
        }
        let queued = allocation.queue(batch, at(2));
        assert_eq!(queued.is_ok(), name == StateName::Pending, "{name:?}");
    }
}

prop_compose! {
    /// Reports of one transfer that was completed in the end, with duplicates, in any order.
    fn completed_histories()(
        words in prop::collection::vec(prop::sample::select(vec![
            "SUBMITTED", "PENDING_AML_SCREENING", "QUEUED", "PENDING_SIGNATURE", "BROADCASTING", "CONFIRMING", "TIMEOUT",
            "PARTIALLY_COMPLETED", "SOMETHING_NEW", "COMPLETED",
        ]), 0..12),
        at_end in any::<bool>(), seed in any::<u64>(),
    ) -> Vec<Transfer> {
        let mut words = words;
        words.push("COMPLETED");
        if !at_end {
            let to = usize::try_from(seed % words.len() as u64).unwrap_or(0);
            let last = words.len() - 1;
            words.swap(to, last);
        }
        words.into_iter().map(|word| {
            let hash = matches!(word, "CONFIRMING" | "COMPLETED").then_some("0xabc");
            transfer(SENT, word, hash)
        }).collect()
    }
}

proptest! {
    #[test]
    fn p26_no_order_of_reports_moves_a_machine_backwards(
        words in prop::collection::vec(0..Standing::STATUSES.len(), 0..20), hashes in any::<u32>(), start in 2_usize..5,
    ) {
        let mut sent = every_state().remove(start);
        for (number, word) in words.into_iter().enumerate() {
            let before = sent.state.clone();
            let hash = (hashes >> (number % 32) & 1 == 1).then_some("0xabc");
            sent.report(&transfer(SENT, Standing::STATUSES[word].0, hash), at(2));
            prop_assert!(sent.state.name().rank() >= before.name().rank());
            if before.is_terminal() {
                prop_assert_eq!(sent.state.name(), before.name(), "a terminal state was left");
            }
        }
    }

    #[test]
    fn p26_the_same_reports_in_any_order_end_done(history in completed_histories(), start in 2_usize..5) {
        let mut sent = every_state().remove(start);
        for report in &history {
            sent.report(report, at(2));
        }
        prop_assert_eq!(sent.state.name(), StateName::Done);
        prop_assert_eq!(sent.state.tx_hash(), Some("0xabc"));
        prop_assert_eq!(sent.parked, None);
    }
}
