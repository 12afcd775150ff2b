//! The machine, every state against every command; and what an approval is bound to.

use chrono::{DateTime, TimeDelta, Utc};
use posx_kernel::{ApprovalId, ApprovalUse, IdempotentCall, IdentityId, Review};
use uuid::Uuid;

use super::*;

fn noon() -> DateTime<Utc> {
    "2026-06-01T12:00:00Z".parse().expect("an instant")
}

fn person(number: u128) -> IdentityId {
    IdentityId::from_uuid(Uuid::from_u128(number))
}

const HASH: [u8; 32] = [7; 32];

fn draft() -> Approval {
    let request = ReviewedRequest {
        method: "POST".to_owned(),
        path: "/api/v1/allocation-batches".to_owned(),
        body: r#"{"allocations":[]}"#.to_owned(),
        hash: HASH,
    };
    let id = ApprovalId::from_uuid(Uuid::from_u128(9));
    let operation = ReviewedOperation::AllocationBatch;
    Approval::draft(
        id,
        operation,
        11,
        request,
        person(1),
        noon() + APPROVAL_LIFE,
        noon(),
    )
}

fn call() -> IdempotentCall {
    IdempotentCall {
        actor: person(1).to_string(),
        operation: "POST /api/v1/allocation-batches",
        key: "k".to_owned(),
        fingerprint: HASH,
        review: Review::Needed(None),
        at: noon(),
    }
}

fn states() -> Vec<ApprovalState> {
    let (checker, at) = (person(2), noon());
    vec![
        ApprovalState::Draft,
        ApprovalState::Submitted,
        ApprovalState::Approved { checker, at },
        ApprovalState::Rejected {
            checker,
            at,
            reason: "no".to_owned(),
        },
        ApprovalState::Withdrawn { at },
        ApprovalState::Applied {
            checker,
            approved_at: at,
            at,
        },
    ]
}

#[test]
fn every_move_of_an_approval_and_no_other() {
    use ApprovalStateName as Name;
    type Command = fn(&mut Approval, DateTime<Utc>) -> bool;
    let commands: [(Name, Name, Command); 5] = [
        (Name::Draft, Name::Submitted, |one, now| one.submit(now).is_ok()),
        (Name::Submitted, Name::Approved, |one, now| {
            one.approve(person(2), &HASH, now).is_ok()
        }),
        (Name::Submitted, Name::Rejected, |one, now| {
            one.reject(person(2), "not now", now).is_ok()
        }),
        (Name::Submitted, Name::Withdrawn, |one, now| {
            one.withdraw(person(1), now).is_ok()
        }),
        (Name::Approved, Name::Applied, |one, now| {
            one.apply(&IdempotentCall { at: now, ..call() }) == ApprovalUse::Applied
        }),
    ];
    let late = noon() + APPROVAL_LIFE;
    for state in states() {
        for (from, to, command) in &commands {
            for now in [noon(), late - TimeDelta::microseconds(1), late] {
                let mut approval = Approval {
                    state: state.clone(),
                    ..draft()
                };
                let before = approval.clone();
                let may = approval.state_name(noon()) == *from && now < late;
                assert_eq!(command(&mut approval, now), may, "{state:?} to {to:?} at {now}");
                if may {
                    assert_eq!(approval.state_name(noon()), *to);
                } else {
                    assert_eq!(approval, before, "a refusal changes nothing");
                }
            }
        }
    }
}

#[test]
fn what_nobody_ended_in_time_is_expired_and_what_ended_stays_so() {
    let late = noon() + APPROVAL_LIFE;
    let named: Vec<_> = states()
        .into_iter()
        .map(|state| Approval { state, ..draft() }.state_name(late).as_str())
        .collect();
    assert_eq!(
        named,
        [
            "expired",
            "expired",
            "expired",
            "rejected",
            "withdrawn",
            "applied"
        ]
    );
}

#[test]
fn nobody_decides_on_their_own_request() {
    let mut approval = draft();
    approval.submit(noon()).expect("submitted");
    let own = approval.approve(person(1), &HASH, noon());
    assert!(matches!(own, Err(ApprovalError::OwnRequest)));
    let own = approval.reject(person(1), "no", noon());
    assert!(matches!(own, Err(ApprovalError::OwnRequest)));
    let others = approval.withdraw(person(2), noon());
    assert!(matches!(others, Err(ApprovalError::NotTheMaker)));
    assert_eq!(approval.state, ApprovalState::Submitted);
}

#[test]
fn a_checker_agrees_to_what_they_saw_and_says_why_not() {
    let mut approval = draft();
    approval.submit(noon()).expect("submitted");
    let mut other = HASH;
    other[31] ^= 1;
    let blind = approval.approve(person(2), &other, noon());
    assert!(matches!(blind, Err(ApprovalError::Mismatch)));
    for reason in ["", "  ", &"x".repeat(501)] {
        let mute = approval.reject(person(2), reason, noon());
        assert!(matches!(mute, Err(ApprovalError::Reason)), "{reason}");
    }
    approval.approve(person(2), &HASH, noon()).expect("approved");
}

#[test]
fn an_approval_is_for_one_request_of_one_person() {
    let approved = Approval {
        state: states().swap_remove(2),
        ..draft()
    };
    let used = |call: &IdempotentCall| approved.clone().apply(call);
    assert_eq!(used(&call()), ApprovalUse::Applied);
    for byte in 0..32 {
        let mut other = call();
        other.fingerprint[byte] ^= 1;
        assert_eq!(used(&other), ApprovalUse::Mismatch);
    }
    for actor in [person(2).to_string(), "visitor".to_owned(), String::new()] {
        assert_eq!(used(&IdempotentCall { actor, ..call() }), ApprovalUse::Mismatch);
    }
    let mut twice = approved.clone();
    assert_eq!(twice.apply(&call()), ApprovalUse::Applied);
    assert_eq!(twice.apply(&call()), ApprovalUse::NotApproved);
}

#[test]
fn each_operation_reads_back_as_itself() {
    for operation in ReviewedOperation::ALL {
        assert_eq!(operation.as_str().parse(), Ok(*operation));
        assert_eq!(
            serde_json::to_value(operation).expect("JSON"),
            serde_json::Value::from(operation.as_str())
        );
    }
    assert!(!ReviewedOperation::limited().any(|one| one == ReviewedOperation::LimitRaise));
}
