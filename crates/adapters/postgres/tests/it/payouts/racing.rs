//! Many at once: no cent leaves a balance twice, and none that was not earned.

use std::sync::Arc;

use posx_commissions::{PayoutError, PayoutMethod, PayoutState, Sent};
use tokio::task::JoinSet;

use super::{SALE, SHARE, Stage, payout_of};

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_withdrawals_at_once_one_takes_the_money_and_the_balance_stays_above_zero() {
    let stage = Arc::new(Stage::new().await);
    let (ann, _) = stage.agent(1).await;
    let mut asks = JoinSet::new();
    for _ in 0..20 {
        let stage = stage.clone();
        asks.spawn(async move { stage.withdraw(ann.party, SHARE / 2 + 1).await });
    }
    let outcomes = asks.join_all().await;
    let (taken, refused): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
    assert_eq!(taken.len(), 1);
    for refusal in refused {
        assert!(
            matches!(
                refusal,
                Err(PayoutError::WithdrawalOpen | PayoutError::NotAvailable)
            ),
            "{refusal:?}"
        );
    }
    assert_eq!(stage.balance(ann.party).await, SHARE / 2 - 1);
    assert_eq!(stage.credit("").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_who_approve_at_once_take_the_money_once() {
    let stage = Arc::new(Stage::new().await);
    let (ann, _) = stage.agent(1).await;
    let (id, hash) = stage.preview(PayoutMethod::Connect).await.expect("a preview");
    let mut approvals = JoinSet::new();
    for _ in 0..6 {
        let stage = stage.clone();
        approvals.spawn(async move { stage.approve(id, &hash).await });
    }
    let given = approvals.join_all().await.into_iter().flatten().count();
    assert_eq!(given, 1);
    assert_eq!(
        (
            stage.balance(ann.party).await,
            stage.credit("payouts:pending:").await
        ),
        (0, SHARE)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn s48_eight_workers_at_once_send_a_payout_once() {
    let stage = Arc::new(Stage::new().await);
    stage.agent(1).await;
    let payout = stage.settled(PayoutMethod::Connect).await[0].id;
    let mut sends = JoinSet::new();
    for _ in 0..8 {
        let stage = stage.clone();
        sends.spawn(async move {
            stage
                .payouts
                .send(&stage.world.scope, payout)
                .await
                .expect("sent")
        });
    }
    let done = sends
        .join_all()
        .await
        .into_iter()
        .filter(|sent| *sent == Sent::Done)
        .count();
    assert_eq!(done, 1);
    assert_eq!(stage.provider.transfers().len(), 1);
    assert_eq!(
        (stage.credit("payouts:pending:").await, stage.credit("").await),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_that_end_at_once_end_their_settlement() {
    let stage = Arc::new(Stage::new().await);
    for _ in 0..4 {
        stage.agent(1).await;
    }
    let payouts = stage.settled(PayoutMethod::Connect).await;
    let settlement = payouts[0].settlement.expect("a settlement");
    let mut sends = JoinSet::new();
    for payout in payouts {
        let stage = stage.clone();
        sends.spawn(async move {
            stage
                .payouts
                .send(&stage.world.scope, payout.id)
                .await
                .expect("sent")
        });
    }
    assert!(sends.join_all().await.iter().all(|sent| *sent == Sent::Done));
    assert_eq!(
        stage.state(settlement).await,
        posx_commissions::SettlementState::Done
    );
}

/// Σ out ≤ Σ earned − what was reversed by then: what is missing at the end was reversed after it had gone.
#[tokio::test(flavor = "multi_thread")]
async fn settled_withdrawn_and_reversed_at_once_no_more_goes_out_than_was_earned() {
    for round in 0..6_i64 {
        let stage = Arc::new(Stage::new().await);
        let (ann, orders) = stage.agent(3).await;
        let (id, hash) = stage.preview(PayoutMethod::Connect).await.expect("a preview");
        let returned = SALE / 6 * round;
        let mut all = JoinSet::new();
        let (one, two, three) = (stage.clone(), stage.clone(), stage.clone());
        all.spawn(async move {
            let given = one.approve(id, &hash).await;
            assert!(
                matches!(given, Ok(()) | Err(PayoutError::PreviewStale)),
                "{given:?}"
            );
        });
        all.spawn(async move {
            let asked = two.withdraw(ann.party, SHARE + SHARE / 2).await;
            assert!(
                matches!(asked, Ok(_) | Err(PayoutError::NotAvailable)),
                "{asked:?}"
            );
        });
        all.spawn(async move { three.goes_back(orders[0], returned).await });
        while let Some(done) = all.join_next().await {
            done.expect("no panic");
        }
        let (earned, reversed) = (3 * SHARE, SHARE / 6 * round);
        let out = stage.credit("payouts:pending:").await;
        assert!(out <= earned, "round {round}: {out} of {earned} went out");
        assert_eq!(
            stage.balance(ann.party).await,
            earned - reversed - out,
            "round {round}"
        );
        assert_eq!(stage.credit("").await, 0, "round {round}");
        let states = stage.payouts_of(None).await;
        let taken: i64 = states.iter().map(|payout| payout.amount.minor()).sum();
        assert_eq!(taken, out, "round {round}: what was taken is what is on its way");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approving_rejecting_and_cancelling_at_once_one_of_them_decides() {
    for _ in 0..4 {
        let stage = Arc::new(Stage::new().await);
        let (ann, _) = stage.agent(1).await;
        let id = stage.withdraw(ann.party, SHARE).await.expect("asked");
        let (one, two, three) = (stage.clone(), stage.clone(), stage.clone());
        let mut all = JoinSet::new();
        all.spawn(async move {
            let (scope, by) = (&one.world.scope, one.checker);
            one.payouts.approve_withdrawal(scope, id, by, None).await.is_ok()
        });
        all.spawn(async move {
            let (scope, by) = (&two.world.scope, two.checker);
            two.payouts
                .reject_withdrawal(scope, id, "no", by, None)
                .await
                .is_ok()
        });
        all.spawn(async move {
            let scope = &three.world.scope;
            three
                .payouts
                .cancel_withdrawal(scope, id, ann.party, None)
                .await
                .is_ok()
        });
        let decided = all.join_all().await.into_iter().filter(|done| *done).count();
        assert_eq!(decided, 1);
        let found = stage.payout(payout_of(id)).await.state;
        let expected = if found == PayoutState::Approved {
            (0, SHARE)
        } else {
            (SHARE, 0)
        };
        assert_eq!(
            (
                stage.balance(ann.party).await,
                stage.credit("payouts:pending:").await
            ),
            expected
        );
    }
}
