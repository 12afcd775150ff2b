//! Reversals by cumulative target: the moves of one commission, and a million orders that went back somehow.

use posx_kernel::{CommissionId, Currency, Money, OrderId, PlanId};
use uuid::Uuid;

use super::*;
use crate::testing::{at, party, usd};

mod million;

pub(super) fn share(amount: Money, name: u128) -> Commission {
    Commission {
        id: CommissionId::from_uuid(Uuid::from_u128(name)),
        order: OrderId::from_uuid(Uuid::from_u128(8)),
        agent: party(name),
        level: 1,
        rate: "0.5".parse().expect("a rate"),
        base: amount,
        amount,
        reversed: Money::zero(amount.currency()),
        state: CommissionState::Held,
        back_to: None,
        hold_until: at(7),
        plan: PlanId::from_uuid(Uuid::from_u128(1)),
        created_at: at(0),
        updated_at: at(0),
    }
}

fn back(returned: i64, disputed: bool) -> Returns {
    Returns {
        total: usd(7),
        returned: usd(returned),
        disputed,
    }
}

#[test]
fn p15_rounding_each_refund_by_itself_takes_seven_of_five_and_the_target_takes_five() {
    let mut commission = share(usd(5), 1);
    let mut one_by_one = 0;
    let mut taken = Vec::new();
    for refund in 1..=7 {
        one_by_one += usd(5).proportion(usd(1), usd(7)).expect("a whole").minor();
        let step = commission.follow(&back(refund, false)).expect("its own order");
        taken.push(step.map_or(0, |step| step.amount.minor()));
    }
    assert_eq!(one_by_one, 7, "two more than were ever earned");
    assert_eq!(taken, [1, 0, 1, 1, 1, 0, 1]);
    assert_eq!((commission.reversed, commission.left()), (usd(5), usd(0)));
    assert_eq!(commission.state, CommissionState::Void);
}

#[test]
fn p22_an_open_dispute_freezes_a_share_that_then_goes_back_exactly_there() {
    for state in [CommissionState::Held, CommissionState::Ready] {
        let mut commission = Commission {
            state,
            ..share(usd(5), 1)
        };
        let before = commission.clone();
        assert_eq!(commission.follow(&back(0, true)), Ok(None));
        assert_eq!(
            (commission.state, commission.back_to),
            (CommissionState::Frozen, Some(state))
        );
        assert_eq!(commission.follow(&back(0, true)), Ok(None));
        assert_eq!(commission.follow(&back(0, false)), Ok(None));
        assert_eq!(commission, before);
    }
}

#[test]
fn s40_a_void_share_of_which_something_is_left_again_stands_where_it_stood() {
    for state in [CommissionState::Held, CommissionState::Ready] {
        let mut commission = Commission {
            state,
            ..share(usd(5), 1)
        };
        let before = commission.clone();
        // Disputed and lost, disputed once more, and won after all.
        for (returned, disputed, expected) in [
            (0, true, CommissionState::Frozen),
            (7, false, CommissionState::Void),
            (0, false, state),
            (7, true, CommissionState::Void),
            (3, true, CommissionState::Frozen),
            (0, false, state),
        ] {
            commission
                .follow(&back(returned, disputed))
                .expect("its own order");
            assert_eq!(
                commission.state, expected,
                "{returned} back, disputed: {disputed}"
            );
        }
        assert_eq!(commission, before);
    }
}

#[test]
fn what_is_paid_out_is_clawed_back_and_keeps_its_state() {
    for state in [CommissionState::Batched, CommissionState::Paid] {
        let mut commission = Commission {
            state,
            ..share(usd(5), 1)
        };
        assert_eq!(
            commission.follow(&back(0, true)),
            Ok(None),
            "a dispute takes nothing yet"
        );
        let kinds = [(7, false), (3, false)].map(|(returned, disputed)| {
            let step = commission
                .follow(&back(returned, disputed))
                .expect("its own order");
            step.map(|step| (step.kind, step.amount))
        });
        let expected = [
            Some((AdjustmentKind::Clawback, usd(5))),
            Some((AdjustmentKind::Restoration, usd(3))),
        ];
        assert_eq!(kinds, expected);
        assert_eq!((commission.state, commission.back_to), (state, None));
    }
}

#[test]
fn a_share_moves_only_as_the_machine_does() {
    for state in CommissionState::ALL {
        for back_to in [CommissionState::Held, CommissionState::Ready] {
            for (reversed, disputed) in [
                (0, false),
                (0, true),
                (2, false),
                (2, true),
                (5, false),
                (5, true),
            ] {
                let rests = matches!(state, CommissionState::Frozen | CommissionState::Void);
                let mut commission = Commission {
                    state: *state,
                    back_to: rests.then_some(back_to),
                    reversed: usd(reversed),
                    ..share(usd(5), 1)
                };
                commission.stand(disputed);
                let now = commission.state;
                assert!(now == *state || state.may_become(now), "{state:?} → {now:?}");
                assert_eq!(
                    commission.back_to.is_some(),
                    matches!(now, CommissionState::Frozen | CommissionState::Void)
                );
                let stood = commission.clone();
                commission.stand(disputed);
                assert_eq!(commission, stood);
            }
        }
    }
}

#[test]
fn a_share_does_not_follow_an_order_that_cost_nothing_or_is_in_other_money() {
    let kwd = Currency::from_code("KWD").expect("a currency");
    let free = Returns {
        total: usd(0),
        ..back(0, false)
    };
    let foreign = Returns {
        total: Money::from_minor(7, kwd),
        returned: Money::zero(kwd),
        disputed: false,
    };
    for returns in [free, foreign] {
        let mut commission = share(usd(5), 1);
        assert_eq!(commission.follow(&returns), Err(WrongReturns));
        assert_eq!(commission, share(usd(5), 1));
    }
}
