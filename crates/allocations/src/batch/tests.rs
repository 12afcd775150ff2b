//! The machine, every state against every other; and what an approval is bound to.

use posx_kernel::{AllocationId, ChainAssetId, OrderId, TokenAmount};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::StateName;
use crate::testing::at;

fn person(number: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(number))
}

fn line(number: u128, state: StateName) -> BatchLine {
    let one = Uuid::from_u128(1);
    BatchLine {
        allocation: AllocationId::from_uuid(Uuid::from_u128(number)),
        order: OrderId::from_uuid(one),
        amount: TokenAmount::from_base_units(500 + number),
        address: "0x52908400098527886E0F7030069857D2E4169EE7".to_owned(),
        asset: ChainAssetId::from_uuid(one),
        provider_asset: "POSX_POLYGON".to_owned(),
        vault: "7".to_owned(),
        decimals: 18,
        bound_wallet: None,
        left_out: None,
        state,
        external_id: None,
        provider_id: None,
        tx_hash: None,
    }
}

fn lines(count: u128) -> Vec<BatchLine> {
    (1..=count)
        .map(|number| line(number, StateName::Queued))
        .collect()
}

fn draft() -> Batch {
    Batch::draft(
        BatchId::from_uuid(Uuid::from_u128(9)),
        person(1),
        &lines(2),
        at(0),
    )
}

fn sending() -> Batch {
    let mut batch = draft();
    let hash = batch.hash;
    batch.approve(person(2), &hash, at(1)).expect("approved");
    batch.approve(person(3), &hash, at(1)).expect("approved");
    batch.begin(at(1)).expect("begun");
    batch
}

#[test]
fn every_move_of_a_batch_and_no_other() {
    use BatchState::{Approved, Discarded, Done, Draft, PartlyFailed, Paused, Sending};
    let listed = [
        (Draft, Approved),
        (Draft, Discarded),
        (Approved, Sending),
        (Approved, Paused),
        (Approved, Draft),
        (Sending, Paused),
        (Sending, Done),
        (Sending, PartlyFailed),
        (Paused, Sending),
        (Paused, Done),
        (Paused, PartlyFailed),
    ];
    for from in BatchState::ALL {
        assert_eq!(BatchState::from_name(from.as_str()), Some(*from));
        for to in BatchState::ALL {
            let mut batch = Batch {
                state: *from,
                ..draft()
            };
            let moved = batch.become_(*to, at(1)).is_ok();
            assert_eq!(moved, listed.contains(&(*from, *to)), "{from:?} to {to:?}");
            assert_eq!(batch.state, if moved { *to } else { *from });
        }
    }
    for reason in PauseReason::ALL {
        assert_eq!(PauseReason::from_name(reason.as_str()), Some(*reason));
    }
    for reason in LeftOut::ALL {
        assert_eq!(LeftOut::from_name(reason.as_str()), Some(*reason));
    }
}

#[test]
fn two_people_approve_and_neither_is_the_maker() {
    let mut batch = draft();
    let hash = batch.hash;
    let mut other = hash;
    other[31] ^= 1;
    let refused =
        |batch: &mut Batch, by, seen: &[u8; 32]| batch.approve(by, seen, at(1)).expect_err("refused");
    assert!(matches!(
        refused(&mut batch, person(1), &hash),
        BatchError::OwnBatch
    ));
    assert!(matches!(
        refused(&mut batch, person(2), &other),
        BatchError::HashMismatch
    ));
    batch.approve(person(2), &hash, at(1)).expect("the first");
    assert!(!batch.is_approved(at(1)) && batch.state == BatchState::Draft);
    assert!(matches!(
        refused(&mut batch, person(2), &hash),
        BatchError::ApprovedBefore
    ));
    batch.approve(person(3), &hash, at(1)).expect("the second");
    assert_eq!(batch.state, BatchState::Approved);
    assert!(matches!(
        refused(&mut batch, person(4), &hash),
        BatchError::State("approved")
    ));
    assert!(!batch.may_send(at(1)), "not before it is begun");
}

#[test]
fn a_change_voids_both_approvals_wherever_the_batch_is() {
    let mut left = lines(2);
    left[1].left_out = Some(LeftOut::WalletChanged);
    let mut approved = draft();
    let hash = approved.hash;
    for by in [2, 3] {
        approved.approve(person(by), &hash, at(1)).expect("approved");
    }
    approved.change(&left, at(2)).expect("changed");
    assert_eq!(
        (approved.state, approved.is_approved(at(2))),
        (BatchState::Draft, false)
    );
    assert_ne!(approved.hash, hash);
    let mut sending = sending();
    sending.change(&left, at(2)).expect("changed");
    assert_eq!(
        (sending.state, sending.paused_because),
        (BatchState::Paused, Some(PauseReason::Changed))
    );
    assert!(matches!(sending.resume(at(2)), Err(BatchError::NotApproved)));
    let hash = sending.hash;
    for by in [4, 2] {
        sending.approve(person(by), &hash, at(2)).expect("approved anew");
    }
    assert_eq!(
        sending.state,
        BatchState::Paused,
        "it goes on when somebody says so"
    );
    sending.resume(at(2)).expect("resumed");
    assert!(sending.may_send(at(2)));
}

#[test]
fn failures_in_a_row_pause_a_batch_and_a_delivery_between_them_does_not() {
    let open = [lines(2), vec![line(3, StateName::Failed)]].concat();
    let mut batch = sending();
    for (failed, state) in [
        (true, BatchState::Sending),
        (true, BatchState::Sending),
        (false, BatchState::Sending),
        (true, BatchState::Sending),
        (true, BatchState::Sending),
        (true, BatchState::Paused),
    ] {
        batch.line_ended(failed, &open, at(2)).expect("told");
        assert_eq!(batch.state, state);
    }
    assert_eq!(batch.paused_because, Some(PauseReason::RepeatedFailures));
    assert!(batch.is_approved(at(1)), "nothing changed");
    batch.resume(at(1)).expect("resumed");
    assert_eq!((batch.failures_in_row, batch.paused_because), (0, None));
}

#[test]
fn a_batch_ends_when_its_last_line_does() {
    use StateName::{Done, Failed};
    for (states, end) in [
        ([Done, Done], BatchState::Done),
        ([Done, Failed], BatchState::PartlyFailed),
        ([Failed, Failed], BatchState::PartlyFailed),
        ([Done, StateName::Confirming], BatchState::Sending),
    ] {
        let all: Vec<_> = (1..)
            .zip(states)
            .map(|(number, state)| line(number, state))
            .collect();
        let mut batch = sending();
        batch.line_ended(false, &all, at(2)).expect("told");
        assert_eq!(batch.state, end, "{states:?}");
    }
    let mut gone = lines(2);
    for line in &mut gone {
        line.left_out = Some(LeftOut::OrderDisputed);
    }
    let mut batch = draft();
    batch.change(&gone, at(1)).expect("changed");
    assert_eq!(batch.state, BatchState::Discarded, "nothing is left to approve");
}

fn changes() -> impl Strategy<Value = fn(&mut BatchLine)> {
    prop::sample::select(vec![
        (|line| line.amount = TokenAmount::from_base_units(line.amount.base_units() - 1))
            as fn(&mut BatchLine),
        |line| line.address = "0x8617E340B3D01FA5F11F306F4090FD50E238070D".to_owned(),
        |line| line.asset = ChainAssetId::from_uuid(Uuid::from_u128(2)),
        |line| line.provider_asset.push('X'),
        |line| line.vault.insert(0, '1'),
        |line| line.decimals = 6,
        |line| line.bound_wallet = Some(line.address.clone()),
        |line| line.left_out = Some(LeftOut::GivenUp),
        |line| line.allocation = AllocationId::from_uuid(Uuid::from_u128(77)),
    ])
}

proptest! {
    #[test]
    fn any_change_of_any_line_is_another_hash(count in 1_u128..100, which in any::<prop::sample::Index>(), change in changes()) {
        let id = BatchId::from_uuid(Uuid::from_u128(9));
        let before = lines(count);
        let mut after = before.clone();
        change(which.get_mut(&mut after));
        prop_assert_ne!(hash_of(id, &before), hash_of(id, &after));
        prop_assert_ne!(hash_of(id, &before), hash_of(BatchId::from_uuid(Uuid::from_u128(8)), &before));
        let mut reversed = before.clone();
        reversed.reverse();
        prop_assert_eq!(hash_of(id, &before), hash_of(id, &reversed), "whatever their order");
        prop_assert_ne!(hash_of(id, &before), hash_of(id, &before[1..]));
    }
}
